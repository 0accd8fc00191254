"""The family explorer: any cost against any published or measured figure.

Costs of the Inception family are those of traces, stored in family.csv
(`python -m experiments family_costs`); those of the references, and every accuracy,
are published figures with their source. Only the latency needs torch.
"""

import csv
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from math import ceil, floor, log10
from pathlib import Path
from threading import Thread

from inception_edu.explorers import make
from inception_edu.explorers.controls import (
    Button,
    Check,
    Choice,
    Picture,
    Range,
)
from inception_edu.figures.plot import LABEL, NOTE, SHEET, short, tick, ticks
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.papers import figure

TABLE = Path(__file__).with_suffix(".csv")
COLUMNS = ("params", "macs", "activations", "field")  # of family.csv
SLIM = "tf-slim/research-slim-readme-md/{}/{}-accuracy"
TORCHVISION = "torchvision/imagenet1k-v1/{}/{}-accuracy"
COUNTED = "torchvision/torchvision-models/{}/{}-counted"
SLIM_STEM = {"separable_stem": True}

# The networks of v4's paper, and how each is built for its figures.
V4_PAPER = {
    "Inception-v3": ("inception_v3", {}),
    "Inception-v4": ("inception_v4", {}),
    "Inception-ResNet-v1": ("inception_resnet_v1", {}),
    "Inception-ResNet-v2": ("inception_resnet_v2", {"layout": "paper"}),
}


def printed(place, builds):
    """`{name: (build, id)}` of networks whose figures stand at the same `place`."""
    return {
        name: (build, place.format(name.lower(), "{}"))
        for name, build in builds.items()
    }


def references(place, *names):
    """The same for references, of which nothing is built."""
    return printed(place, dict.fromkeys(names))


# What an accuracy was measured on, and for each network how it is built for that
# figure (None: a reference, whose costs are published too) and where it stands.
# `{}` is "top-1" or "top-5"; GoogLeNet's paper has top-5 only.
RESNETS = ("ResNet-50", "ResNet-101", "ResNet-152")
SETS = {
    "released": {
        "GoogLeNet": (
            ("googlenet", {"layout": "torchvision"}),
            TORCHVISION.format("googlenet", "{}"),
        ),
        "BN-Inception": (
            ("bn_inception", SLIM_STEM),
            SLIM.format("inception-v2", "{}"),
        ),
        **printed(
            SLIM,
            {
                "Inception-v3": ("inception_v3", {}),
                "Inception-v4": ("inception_v4", {}),
                "Inception-ResNet-v2": ("inception_resnet_v2", {}),
            },
        ),
        **references(TORCHVISION, "AlexNet", "VGG-16", "ResNet-18", *RESNETS),
    },
    "one crop": {
        "GoogLeNet": (("googlenet", {}), "going-deeper/table-3/1-model-1-crop"),
        "BN-Inception": (
            ("bn_inception", SLIM_STEM),
            "batch-normalization/figure-4/bn-inception-1-model-1-crop/{}-error",
        ),
        **printed("inception-v4/table-2/{}/{}-error", V4_PAPER),
    },
    "ten crops": {
        "GoogLeNet": (("googlenet", {}), "going-deeper/table-3/1-model-10-crops"),
        **printed("inception-v4/table-3/{}/{}-error", V4_PAPER),
        "AlexNet": (None, "alexnet/table-2/alexnet-1-cnn/{}-error"),
        **references("resnet/table-3/{}/{}-error", "VGG-16", *RESNETS),
    },
}
SET_NAMES = {
    "released": "released, 1 crop",
    "one crop": "papers, 1 crop",
    "ten crops": "papers, 10-12 crops",
}
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
NAMES = list(dict.fromkeys(name for members in SETS.values() for name in members))

QUESTION = "What does a cost buy?"
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


@cache
def traced():
    """`{(name, options): {cost: value}}` of our networks at their own image sizes."""
    with open(TABLE, newline="", encoding="utf-8") as file:
        return {
            (row["network"], row["options"]): {what: int(row[what]) for what in COLUMNS}
            for row in csv.DictReader(file)
        }


def options_text(options):
    """Options of a network as family.csv writes them: "layout=paper"."""
    return " ".join(f"{name}={value}" for name, value in sorted(options.items()))


def network_key(figures, name):
    """`(name, options)` that a member is built with, None for a reference."""
    build = SETS[figures][name][0]
    return build and (build[0], tuple(sorted(build[1].items())))


@cache
def cost(figures, name, what):
    """A cost of a member, None where neither code nor a published figure has it."""
    build = SETS[figures][name][0]
    if build:
        return traced()[build[0], options_text(build[1])][what]
    slug = name.lower()
    published = {
        "macs": COUNTED.format(slug, "macs"),
        "params": COUNTED.format(slug, "parameters"),
        "field": "receptive-field/readme-md/vgg-16/receptive-field"
        if name == "VGG-16"
        else None,
    }.get(what)
    return figure(published).value if published else None


def published(figures, name, top):
    """The `papers.Figure` of a member's error or accuracy, None if not published."""
    if name not in SETS[figures]:
        return None
    id = SETS[figures][name][1]
    if "{}" not in id:
        return figure(id) if top == "top-5" else None
    return figure(id.format(top))


def error_of(figures, name, top):
    """Published error in percent, None where there is none."""
    found = published(figures, name, top)
    if found is None:
        return None
    value = 100 - found.value if "accuracy" in found.what else found.value
    return round(value, 3)


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


class Scale:
    """Data to pixels on both axes; the horizontal one may be logarithmic."""

    def __init__(self, members, log):
        self.log = log
        xs, ys = [p.x for p in members], [p.y for p in members]
        xs += [end for p in members for end in p.x_spread or ()]
        ys += [end for p in members for end in p.y_spread or ()]
        if log:
            self.x_range = (log10(min(xs)) - 0.08, log10(max(xs)) + 0.08)
        else:
            self.x_range = (0, max(xs) * 1.06)
        room = (max(ys) - min(ys)) * 0.08 or 1
        self.y_range = (max(0, min(ys) - room), max(ys) + room)

    def x(self, value):
        low, high = self.x_range
        value = log10(value) if self.log else value
        return BOX[0] + (value - low) / (high - low) * BOX[2]

    def y(self, value):
        low, high = self.y_range
        return BOX[1] + BOX[3] - (value - low) / (high - low) * BOX[3]

    def x_ticks(self):
        if not self.log:
            return ticks(*self.x_range, 6)
        low, high = self.x_range
        powers = range(floor(low), ceil(high) + 1)
        steps = (1, 2, 5) if high - low < 2.2 else (1,)
        found = [step * 10**power for power in powers for step in steps]
        return [value for value in found if low <= log10(value) <= high]


def draw_points(sheet, state, members, inside, limit):
    """Axes, the budget, the line of the best, a mark and a label for each network."""
    scale = Scale(members, state["log"])
    left, top, width, height = BOX
    bottom = top + height
    for value in ticks(*scale.y_range, 5):
        y = scale.y(value)
        sheet.line((left, y), (left + width, y), stroke="grid", width=1)
        sheet.text(left - 6, y + 5, tick(value), NOTE, anchor="end", fill="muted")
    for value in scale.x_ticks():
        x = scale.x(value)
        sheet.line((x, bottom), (x, bottom + 5), width=1)
        middle = min(x, SHEET - text_width(tick(value), NOTE) / 2)
        style = {"anchor": "middle", "fill": "muted"}
        sheet.text(middle, bottom + 20, tick(value), NOTE, **style)
    sheet.line((left, bottom), (left + width, bottom), width=1)
    sheet.text(0, 16, AGAINST[state["against"]], LABEL, bold=True)
    better = "down" if state["cost"] == "field" else "down and left"
    words = f"{COSTS[state['cost']]}; {better} is better"
    sheet.text(SHEET, bottom + 40, words, LABEL, anchor="end", bold=True)
    if state["budget"] < 100:
        x = scale.x(limit)
        if left <= x <= left + width:
            sheet.rect(x, top, left + width - x, height, "panel")
            sheet.line((x, top), (x, bottom), stroke="accent", width=3)
        label = f"budget {amount(limit, state['cost'])}"
        sheet.text(SHEET, 16, label, NOTE, anchor="end", fill="accent", bold=True)
    stairs = staircase(scale, frontier(members)) if state["front"] else []
    if stairs:
        sheet.line(*stairs, stroke="good", width=2, dash="6 4")
    for point in members:
        x, y = scale.x(point.x), scale.y(point.y)
        if point.x_spread:
            ends = [(scale.x(end), y) for end in point.x_spread]
            sheet.line(*ends, stroke="ink", width=2)
        if point.y_spread:
            ends = [(x, scale.y(end)) for end in point.y_spread]
            sheet.line(*ends, stroke="ink", width=2)
        draw_mark(sheet, state, point, x, y, point in inside)
    spots = tuple(
        (p.name, round(scale.x(p.x), 1), round(scale.y(p.y), 1)) for p in members
    )
    for name, (x, y, reach) in place_labels(spots, tuple(pairwise(stairs))).items():
        spot = next((a, b) for other, a, b in spots if other == name)
        if reach:
            sheet.line(spot, reach, stroke="muted", width=1)
        bold = name == state["look"]
        sheet.text(x, y, name, NOTE, bold=bold)


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


def staircase(scale, front):
    """Corners of a line that tells for every cost the best figure it buys."""
    corners = [(scale.x(front[0].x), scale.y(front[0].y))]
    for point in front[1:]:
        corners.append((scale.x(point.x), corners[-1][1]))
        corners.append((scale.x(point.x), scale.y(point.y)))
    return [*corners, (BOX[0] + BOX[2], corners[-1][1])]


HIGH = 17  # of a label's box


@lru_cache(maxsize=256)
def place_labels(spots, lines=()):
    """`{name: (x, baseline, end of the line to its mark or None)}`; none overlap.

    `spots` are `(name, x, y)` of the marks, `lines` pairs of points. Each label takes
    the nearest free place around its mark, inside the axes: no other label and no
    mark there, nor, where that leaves one, any line.
    """
    marks = [(x - 12, y - 12, x + 12, y + 12) for _, x, y in spots]
    drawn = [box for start, end in lines for box in along(start, end)]
    labels, placed = [], {}
    for name, x, y in sorted(spots, key=lambda spot: (crowd(spot, spots), spot)):
        wide = text_width(name, NOTE, bold=True)
        for boxes in (around(x, y, wide), anywhere(wide)):
            near = [box for box in boxes if is_in_axes(box)]
            free = [box for box in near if not hits(box, marks + labels)]
            if free:
                others = labels + [core(spot) for spot in spots if spot[0] != name]
                box = min(free, key=lambda box: ugliness(box, (x, y), others, drawn))
                break
        else:
            continue
        end = nearest(box, x, y)
        far = abs(end[0] - x) + abs(end[1] - y) > 16
        labels.append(box)
        drawn += along((x, y), end) if far else []
        placed[name] = (box[0], box[3] - 4, end if far else None)
    return placed


def core(spot):
    """A mark as it is drawn, without the room about it; no line crosses it."""
    _, x, y = spot
    return x - 5, y - 5, x + 5, y + 5


def is_in_axes(box):
    left, top, width, height = BOX
    return (
        left + 2 <= box[0]
        and box[2] <= left + width
        and top <= box[1]
        and box[3] <= top + height - 2
    )


def ugliness(box, mark, others, drawn):
    """Pixels from a mark to its label, and what lines through texts are worth."""
    end = nearest(box, *mark)
    far = abs(end[0] - mark[0]) + abs(end[1] - mark[1])
    through = sum(hits(piece, others) for piece in along(mark, end)) if far > 16 else 0
    return far + 30 * hits(box, drawn) + 20 * through


def nearest(box, x, y):
    """The point of a box that is nearest to `(x, y)`."""
    return min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])


def along(start, end, step=8):
    """Small boxes that cover a line."""
    (x0, y0), (x1, y1) = start, end
    count = max(1, ceil(max(abs(x1 - x0), abs(y1 - y0)) / step))
    points = [
        (x0 + (x1 - x0) * i / count, y0 + (y1 - y0) * i / count)
        for i in range(count + 1)
    ]
    return [(x - 1, y - 1, x + 1, y + 1) for x, y in points]


def hits(box, others):
    """Whether a box `(left, top, right, bottom)` shares a point with any other."""
    left, top, right, bottom = box
    return any(
        left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
        for other in others
    )


def crowd(spot, spots):
    """How many other marks are near, negative: the crowded are placed first."""
    _, x, y = spot
    return -sum(abs(x - a) < 150 and abs(y - b) < 24 for _, a, b in spots)


def around(x, y, wide):
    """Boxes on all sides of a mark, the near ones first."""
    half = HIGH / 2
    for far in range(12, 110, 7):
        yield (x + far, y - half, x + far + wide, y + half)  # right
        yield (x - far - wide, y - half, x - far, y + half)  # left
        for shift in (-wide / 2, 0, -wide, -wide / 4, -3 * wide / 4):
            yield (x + shift, y - far - HIGH, x + shift + wide, y - far)  # above
            yield (x + shift, y + far, x + shift + wide, y + far + HIGH)  # below
        for down in (-far - half, far - half):
            yield (x + far / 2, y + down, x + far / 2 + wide, y + down + HIGH)
            yield (x - far / 2 - wide, y + down, x - far / 2, y + down + HIGH)


def anywhere(wide):
    """Boxes on every line of the picture."""
    left, top, width, height = BOX
    for row in range(int(height // HIGH)):
        for column in range(int((width - wide) // 10)):
            corner = (left + 4 + 10 * column, top + HIGH * row)
            yield (*corner, corner[0] + wide, corner[1] + HIGH)


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
