"""The family explorer: any cost against any published or measured figure.

`family_figures.py` has the numbers and their sources; only the latency, measured on
this machine when its button is pressed, needs torch.
"""

from dataclasses import dataclass
from itertools import pairwise
from threading import Thread

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
from inception_edu.figures.plot import (
    LABEL,
    NOTE,
    SHEET,
    Plot,
    place_labels,
    short,
    ticks,
)
from inception_edu.figures.svg import Drawing

QUESTION = "What does a cost buy?"
COSTS = {
    "macs": "MACs",
    "params": "parameters",
    "activations": "activations, all layers (bytes)",
    "field": "receptive field (pixels)",
    "latency": "latency here (ms, 1 thread)",
}
AGAINST = {
    "top-1": "top-1 error (%)",
    "top-5": "top-5 error (%)",
    "latency": "latency here (ms, 1 thread)",
}
UNITS = {"macs": "MACs", "params": "parameters", "activations": "B", "field": "pixels"}
UNITS |= {"top-1": "% top-1 error", "top-5": "% top-5 error", "latency": "ms"}
CONTROLS = [
    Choice("cost", "cost", COSTS, "macs"),
    Choice("against", "against", AGAINST, "top-1"),
    Choice("figures", "figures", SET_NAMES, "released"),
    Range("budget", "budget of dearest", 5, 100, 5, 100, unit="%"),
    Check("log", "logarithmic cost", False),
    Check("front", "line of the best", True),
    Choice("look", "look at", NAMES, "Inception-v4"),
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
    """Those that no other beats or equals on both axes, from cheap to dear."""
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


def draw_with(state, times, problem=""):
    """The picture of a state, with what was timed on this machine."""
    if "latency" in (state["cost"], state["against"]) and not times:
        raise ValueError(
            problem
            or "nothing was timed on this machine yet: press Measure latency (about "
            "half a minute), or choose another cost"
        )
    if state["cost"] == state["against"]:
        raise ValueError("latency against itself is a straight line; choose a cost")
    members, missing = points(state, times)
    limit = state["budget"] / 100 * max(point.x for point in members)
    inside = [point for point in members if point.x <= limit]
    summary = sentence(state, members, inside, limit)
    sheet = Drawing(SHEET, 436)
    draw_points(sheet, state, members, inside, limit)
    draw_notes(sheet, state, members, missing, times)
    title = (
        f"{AGAINST[state['against']]} against {COSTS[state['cost']]}, "
        f"{SET_NAMES[state['figures']]}: {summary}"
    )
    listed = "; ".join(
        f"{p.name} {amount(p.x, state['cost'])}, {amount(p.y, state['against'])}"
        for p in sorted(members, key=lambda p: p.x)
    )
    return Picture(sheet.svg(title, listed), summary)


def draw(state):
    """The picture of a state on a machine where nothing was timed."""
    return draw_with(state, {})


def sentence(state, members, inside, limit):
    """The headline: the best within the budget, and the line of the best."""
    if not inside:
        return f"no network costs less than {amount(limit, state['cost'])}"
    best = min(inside, key=lambda point: (point.y, point.x))
    front = ", ".join(point.name for point in frontier(members))
    return (
        f"best within {amount(limit, state['cost'])}: {best.name}, "
        f"{amount(best.y, state['against'])} for {amount(best.x, state['cost'])}; "
        f"nothing beats {front}"
    )


BOX = (52, 34, SHEET - 62, 290)  # x, y, width, height of the axes


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
    """Axes, the budget, the line of the best, a mark and a label for each network."""
    plot = plot_of(sheet, members, state["log"])
    x_ticks = None if state["log"] else ticks(*plot.x_range, 6)
    plot.axes(x_ticks=x_ticks, y_ticks=ticks(*plot.y_range, 5))
    sheet.text(0, 16, AGAINST[state["against"]], LABEL, bold=True)
    better = "down" if state["cost"] == "field" else "down and left"
    words = f"{COSTS[state['cost']]}; {better} is better"
    sheet.text(SHEET, plot.bottom + 40, words, LABEL, anchor="end", bold=True)
    if state["budget"] < 100:
        draw_budget(plot, limit, f"budget {amount(limit, state['cost'])}")
    stairs = staircase(plot, frontier(members)) if state["front"] else []
    if stairs:
        sheet.line(*stairs, stroke="good", width=2, dash="6 4")
    for point in members:
        for ends in (
            [(x, point.y) for x in point.x_spread or ()],
            [(point.x, y) for y in point.y_spread or ()],
        ):
            if ends:
                sheet.line(*(plot.at(*end) for end in ends), stroke="ink", width=2)
        draw_mark(sheet, state, point, *plot.at(point.x, point.y), point in inside)
    spots = {p.name: tuple(round(v, 1) for v in plot.at(p.x, p.y)) for p in members}
    marks = tuple((name, *spot) for name, spot in spots.items())
    for name, (x, y, end) in place_labels(marks, BOX, tuple(pairwise(stairs))).items():
        if end:
            sheet.line(spots[name], end, stroke="muted", width=1)
        sheet.text(x, y, name, NOTE, bold=name == state["look"])


def draw_budget(plot, limit, label):
    """What lies beyond the budget, shaded, behind a line."""
    x, _ = plot.at(limit, plot.y_range[0])
    if plot.x <= x <= plot.right:
        plot.drawing.rect(x, plot.y, plot.right - x, plot.height, "panel")
        plot.drawing.line((x, plot.y), (x, plot.bottom), stroke="accent", width=3)
    style = {"anchor": "end", "fill": "accent", "bold": True}
    plot.drawing.text(SHEET, 16, label, NOTE, **style)


def draw_mark(sheet, state, point, x, y, is_inside):
    """A dot for the family, a square for a reference; hollow beyond the budget."""
    name = "1x1" if point.is_ours else "3x3"
    fill, edge = (name, "paper") if is_inside else ("paper", name)
    tip = (
        f"{point.name}: {amount(point.x, state['cost'])}, "
        f"{amount(point.y, state['against'])}"
    )
    style = {"stroke": edge, "stroke_width": 2, "tip": tip}
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
    lines = [looked_at(name, figures, times), source_of(name, state)]
    if missing:
        axes = [state["cost"], state["against"]]
        what = "latency here" if "latency" in axes else "both figures"
        lines.append(f"without {what}: {', '.join(missing)}")
    else:
        lines.append(f"{len(members)} networks; round: Inception, square: a reference")
    for row, line in enumerate(lines):
        sheet.fitted_text(
            0, 396 + 18 * row, line, SHEET, NOTE, smallest=NOTE, fill="muted"
        )


def looked_at(name, figures, times):
    """All costs of one network in a line."""
    if name not in SETS[figures]:
        return f"{name}: not among the {SET_NAMES[figures]}"
    parts = []
    for what in COSTS:
        found = axis_value(figures, name, what, times)
        if found:
            text = amount(found[0], what)
            text = text.replace("parameters", "params").replace("pixels", "px")
            parts.append(f"sees {text}" if what == "field" else text)
    return f"{name}: {', '.join(parts)}"


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


class Stopwatch:
    """The latencies of one explorer, by what a network is built with."""

    def __init__(self, rounds):
        self.times, self.rounds, self.problem = {}, rounds, ""
        self.thread, self.changed = None, lambda: None

    @property
    def words(self):
        """Why there is no time to show, "" where nobody has asked for one."""
        if self.thread and self.thread.is_alive():
            return "measuring; choose latency again in half a minute or so"
        return self.problem

    def start(self, values):
        """Time the networks of the chosen figures in a thread; ValueError if one is."""
        if self.thread and self.thread.is_alive():
            raise ValueError("still measuring; the picture changes when it is done")
        self.thread = Thread(target=self.run, args=(values["figures"],), daemon=True)
        self.thread.start()

    def run(self, figures):
        """Measure, keep what went wrong, and have the picture drawn again."""
        try:
            self.measure(figures)
            self.problem = ""
        except Exception as error:
            self.problem = f"the measurement failed: {error}"
        self.changed()

    def measure(self, figures):
        """Time every network of these figures, in turns."""
        from inception_edu.cost import latency
        from inception_edu.networks import create_model

        keys = filter(None, (network_key(figures, name) for name in SETS[figures]))
        models = {key: create_model(key[0], **dict(key[1])) for key in keys}
        self.times = self.times | latency(
            models, rounds=self.rounds, warm_up=1, threads=1
        )


def family(*, rounds=5, **options):
    """The family explorer; it opens on released weights, error against MACs.

    Its button times the networks on this machine, `rounds` rounds in turns (also
    `explorer.watch.measure("released")`); then either axis can show
    latency. `options` are those of `Explorer`: start, frames, compact.
    """
    watch = Stopwatch(rounds)
    explorer = make(
        "family",
        draw=lambda state: draw_with(state, watch.times, watch.words),
        buttons=[Button("measure", "Measure latency", watch.start)],
        **options,
    )
    explorer.watch, watch.changed = watch, explorer.redraw
    return explorer
