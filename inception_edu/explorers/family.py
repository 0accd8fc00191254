"""The family explorer: any cost against any published or measured figure.

`family_figures.py` has the numbers and their sources; only the latency, measured on
this machine when its button is pressed, needs torch.
"""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from inception_edu.explorers import make
from inception_edu.explorers.controls import Button, Choice, Picture, Range
from inception_edu.explorers.family_figures import (
    NAMES,
    SET_NAMES,
    SETS,
    cost,
    error_of,
    key_of,
    published,
)
from inception_edu.explorers.family_latency import Stopwatch
from inception_edu.figures.labels import place_labels
from inception_edu.figures.plot import SHEET, Plot, label, ticks
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.text import number, short

QUESTION = "What does a cost buy?"
COSTS = {
    "macs": "MACs",
    "params": "parameters",
    "activations": "activations of all layers (bytes)",
    "field": "receptive field (pixels)",
}
AGAINST = {"top-1": "top-1 error (%)", "top-5": "top-5 error (%)"}
LATENCY = {"latency": "latency here (ms, 1 thread)"}
AXES = COSTS | AGAINST | LATENCY
CONTROLS = [
    Choice("cost", "cost", COSTS, "macs"),
    Choice("against", "against", AGAINST, "top-1"),
    Choice("figures", "errors of", SET_NAMES, "released"),
    Range("budget", "budget (% of the most expensive)", 5, 100, 5, 100, unit="%"),
    Choice("look", "details of", NAMES, "Inception-v4"),
]
SWEEP = {
    "cost": list(COSTS),
    "against": list(AGAINST),
    "figures": list(SETS),
}
BOX = (52, 46, SHEET - 74, 290)  # x, y, width, height of the axes


class Point(NamedTuple):
    """One network in the picture; its latency lies between `low` and `high`."""

    name: str
    label: str
    is_ours: bool
    x: float
    y: float
    low: float  # of x
    high: float


def cost_of(error_set, name, what, times):
    """`(value, low, high)` of a member's cost, None where it has none."""
    if what == "latency":
        timed = times.get(key_of(error_set, name))
        return timed and [1e3 * t for t in (timed.median, timed.low, timed.high)]
    value = cost(error_set, name, what)
    return value and [value] * 3


def points(state, times):
    """Every member that has both values, and the names of those that have not."""
    error_set, found, missing = state["figures"], [], []
    for name in SETS[error_set]:
        values = cost_of(error_set, name, state["cost"], times)
        error = error_of(error_set, name, state["against"])
        if None in (values, error):
            missing.append(name)
            continue
        (x, *ends), is_ours = values, key_of(error_set, name) is not None
        found.append(Point(name, shown_name(name, error_set), is_ours, x, error, *ends))
    return found, missing


def shown_name(name, error_set):
    """A network's name; Inception-ResNet-v2's says which of the two is meant."""
    if name != "Inception-ResNet-v2":
        return name
    return f"{name} ({'release' if error_set == 'released' else 'paper'})"


def frontier(members):
    """The Pareto front: who has no better or equal on both axes, cheapest first."""
    front = []
    for point in sorted(members, key=lambda p: (p.x, p.y)):
        if not front or point.y < front[-1].y:
            front.append(point)
    return front


def amount(value, what):
    """A value with its unit: 12.3 G MACs, 19.8 % top-1 error, 140 ms."""
    if what in AGAINST:
        return f"{value:.4g} % {what} error"
    if what in ("latency", "field"):
        return f"{value:,.0f} {'ms' if what == 'latency' else 'pixels'}"
    return short(value) + ("B" if what == "activations" else f" {COSTS[what]}")


def both(point, state):
    """Both values of a network."""
    return f"{amount(point.x, state['cost'])}, {amount(point.y, state['against'])}"


def draw(state, watch=None):
    watch = watch or Stopwatch()
    cost, against = state["cost"], state["against"]
    if cost == "latency" and not watch.times:
        raise ValueError(
            (watch.progress and f"{watch.progress}; the picture follows")
            or watch.problem
            or "nothing was timed on this machine yet: press Measure latency (about "
            "half a minute), or choose another cost"
        )
    members, missing = points(state, watch.times)
    limit = state["budget"] / 100 * max(point.x for point in members)
    summary = sentence(state, members, limit)
    sheet = Drawing(SHEET, 436)
    draw_points(sheet, state, members, limit)
    draw_notes(sheet, state, members, missing, watch)
    title = f"{AXES[against]} against {AXES[cost]}, {SET_NAMES[state['figures']]}"
    listed = [f"{p.name} {both(p, state)}" for p in sorted(members, key=lambda p: p.x)]
    return Picture(sheet.svg(f"{title}: {summary}", "; ".join(listed)), summary)


def sentence(state, members, limit):
    """The headline: the best within the budget, and the Pareto front."""
    inside = [point for point in members if point.x <= limit]
    budget = amount(limit, state["cost"])
    if not inside:
        return f"No network costs less than {budget}."
    best = min(inside, key=lambda point: (point.y, point.x))
    return (
        f"Best within {budget}: {best.label} with {amount(best.y, state['against'])} "
        f"for {amount(best.x, state['cost'])}. "
        f"Pareto-optimal: {', '.join(point.label for point in frontier(members))}."
    )


def plot_of(sheet, members):
    """The `Plot` that holds every member and the spread of what was timed."""
    most, ys = max(point.high for point in members), [point.y for point in members]
    room = (max(ys) - min(ys)) * 0.08 or 1
    y_range = (max(0, min(ys) - 2 * room), max(ys) + room)
    return Plot(sheet, BOX, (0, most * 1.06), y_range)


def draw_points(sheet, state, members, limit):
    """Axes, the budget, the Pareto front, a mark and a label for each network."""
    plot = plot_of(sheet, members)
    if state["budget"] < 100:
        x, _ = plot.at(limit, plot.y_range[0])  # beyond it the ground is shaded
        sheet.rect(x, plot.y, plot.right - x, plot.height, "panel")
        plot.vline(x, key="budget")
        plot.name_above(x, 16, f"budget {amount(limit, state['cost'])}")
    better = "down" if state["cost"] == "field" else "down and left"
    plot.axes(
        f"{AXES[state['cost']]}; {better} is better",
        AXES[state["against"]],
        number,
        number,
        x_ticks=ticks(*plot.x_range, 6),
        y_ticks=ticks(*plot.y_range, 5),
    )
    stairs = staircase(plot, frontier(members))
    sheet.line(*stairs, stroke="ink", width=2, dash="6 4", key="front")
    for point in members:
        if point.low < point.high:
            plot.curve([(point.low, point.y), (point.high, point.y)], width=2)
        draw_mark(plot, state, point, point.x <= limit)
    label_points(plot, state, members, stairs)


def label_points(plot, state, members, stairs):
    """Names beside the marks, on a ground that keeps lines off the letters."""
    sheet, bold = plot.drawing, shown_name(state["look"], state["figures"])
    spots = {point.label: plot.at(point.x, point.y) for point in members}
    marks = tuple((name, *spot) for name, spot in spots.items())
    placed = place_labels(marks, BOX, tuple(pairwise(stairs)))
    for name, (_, _, end) in placed.items():
        if end:
            sheet.line(spots[name], end, stroke="muted", width=1)
    for name, (x, y, _) in placed.items():
        middle, wide = spots[name][0], text_width(name)
        if name != bold:  # places are made for bold letters
            x = min(max(x, middle - wide / 2), x + text_width(name, bold=True) - wide)
        label(sheet, x, y, name, bold=name == bold)


def draw_mark(plot, state, point, is_inside):
    """A dot for the family, a square for a reference; hollow beyond the budget."""
    sheet, (x, y) = plot.drawing, plot.at(point.x, point.y)
    role = "good" if point.is_ours else "line"
    fill, edge = (role, "paper") if is_inside else ("paper", role)
    tip = f"{point.name}: {both(point, state)}"
    style = {"stroke": edge, "stroke_width": 2, "tip": tip, "key": point.name}
    if point.name == state["look"]:
        sheet.circle(x, y, 11, "none", stroke="accent", stroke_width=3)
    if point.is_ours:
        sheet.circle(x, y, 7, fill, **style)
    else:
        sheet.rect(x - 6, y - 6, 12, 12, fill, **style)
    way = f"M{round(x) - 9} {round(y) - 9}h18v18h-18z"
    sheet.raw(f'<path d="{way}" fill-opacity="0" data-pick="look={point.name}"/>')


def staircase(plot, front):
    """Corners of a line that tells for every cost the best figure it buys."""
    corners = [plot.at(front[0].x, front[0].y)]
    for point in front[1:]:
        x, y = plot.at(point.x, point.y)
        corners += [(x, corners[-1][1]), (x, y)]
    return [*corners, (plot.right, corners[-1][1])]


def draw_notes(sheet, state, members, missing, watch):
    """Below the axes: what is looked at with its sources, and who is missing."""
    last = f"{len(members)} networks; round: Inception, square: a reference"
    if missing:
        last = f"missing: {', '.join(missing)}"
    last = watch.progress or last
    lines = (costs_in_words(state, watch.times), source_in_words(state), last)
    for y, line in zip((396, 414, 432), lines, strict=True):
        sheet.fitted_text(0, y, line, SHEET, fill="muted")


def costs_in_words(state, times):
    """All costs of the network that is looked at."""
    name, error_set = state["look"], state["figures"]
    if name not in SETS[error_set]:
        return f"{name} is not in this picture"
    parts = []
    for what in [*COSTS, "latency"]:
        if values := cost_of(error_set, name, what, times):
            text = amount(values[0], what).replace("parameters", "params")
            text = text.replace("pixels", "px")
            parts.append(f"sees {text}" if what == "field" else text)
    return f"{name}: {', '.join(parts)}"


def source_in_words(state):
    """Where the error of the network that is looked at is printed, on which images."""
    top = state["against"]
    found = published(state["figures"], state["look"], top)
    if found is None:
        return f"no {top} error in this set: {SET_NAMES[state['figures']]}"
    error = error_of(state["figures"], state["look"], top)
    images = found.images.split(" of ")[0].split(" (")[0]
    where = f"{found.paper}, {found.place}".replace("research/slim/", "")
    crops = f"{found.crops} crop{'s' * (found.crops > 1)}"
    return f"{error:.4g} % {top} error: {where}; {crops}, {images} images"


def family(**options):
    """The family explorer; it opens on released weights, error against MACs.

    Its button times the networks on this machine; then latency is a cost too.
    `options` are those of `Explorer`: start, sweep, frames.
    """
    watch = Stopwatch()
    cost, *others = CONTROLS
    explorer = make(
        "family",
        controls=[replace(cost, values=COSTS | LATENCY), *others],
        draw=partial(draw, watch=watch),
        buttons=[Button("measure", "Measure latency", watch.start)],
        **options,
    )
    explorer.watch, watch.changed = watch, explorer.redraw
    return explorer
