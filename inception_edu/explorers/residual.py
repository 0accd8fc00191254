"""The residual explorer: what does the scale do to activations and gradients?

A stack of Inception-ResNet blocks, `relu(x + scale * up(branches(x)))`, at its first
weights: how large are the activations after n blocks, how large the gradient that
comes back through them, as root mean squares (RMS)? Two predictions to hold against
what was measured:

- batch normalization gives every branch the variance 1, whatever comes in, so each
  block *adds*: the mean square grows to 1 + n scale^2;
- without it a branch is as large as its input, so each block *multiplies*:
  (1 + scale^2)^n, and the gradient's mean square likewise.

    python -m experiments residual

measures the stacks again (three seeds, a minute) and writes residual.csv. Szegedy
et al., Inception-v4, arXiv 1602.07261, section 3.3 and figure 20: scales of 0.1 to
0.3; the release has 0.17, 0.10 and 0.20.
"""

from functools import cache
from math import ceil, log10, sqrt
from pathlib import Path
from typing import NamedTuple

from inception_edu.explorers.controls import Check, Picture, Range, Steps
from inception_edu.figures.plot import SHEET, Plot, label
from inception_edu.figures.svg import Drawing
from inception_edu.files import read_rows
from inception_edu.text import number, percent, times

TABLE = Path(__file__).with_suffix(".csv")
SCALES = [0.0, 0.05, 0.1, 0.17, 0.2, 0.3, 0.5, 1.0]
DEPTH = 20
LOW = 0.5  # of the axes: a gradient may shrink a little

QUESTION = "What does the residual scale do to activations and gradients?"
CONTROLS = [
    Steps("scale", "residual scale", SCALES, 0.1),
    Range("depth", "blocks", 1, DEPTH, 1, 10),
    Check("norm", "batch norm in the branches", True),
]
SWEEP = {"scale": [0.1, 0.2, 0.3, 1.0], "depth": [5, 10, 20], "norm": [True, False]}


class Stats(NamedTuple):
    """After n blocks: the RMS of the activations over that of the input, the RMS of
    the gradient at the input over that at the end, and the share of zeros."""

    activations: float
    gradient: float
    zeros: float


@cache
def measured():
    """`{(norm, scale): [Stats, ...]}`, from depth 0 on."""
    found = {}
    for row in read_rows(TABLE):
        key = (row["norm"] == "1", float(row["scale"]))
        values = Stats(*(float(row[name]) for name in Stats._fields))
        found.setdefault(key, []).append(values)
    return found


def predicted(scale, norm, depth):
    """RMS of the activations if branches have variance 1, or that of their input."""
    return sqrt(1 + depth * scale**2 if norm else (1 + scale**2) ** depth)


def draw(state):
    scale, depth, norm = state["scale"], state["depth"], state["norm"]
    now, unscaled = (measured()[norm, s][depth] for s in (scale, 1.0))
    both = f"{times(unscaled.activations)} and {times(unscaled.gradient)}"
    beside = f"; at scale 1, {both} as large" if scale != 1 else ""
    summary = (
        f"After {depth} block{'s' * (depth > 1)} at scale {scale:g} the activations "
        f"are {times(now.activations)} as large as the input, the gradient "
        f"{times(now.gradient)} as large as at the end{beside}"
    )
    sheet = Drawing(SHEET, 420)
    draw_depths(sheet, 30, state, "activations", "RMS of the activations (input: 1)")
    name = "RMS of the gradient at the input (end: 1)"
    draw_depths(sheet, 212, state, "gradient", name)
    formula = "root of 1 + n scale²" if norm else "root of (1 + scale²) to the n"
    words = (
        f"Predicted: {predicted(scale, norm, depth):,.4g}, the {formula}. "
        f"{percent(now.zeros)} of the activations are 0."
    )
    sheet.fitted_text(0, 412, words, SHEET - 2)
    title = f"Residual scale, norm {'on' if norm else 'off'}: {summary}"
    return Picture(sheet.svg(title, words), f"{summary}.")


def draw_depths(sheet, top, state, what, name):
    """One quantity over the depth on a log axis: as chosen, at scale 1, predicted."""
    scale, depth, norm = state["scale"], state["depth"], state["norm"]
    values, unscaled = (
        [getattr(row, what) for row in measured()[norm, s]] for s in (scale, 1.0)
    )
    curves = [(f"scale {scale:g}", values, "accent", 3, None)]
    if what == "activations" or not norm:
        expected = [predicted(scale, norm, n) for n in range(DEPTH + 1)]
        curves.insert(0, ("predicted", expected, "muted", 2, "2 4"))
    if scale != 1:
        curves.insert(0, ("scale 1", unscaled, "ink", 2, "7 5"))
    high = 10.0 ** max(1, ceil(log10(max(unscaled))))
    box = (58, top, SHEET - 58 - 112, 130)
    plot = Plot(sheet, box, (0, DEPTH), (LOW, high), log_y=True)
    below = "blocks" if what == "gradient" else ""
    plot.axes(below, name, number, lambda value: f"{value:,g}")
    for _, along, *style in curves:
        plot.curve(enumerate(along), *style)
    plot.mark(depth, values[depth])
    plot.label_curves([(DEPTH, v[-1], name, stroke) for name, v, stroke, *_ in curves])
    x, y = plot.at(depth, values[depth])
    x = min(max(x, plot.x + 22), plot.right - 22)  # clear of the numbers and names
    y += -12 if y > plot.y + 24 else 24
    value = values[depth]
    text = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    label(sheet, x, y, text, anchor="middle", bold=True, fill="accent")
