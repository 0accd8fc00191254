"""The family explorer: any cost against any published or measured error.

`family_figures.py` has the numbers and their sources; only the latency, measured on
this machine when its button is pressed, needs torch.
"""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from threading import Thread
from typing import NamedTuple

from inception_edu.explorers import make
from inception_edu.explorers.controls import Button, Choice, Picture, Range
from inception_edu.explorers.family_figures import (
    BUILDS,
    SET_NAMES,
    SETS,
    build_of,
    cost,
    error_of,
    published,
)
from inception_edu.figures.labels import place_labels
from inception_edu.figures.plot import SHEET, Plot, label, ticks
from inception_edu.figures.svg import Drawing
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
    Choice("errors", "errors of", SET_NAMES, "released"),
    Range("budget", "budget (% of the most expensive)", 5, 100, 5, 100, unit="%"),
]
SWEEP = {"cost": list(COSTS), "against": list(AGAINST), "errors": list(SETS)}
BOX = (52, 46, SHEET - 74, 290)  # x, y, width, height of the axes


class Point(NamedTuple):
    """One network in the picture; its latency lies between `low` and `high`."""

    name: str
    x: float
    low: float  # of x
    high: float
    y: float
    source: str  # of y


def points(state, times):
    """Every member that has both values, and the names of those that have not."""
    error_set, found, missing = state["errors"], [], []
    for name in SETS[error_set]:
        if state["cost"] == "latency":
            timed = times.get((error_set, name))
            xs = timed and [1e3 * t for t in (timed.median, timed.low, timed.high)]
        else:
            value = cost(error_set, name, state["cost"])
            xs = value and [value] * 3
        error = error_of(error_set, name, state["against"])
        if xs is None or error is None:
            missing.append(name)
            continue
        figure = published(error_set, name, state["against"])
        if name == "Inception-ResNet-v2":  # two networks have this name
            name += f" ({'release' if error_set == 'released' else 'paper'})"
        found.append(Point(name, *xs, error, f"{figure.paper}, {figure.place}"))
    return found, missing


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


def in_words(point, state):
    """Both values of a network, and where its error is published."""
    cost, error = amount(point.x, state["cost"]), amount(point.y, state["against"])
    return f"{point.name}: {cost}, {error} ({point.source})"


def draw(state, watch=None):
    times, status = (watch.times, watch.status) if watch else ({}, "")
    members, missing = points(state, times)
    if not members:  # no cost but the latency is missing for all
        raise ValueError(
            status
            or "these networks were not timed on this machine yet: press Measure "
            "latency (about half a minute), or choose another cost"
        )
    limit = state["budget"] / 100 * max(point.x for point in members)
    summary = sentence(state, members, limit)
    sheet = Drawing(SHEET, 400)
    draw_points(sheet, state, members, limit)
    note = f"{len(members)} networks; round: Inception, square: a reference"
    note = f"missing: {', '.join(missing)}" if missing else note
    sheet.fitted_text(0, 396, status or note, SHEET, fill="muted")
    cost, against = AXES[state["cost"]], AXES[state["against"]]
    title = f"{against} against {cost}, {SET_NAMES[state['errors']]}"
    listed = [in_words(p, state) for p in sorted(members, key=lambda p: p.x)]
    return Picture(sheet.svg(f"{title}: {summary}", "; ".join(listed)), summary)


def sentence(state, members, limit):
    """The headline: the best within the budget, and the Pareto front."""
    inside = [point for point in members if point.x <= limit]
    budget = amount(limit, state["cost"])
    if not inside:
        return f"No network costs less than {budget}."
    best = min(inside, key=lambda point: (point.y, point.x))
    return (
        f"Best within {budget}: {best.name} with {amount(best.y, state['against'])} "
        f"for {amount(best.x, state['cost'])}. "
        f"Pareto-optimal: {', '.join(point.name for point in frontier(members))}."
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
    spots = {point.name: plot.at(point.x, point.y) for point in members}
    marks = tuple((name, *spot) for name, spot in spots.items())
    placed = place_labels(marks, BOX, tuple(pairwise(stairs)))
    for name, (_, _, end) in placed.items():
        if end:
            sheet.line(spots[name], end, stroke="muted", width=1)
    for name, (x, y, _) in placed.items():
        label(sheet, x, y, name)


def draw_mark(plot, state, point, is_inside):
    """A dot for the family, a square for a reference; hollow beyond the budget."""
    x, y = plot.at(point.x, point.y)
    is_ours = point.name.partition(" (")[0] in BUILDS
    role = "good" if is_ours else "line"
    fill, edge = (role, "paper") if is_inside else ("paper", role)
    tip = in_words(point, state)
    style = {"stroke": edge, "stroke_width": 2, "tip": tip, "key": point.name}
    if is_ours:
        plot.drawing.circle(x, y, 7, fill, **style)
    else:
        plot.drawing.rect(x - 6, y - 6, 12, 12, fill, **style)


def staircase(plot, front):
    """Corners of a line that tells for every cost the lowest error it buys."""
    corners = [plot.at(front[0].x, front[0].y)]
    for point in front[1:]:
        x, y = plot.at(point.x, point.y)
        corners += [(x, corners[-1][1]), (x, y)]
    return [*corners, (plot.right, corners[-1][1])]


# ---- measured here -----------------------------------------------------------


class Stopwatch:
    """`.times` of networks on this machine, by error set and name.

    `.status` says that a measurement is going on, or why the last one failed.
    """

    def __init__(self):
        self.times, self.status, self.thread = {}, "", None
        self.changed = lambda: None

    def start(self, values):
        """Time the networks of an error set in a thread; ValueError if one is."""
        if self.thread and self.thread.is_alive():
            raise ValueError("still measuring; the picture changes when it is done")
        self.status = "measuring for about half a minute; the picture follows"
        self.thread = Thread(target=self.run, args=(values["errors"],), daemon=True)
        self.thread.start()

    def run(self, error_set):
        """Measure, keep what went wrong, and have the picture drawn again."""
        from inception_edu.cost import latency
        from inception_edu.networks import create_model

        try:
            models = {}
            for name in SETS[error_set]:
                if build := build_of(error_set, name):
                    network, options = build
                    models[error_set, name] = create_model(network, **options)
            self.times |= latency(models, rounds=5, warm_up=1, threads=1)
            self.status = ""
        except Exception as error:
            self.status = f"the measurement failed: {error}"
        self.changed()


def family(**options):
    """The family explorer; it opens on released weights, error against MACs.

    Its button times the networks on this machine; then latency is a cost too.
    `options` are those of `Explorer`: start, sweep, frames.
    """
    watch = Stopwatch()
    costs, *others = CONTROLS
    explorer = make(
        "family",
        controls=[replace(costs, values=COSTS | LATENCY), *others],
        draw=partial(draw, watch=watch),
        buttons=[Button("measure", "Measure latency", watch.start)],
        **options,
    )
    explorer.watch, watch.changed = watch, explorer.ask
    return explorer
