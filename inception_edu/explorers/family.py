"""The family explorer: any cost against any published or measured figure.

`family_figures.py` has the numbers and their sources; only the latency, measured on
this machine when its button is pressed, needs torch.
"""

from dataclasses import dataclass
from itertools import pairwise

from inception_edu.explorers import make
from inception_edu.explorers.controls import (
    Button,
    Check,
    Choice,
    Picture,
    Range,
)
from inception_edu.explorers.family_figures import (
    NAMES,
    SET_NAMES,
    SETS,
    cost,
    error_of,
    network_key,
    published,
)
from inception_edu.explorers.family_latency import Stopwatch
from inception_edu.figures.plot import (
    NOTE,
    SHEET,
    Plot,
    label,
    number,
    place_labels,
    short,
    ticks,
)
from inception_edu.figures.svg import Drawing, text_width

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
UNITS = {"macs": "MACs", "params": "parameters", "activations": "B", "field": "pixels"}
UNITS |= {"top-1": "% top-1 error", "top-5": "% top-5 error", "latency": "ms"}
CONTROLS = [
    Choice("cost", "cost", COSTS, "macs"),
    Choice("against", "against", AGAINST, "top-1"),
    Choice("figures", "errors of", SET_NAMES, "released"),
    Range("budget", "budget (% of the most expensive)", 5, 100, 5, 100, unit="%"),
    Check("log", "logarithmic cost", False),
    Check("front", "Pareto front", True),
    Choice("look", "details of", NAMES, "Inception-v4"),
]
SWEEP = {
    "cost": ["macs", "params", "activations", "field"],
    "against": ["top-1", "top-5"],
    "figures": list(SETS),
}


@dataclass(frozen=True)
class Point:
    """One network in the picture: where it lies and how sure that is."""

    name: str
    x: float
    y: float
    is_ours: bool
    x_spread: tuple | None = None
    y_spread: tuple | None = None


def axis_value(figures, name, what, times):
    """`(value, spread)` of a member on an axis; None where it has no value."""
    if what == "latency":
        timed = times.get(network_key(figures, name))
        if timed is None:
            return None
        return 1e3 * timed.median, (1e3 * timed.low, 1e3 * timed.high)
    if what in COSTS:
        found = cost(figures, name, what)
    else:
        found = error_of(figures, name, what)
    return None if found is None else (found, None)


def points(state, times):
    """Every member that has both values, and the names of those that have not."""
    found, missing = [], []
    for name in SETS[state["figures"]]:
        pair = [
            axis_value(state["figures"], name, state[axis], times)
            for axis in ("cost", "against")
        ]
        if None in pair:
            missing.append(name)
            continue
        (x, x_spread), (y, y_spread) = pair
        ours = network_key(state["figures"], name) is not None
        found.append(Point(name, x, y, ours, x_spread, y_spread))
    return found, missing


def frontier(members):
    """The Pareto front: who has no better or equal on both axes, cheapest first."""
    best, front = float("inf"), []
    for point in sorted(members, key=lambda p: (p.x, p.y)):
        if point.y < best:
            best = point.y
            front.append(point)
    return front


def amount(value, what):
    """A value with its unit: 12.3 G MACs, 19.8 % top-1 error, 140 ms."""
    if what in ("top-1", "top-5"):
        return f"{value:.4g} {UNITS[what]}"
    if what in ("latency", "field"):
        return f"{value:,.0f} {UNITS[what]}"
    text = short(value)
    return text + UNITS[what] if what == "activations" else f"{text} {UNITS[what]}"


def draw_with(state, times, progress=None, problem=""):
    """The picture of a state, with what was timed on this machine.

    `progress` is `(share, words)` of a measurement that runs, `problem` why the last
    one failed.
    """
    axes = state["cost"], state["against"]
    if "latency" in axes and not times:
        raise ValueError(
            (progress and f"{progress[1]}; the picture follows")
            or problem
            or "nothing was timed on this machine yet: press Measure latency (about "
            "half a minute), or choose another cost"
        )
    if axes[0] == axes[1]:
        raise ValueError("latency against itself is a straight line; choose a cost")
    members, missing = points(state, times)
    limit = state["budget"] / 100 * max(point.x for point in members)
    inside = [point for point in members if point.x <= limit]
    summary = sentence(state, members, inside, limit)
    sheet = Drawing(SHEET, 436)
    draw_points(sheet, state, members, inside, limit)
    draw_notes(sheet, state, members, missing, times)
    if progress:
        draw_progress(sheet, *progress)
    title = f"{AXES[axes[1]]} against {AXES[axes[0]]}, {SET_NAMES[state['figures']]}"
    listed = "; ".join(
        f"{p.name} {amount(p.x, axes[0])}, {amount(p.y, axes[1])}"
        for p in sorted(members, key=lambda p: p.x)
    )
    return Picture(sheet.svg(f"{title}: {summary}", listed), summary)


def draw(state):
    """The picture of a state on a machine where nothing was timed."""
    return draw_with(state, {})


def sentence(state, members, inside, limit):
    """The headline: the best within the budget, and the Pareto front."""
    budget = amount(limit, state["cost"])
    if not inside:
        return f"No network costs less than {budget}."
    best = min(inside, key=lambda point: (point.y, point.x))
    front = ", ".join(
        shown_name(point.name, state["figures"]) for point in frontier(members)
    )
    name = shown_name(best.name, state["figures"])
    return (
        f"Best within {budget}: {name} with {amount(best.y, state['against'])} "
        f"for {amount(best.x, state['cost'])}. Pareto-optimal: {front}."
    )


def shown_name(name, figures):
    """A network's name; Inception-ResNet-v2's says which of the two is meant."""
    if name != "Inception-ResNet-v2":
        return name
    return f"{name} ({'release' if figures == 'released' else 'paper'})"


BOX = (52, 34, SHEET - 74, 290)  # x, y, width, height of the axes


def plot_of(sheet, members, log):
    """The `Plot` that holds every member and the spread of what was timed."""
    xs, ys = [p.x for p in members], [p.y for p in members]
    xs += [end for p in members for end in p.x_spread or ()]
    ys += [end for p in members for end in p.y_spread or ()]
    x_range = (0, max(xs) * 1.06)
    if log:
        x_range = (min(xs) * 10**-0.08, max(xs) * 10**0.08)
    room = (max(ys) - min(ys)) * 0.08 or 1
    y_range = (max(0, min(ys) - room), max(ys) + room)
    return Plot(sheet, BOX, x_range, y_range, log_x=log)


def draw_points(sheet, state, members, inside, limit):
    """Axes, the budget, the Pareto front, a mark and a label for each network."""
    plot = plot_of(sheet, members, state["log"])
    if state["budget"] < 100:
        draw_budget(plot, limit, f"budget {amount(limit, state['cost'])}")
    better = "down" if state["cost"] == "field" else "down and left"
    plot.axes(
        f"{AXES[state['cost']]}; {better} is better",
        AXES[state["against"]],
        number,
        number,
        x_ticks=None if state["log"] else ticks(*plot.x_range, 6),
        y_ticks=ticks(*plot.y_range, 5),
    )
    stairs = staircase(plot, frontier(members)) if state["front"] else []
    if stairs:
        sheet.line(*stairs, stroke="ink", width=2, dash="6 4", key="front")
    for point in members:
        for ends in (
            [(x, point.y) for x in point.x_spread or ()],
            [(point.x, y) for y in point.y_spread or ()],
        ):
            if ends:
                sheet.line(*(plot.at(*end) for end in ends), stroke="ink", width=2)
        draw_mark(sheet, state, point, *plot.at(point.x, point.y), point in inside)
    label_points(plot, state, members, stairs)


def label_points(plot, state, members, stairs):
    """Names beside the marks, on a ground that keeps lines off the letters."""
    sheet, spots = plot.drawing, {}
    for point in members:
        x, y = plot.at(point.x, point.y)
        spots[shown_name(point.name, state["figures"])] = round(x, 1), round(y, 1)
    marks = tuple((name, *spot) for name, spot in spots.items())
    placed = place_labels(marks, BOX, tuple(pairwise(stairs)))
    for name, (_, _, end) in placed.items():
        if end:
            sheet.line(spots[name], end, stroke="muted", width=1)
    for name, (x, y, end) in placed.items():
        bold = name == shown_name(state["look"], state["figures"])
        wide = text_width(name, NOTE, bold)
        x = max(x, end[0] - wide) if end else x  # places are made for bold letters
        label(sheet, x, y, name, bold=bold)


def draw_budget(plot, limit, label):
    """What lies beyond the budget, shaded, behind a line."""
    x, _ = plot.at(limit, plot.y_range[0])
    if plot.x <= x <= plot.right:
        plot.drawing.rect(x, plot.y, plot.right - x, plot.height, "panel")
        ends = (x, plot.y), (x, plot.bottom)
        plot.drawing.line(*ends, stroke="accent", width=3, key="budget")
    style = {"anchor": "end", "fill": "accent", "bold": True}
    plot.drawing.text(SHEET, 16, label, NOTE, **style)


def draw_mark(sheet, state, point, x, y, is_inside):
    """A dot for the family, a square for a reference; hollow beyond the budget."""
    role = "good" if point.is_ours else "line"
    fill, edge = (role, "paper") if is_inside else ("paper", role)
    tip = (
        f"{point.name}: {amount(point.x, state['cost'])}, "
        f"{amount(point.y, state['against'])}"
    )
    style = {"stroke": edge, "stroke_width": 2, "tip": tip, "key": point.name}
    if point.name == state["look"]:
        sheet.circle(x, y, 11, "none", stroke="accent", stroke_width=3)
    if point.is_ours:
        sheet.circle(x, y, 7, fill, **style)
    else:
        sheet.rect(x - 6, y - 6, 12, 12, fill, **style)
    x, y = round(x), round(y)
    pick = f'data-pick="look={point.name}"'
    sheet.raw(f'<path d="M{x - 9} {y - 9}h18v18h-18z" fill-opacity="0" {pick}/>')


def staircase(plot, front):
    """Corners of a line that tells for every cost the best figure it buys."""
    corners = [plot.at(front[0].x, front[0].y)]
    for point in front[1:]:
        x, y = plot.at(point.x, point.y)
        corners += [(x, corners[-1][1]), (x, y)]
    return [*corners, (plot.right, corners[-1][1])]


def draw_notes(sheet, state, members, missing, times):
    """Below the axes: what is looked at with its sources, and who is missing."""
    name, figures = state["look"], state["figures"]
    last = f"{len(members)} networks; round: Inception, square: a reference"
    if missing:
        last = f"not shown, one of the two figures is missing: {', '.join(missing)}"
    lines = (looked_at(name, figures, times), source_of(name, state), last)
    for y, line in zip((396, 414, 432), lines, strict=True):
        sheet.fitted_text(0, y, line, SHEET, NOTE, smallest=NOTE, fill="muted")


def draw_progress(sheet, share, words):
    """A bar that fills while latencies are measured."""
    sheet.height = 462
    sheet.rect(0, 444, 160, 12, stroke="line")
    sheet.rect(0, 444, 160 * share, 12, "accent")
    sheet.text(170, 455, words, NOTE)


def looked_at(name, figures, times):
    """All costs of one network in a line."""
    if name not in SETS[figures]:
        return f"{name}: not among the {SET_NAMES[figures]}"
    parts = []
    for what in [*COSTS, "latency"]:
        found = axis_value(figures, name, what, times)
        if found:
            text = amount(found[0], what)
            text = text.replace("parameters", "params").replace("pixels", "px")
            parts.append(f"receptive field {text}" if what == "field" else text)
    return f"{shown_name(name, figures)}: {', '.join(parts)}"


def source_of(name, state):
    """Where the error of one network is printed, and on which images."""
    top = state["against"] if state["against"] != "latency" else "top-5"
    found = published(state["figures"], name, top)
    if found is None:
        return f"no {top} error was published for it"
    error = error_of(state["figures"], name, top)
    images = found.images.split(" of ")[0].split(" (")[0]
    where = f"{found.paper}, {found.place}".replace("research/slim/", "")
    crops = f"{found.crops} crop{'s' * (found.crops > 1)}"
    return f"{error:.4g} % {top} error: {where}; {crops}, {images} images"


def family(*, rounds=5, **options):
    """The family explorer; it opens on released weights, error against MACs.

    Its button times the networks on this machine, `rounds` rounds in turns (also
    `explorer.watch.measure("released")`); then either axis can show
    latency. `options` are those of `Explorer`: start, frames.
    """
    watch = Stopwatch(rounds)
    latency = {
        "cost": Choice("cost", "cost", COSTS | LATENCY, "macs"),
        "against": Choice("against", "against", AGAINST | LATENCY, "top-1"),
    }
    explorer = make(
        "family",
        controls=[latency.get(control.name, control) for control in CONTROLS],
        draw=lambda state: draw_with(state, watch.times, watch.progress, watch.problem),
        buttons=[Button("measure", "Measure latency", watch.start)],
        **options,
    )
    explorer.watch, watch.changed = watch, explorer.redraw
    return explorer
