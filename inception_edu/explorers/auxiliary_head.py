"""The auxiliary head explorer: where does the gradient come from?

The loss is main + weight x auxiliary, so its gradient at a layer is main gradient +
weight x auxiliary gradient: two vectors, measured once in a real network, give the
norm for every weight. All curves of a picture belong to the same weights and the
same images; only the loss differs.

    python -m experiments auxiliary_head

measures them again (mini_v3 on digits at every scale, at the start and after 200
steps, three seeds; a few minutes) and writes auxiliary_head.csv.

What the papers say: Szegedy et al., Going deeper with convolutions, arXiv 1409.4842,
section 5, added the heads for the gradients of the lower layers; Szegedy et al.,
Rethinking the Inception Architecture, arXiv 1512.00567, section 4, found no faster
start with them, took that motive back, and argues that they regularize.
"""

from functools import cache
from math import sqrt
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import NamedTuple

from inception_edu.explorers.controls import Check, Choice, Picture, Range
from inception_edu.figures.plot import SHEET, Plot, legend
from inception_edu.figures.svg import Drawing
from inception_edu.files import read_rows
from inception_edu.text import times

TABLE = Path(__file__).with_suffix(".csv")
STAGES = ("stem", "mixed_a", "reduction_a", "mixed_b", "reduction_b", "mixed_c", "fc")
PLACES = ("mixed_a", "reduction_a", "mixed_b")  # on 5x5 the head has no room
STEPS, TRAINED_WITH = 200, 0.4  # of the stored trainings: steps, auxiliary weight
LIMITS = {True: (0.05, 5), False: (2e-5, 0.5)}  # every gradient, by batch norm

QUESTION = "Where does the gradient come from, with and without the head?"
CONTROLS = [
    Range("weight", "auxiliary weight", 0.0, 1.0, 0.05, 0.4),
    Choice("place", "head after", list(PLACES), "mixed_b"),
    Choice("steps", "measured", {0: "at the start", STEPS: f"after {STEPS} steps"}, 0),
    Check("norm", "batch norm in the network", True),
    Check("head_norm", "batch norm in the head (BN-aux)", True),
]
SWEEP = {
    "weight": [0.0, 0.2, 0.4, 1.0],
    "place": list(PLACES),
    "norm": [True, False],
    "steps": [0, STEPS],
}


def inactive(values):
    """Without batch norm, at the start, a head of weight 0 changes nothing at all."""
    idle = not any(values[name] for name in ("norm", "weight", "steps"))
    return {"head_norm": "the head has weight 0"} if idle else {}


class Gradient(NamedTuple):
    """At one stage: squared norms of both losses' gradients, and their product."""

    main: float
    dot: float
    aux: float

    def norm(self, weight):
        """Norm of the gradient of main + weight x auxiliary."""
        square = self.main + 2 * weight * self.dot + weight**2 * self.aux
        return sqrt(max(square, 0.0))


@cache
def measured():
    """`{(norm, place, head_norm, steps): [({stage: Gradient}, main loss), ...]}`.

    One entry of the list a seed; place "none" is the network without a head.
    """
    found = {}
    for row in read_rows(TABLE):
        key = (row["norm"] == "1", row["place"], row["head_norm"] == "1")
        seeds = found.setdefault((*key, int(row["steps"])), {})
        table, _ = seeds.setdefault(row["seed"], ({}, float(row["main_loss"])))
        table[row["stage"]] = Gradient(*(float(row[x]) for x in Gradient._fields))
    return {key: list(seeds.values()) for key, seeds in found.items()}


def norms(state, stage, weight):
    """The gradient's norm at a stage, one number a seed."""
    key = state["norm"], state["place"], state["head_norm"], state["steps"]
    return [table[stage].norm(weight) for table, _ in measured()[key]]


def draw(state):
    weights, norm = (0, state["weight"]), state["norm"]
    alone, both = (geometric_mean(norms(state, "stem", weight)) for weight in weights)
    heads = (state["place"], state["head_norm"]), ("none", False)
    runs = (measured()[norm, *head, STEPS] for head in heads)
    ours, theirs = ([loss for _, loss in seeds] for seeds in runs)
    summary = (
        f"The gradient at the stem is {times(both / alone)} as large with the head as "
        f"without; after {STEPS} steps with weight {TRAINED_WITH} the main loss is "
        f"{fmean(ours):.2f}, without the head {fmean(theirs):.2f}."
    )
    sheet = Drawing(SHEET, 394)
    draw_gradients(sheet, state)
    lines = (
        f"Main loss after {STEPS} steps, the range of {len(ours)} seeds:",
        f"{min(ours):.2f} to {max(ours):.2f} with weight {TRAINED_WITH}, "
        f"{min(theirs):.2f} to {max(theirs):.2f} without.",
    )
    for i, line in enumerate(lines):
        sheet.fitted_text(0, 368 + 19 * i, line, SHEET, fill="muted")
    title = f"Gradient by depth in mini_v3, head after {state['place']}: {summary}"
    return Picture(sheet.svg(title, " ".join(lines)), summary)


def draw_gradients(sheet, state):
    """Both losses' gradients from the stem to the last layer, seed by seed."""
    place, weight = STAGES.index(state["place"]), state["weight"]
    low, high = LIMITS[state["norm"]]
    box, ends = (56, 60, SHEET - 62, 230), (-0.5, len(STAGES) - 0.5)
    plot = Plot(sheet, box, ends, (low, high), log_y=True)
    edge, _ = plot.at(place + 0.5, low)
    sheet.rect(plot.x, plot.y, edge - plot.x, plot.height, "panel")
    name = "norm of the gradient of a stage's weights"
    plot.axes("", name, x_ticks={}, format_y="{:g}".format)
    both = f"main + {weight:g} x auxiliary"
    keys = (("main loss alone", "ink", "7 4"), (both, "accent", None))
    legend(sheet, 56, 20, keys)
    middles = []
    for share, (_, stroke, dash) in zip((0, weight), keys, strict=True):
        shift, points = 0.06 if share else -0.06, []
        for i, stage in enumerate(STAGES):
            values = norms(state, stage, share)
            points.append((i + shift, geometric_mean(values)))
            plot.curve([(i + shift, min(values)), (i + shift, max(values))], stroke, 1)
        plot.curve(points, stroke, 3 if share else 2, dash)
        for point in points:
            plot.mark(*point, stroke, 4)
        middles.append([middle for _, middle in points])
    wide, y = plot.width / len(STAGES) - 6, plot.bottom + 6
    for i, (stage, alone, together) in enumerate(zip(STAGES, *middles, strict=True)):
        x, _ = plot.at(i, low)
        stroke = "accent" if i == place else "line"
        sheet.rect(x - wide / 2, y, wide, 24, "paper", stroke=stroke, radius=3)
        name, ratio = stage.replace("reduction", "red."), together / alone
        sheet.fitted_text(x, y + 17, name, wide - 4, anchor="middle")
        bold = abs(ratio - 1) >= 0.005
        style = {"fill": "accent" if bold else "muted", "bold": bold}
        sheet.text(x, y + 43, f"x {ratio:.2f}", anchor="middle", **style)
    plot.vline(edge, 2, "head")
    sheet.rect(edge - 2, plot.y, 56, 24, "accent", radius=3, key="box")
    sheet.text(edge + 26, plot.y + 17, "head", anchor="middle", fill="paper")
