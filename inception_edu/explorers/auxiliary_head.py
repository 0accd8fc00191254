"""The auxiliary head explorer: where does the gradient come from?

The loss is main + weight x auxiliary, so its gradient at a layer is main gradient +
weight x auxiliary gradient: two vectors, measured once in a real network, give the
norm for every weight. All curves of a picture belong to the same weights and the
same images; only the loss differs.

    python -m experiments auxiliary_head

measures them again (mini_v3 on digits at every scale, at the start and after 200
steps, three seeds; some minutes) and writes auxiliary_head.csv.

What it shows: with batch normalisation in the network the head adds less than half
to the gradient below it (weight 0.4), and the main losses with and without it overlap
over the seeds. Without, the gradient starts 450 to 2,600 times smaller; a head with
normalisation inside multiplies it by 5 to 25, a head without by 0.9 to 1.6; and in
200 steps neither helps to learn.

What the papers say: Szegedy et al., Going deeper with convolutions, arXiv 1409.4842,
section 5, added the heads for the gradients of the lower layers; Szegedy et al.,
Rethinking the Inception Architecture, arXiv 1512.00567, section 4, found no faster
start with them, took that motive back, and argues that they regularise.
"""

import csv
from functools import cache
from math import ceil, exp, floor, log, log10, sqrt
from pathlib import Path
from typing import NamedTuple

from inception_edu.explorers.controls import Check, Choice, Picture, Range
from inception_edu.figures.plot import LABEL, NOTE, SHEET, Plot, times
from inception_edu.figures.svg import Drawing

TABLE = Path(__file__).with_suffix(".csv")
STAGES = ("stem", "mixed_a", "reduction_a", "mixed_b", "reduction_b", "mixed_c", "fc")
PLACES = ("mixed_a", "reduction_a", "mixed_b")  # on 5x5 the head has no room
STEPS = 200
TRAINED_WITH = 0.4  # the weight of the head's loss in the 200 steps
MEASURED = 256  # images for one gradient


QUESTION = "Where does the gradient come from, with and without the head?"
CONTROLS = [
    Range("weight", "auxiliary weight", 0.0, 1.0, 0.05, 0.4),
    Choice("place", "head after", list(PLACES), "mixed_b"),
    Choice(
        "steps",
        "measured",
        {0: "at the start", STEPS: f"after {STEPS} steps"},
        0,
    ),
    Check("norm", "batch norm in the network", True),
    Check("head_norm", "batch norm in the head (BN-aux)", True),
]
SWEEP = {
    "weight": [0.0, 0.2, 0.4, 1.0],
    "place": list(PLACES),
    "norm": [True, False],
    "steps": [0, STEPS],
}


class Gradient(NamedTuple):
    """At one stage: squared norms of both losses' gradients, and their product."""

    main: float
    dot: float
    aux: float

    def norm(self, weight):
        """Norm of the gradient of main + weight x auxiliary."""
        square = self.main + 2 * weight * self.dot + weight**2 * self.aux
        return sqrt(max(square, 0.0))


# The picture, from the table.


@cache
def measured():
    """`{(norm, place, head_norm, steps): [({stage: Gradient}, main loss), ...]}`.

    One entry of the list a seed; place "none" is the network without a head.
    """
    found = {}
    with open(TABLE, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = (row["norm"] == "1", row["place"], row["head_norm"] == "1")
            seeds = found.setdefault((*key, int(row["steps"])), {})
            table, _ = seeds.setdefault(row["seed"], ({}, float(row["main_loss"])))
            gradient = Gradient(*(float(row[name]) for name in Gradient._fields))
            table[row["stage"]] = gradient
    return {key: list(seeds.values()) for key, seeds in found.items()}


def seeds_of(state):
    """The measured networks of a state, one a seed."""
    return measured()[state["norm"], state["place"], state["head_norm"], state["steps"]]


def norms(state, stage, weight):
    """The gradient's norm at a stage, one number a seed."""
    return [table[stage].norm(weight) for table, _ in seeds_of(state)]


def middle(values):
    """The geometric mean: the middle on a logarithmic axis."""
    return exp(sum(log(max(value, 1e-30)) for value in values) / len(values))


def mean(values):
    return sum(values) / len(values)


def main_losses(state):
    """`(with the head, without)`: main loss of the measured images after training."""
    keys = (
        (state["norm"], state["place"], state["head_norm"], STEPS),
        (state["norm"], "none", False, STEPS),
    )
    return tuple([loss for _, loss in measured()[key]] for key in keys)


@cache
def limits():
    """Powers of ten that hold every norm of the table, at every weight up to 1."""
    found = [
        gradient.norm(weight)
        for seeds in measured().values()
        for table, _ in seeds
        for gradient in table.values()
        for weight in (0, 0.5, 1)
    ]
    least = min(value for value in found if value)
    return floor(log10(least)), ceil(log10(max(found)))


def draw(state):
    """The picture of a state, with the stem's gradient in the summary."""
    weight = state["weight"]
    alone, both = (middle(norms(state, "stem", w)) for w in (0, weight))
    ours, theirs = main_losses(state)
    summary = (
        f"gradient at the stem {both:.3g} with the head, {alone:.3g} without: "
        f"{times(both / alone)}; main loss after {STEPS} steps {mean(ours):.2f} with, "
        f"{mean(theirs):.2f} without"
    )
    sheet = Drawing(SHEET, 436)
    draw_gradients(sheet, state)
    lines = (
        f"Main loss on {MEASURED} test images after {STEPS} steps, {len(ours)} seeds:",
        f"{span(ours)} with the head (weight {TRAINED_WITH}), {span(theirs)} without",
        "Going deeper, section 5: heads bring gradient to the lower layers",
        "Rethinking, section 4: no faster start; the heads regularise",
    )
    for i, line in enumerate(lines):
        sheet.text(0, 368 + 21 * i, line, NOTE, bold=i == 1)
    title = f"Gradient by depth in mini_v3, head after {state['place']}: {summary}"
    return Picture(sheet.svg(title, "; ".join(lines)), summary)


def span(values):
    return f"{min(values):.2f} to {max(values):.2f}"


def draw_gradients(sheet, state):
    """Both losses' gradients from the stem to the last layer, seed by seed."""
    weight, place = state["weight"], STAGES.index(state["place"])
    low, high = limits()
    plot = Plot(
        sheet, (48, 58, SHEET - 62, 238), (-0.5, len(STAGES) - 0.5), (low, high)
    )
    left, right = plot.x, plot.x + plot.width
    sheet.text(0, 16, "gradient of a stage's weights (norm)", LABEL, bold=True)
    keys = (
        (0, "main loss alone", "ink", 2, "7 4"),
        (weight, f"main + {weight:g} x auxiliary", "accent", 3, None),
    )
    edge, _ = plot.at(place + 0.5, low)
    sheet.rect(left, plot.y, edge - left, plot.height, "panel")
    for power in range(low, high + 1):
        _, y = plot.at(0, power)
        sheet.line((left, y), (right, y), stroke="grid", width=1)
        text = f"{10.0**power:g}" if power > -3 else f"1e{power}"
        sheet.text(left - 6, y + 5, text, NOTE, anchor="end", fill="muted")
    for i, stage in enumerate(STAGES):
        x, y = plot.at(i, low)
        short = stage.replace("reduction", "red.")
        sheet.text(x, y + 20, short, NOTE, anchor="middle")
        ratio = middle(norms(state, stage, weight)) / middle(norms(state, stage, 0))
        bold = abs(ratio - 1) >= 0.005
        text = f"x {ratio:.2f}"
        sheet.text(x, y + 40, text, NOTE, anchor="middle", fill="accent", bold=bold)
    x = 48
    for share, name, stroke, width, dash in keys:
        sheet.line((x, 36), (x + 26, 36), stroke=stroke, width=width, dash=dash)
        sheet.text(x + 32, 41, name, NOTE)
        x += 180
        found = [norms(state, stage, share) for stage in STAGES]
        shift = 0.06 if share else -0.06
        points = [(i + shift, log10(middle(values))) for i, values in enumerate(found)]
        plot.curve(points, stroke, width, dash)
        for (i, _), values in zip(points, found, strict=True):
            ends = [
                plot.at(i, log10(max(v, 1e-30))) for v in (min(values), max(values))
            ]
            sheet.line(*ends, stroke=stroke, width=1)
        for point in points:
            plot.mark(*point, stroke, 4)
    note = f"the head reads {state['place']}"
    sheet.text(edge + 6, plot.y + 17, note, NOTE, fill="muted")
