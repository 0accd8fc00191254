"""The residual explorer: what does the scale do to signal and gradient?

A stack of Inception-ResNet blocks, `relu(x + scale * up(branches(x)))`, at its first
weights: how large is the signal after n blocks, how large the gradient that comes
back through them? Two laws to hold against what was measured:

- batch normalisation in the branches gives every branch the same power, whatever
  comes in, so each block *adds*: the power grows to 1 + n scale^2;
- without it a branch is as strong as its input, so each block *multiplies*:
  (1 + scale^2)^n, and the gradient's power likewise.

    python -m experiments residual

measures the stacks again (`stack`, below; three seeds, a minute) and writes
residual.csv. Szegedy et al., Inception-v4, arXiv 1602.07261, section 3.3 and figure
20: scales of 0.1 to 0.3; the release has 0.17, 0.10 and 0.20.
"""

import csv
from functools import cache
from math import ceil, log10, sqrt
from pathlib import Path
from typing import NamedTuple

from inception_edu.explorers.controls import Check, Picture, Range, Steps
from inception_edu.figures.plot import LABEL, NOTE, SHEET, Plot, times
from inception_edu.figures.svg import Drawing

TABLE = Path(__file__).with_suffix(".csv")
SCALES = [0.0, 0.05, 0.1, 0.17, 0.2, 0.3, 0.5, 1.0]
DEPTH = 20
CHANNELS, INNER, GRID, BATCH = 64, 16, 8, 16
LOW = -0.3  # of the axes, in powers of ten: a gradient may shrink a little

QUESTION = "What does the scale do to signal and gradient through 5, 10, 20 blocks?"
CONTROLS = [
    Steps("scale", "residual scale", SCALES, 0.1),
    Range("depth", "blocks", 1, DEPTH, 1, 10),
    Check("norm", "batch norm in the branches", True),
]
SWEEP = {
    "scale": [0.1, 0.2, 0.3, 1.0],
    "depth": [5, 10, 20],
    "norm": [True, False],
}


class Measured(NamedTuple):
    """After n blocks: the signal's size over that of the input, the gradient's at
    the input over that at the end (root mean squares), and the share of zeros."""

    signal: float
    gradient: float
    zeros: float


# The blocks and how they are measured. Only this needs torch: a picture does not.


def stack(scale, norm, seed):
    """`DEPTH` blocks, every convolution with He's start, as in the release."""
    import torch
    from torch import nn

    from inception_edu.networks.layers import ConvUnit
    from inception_edu.networks.minis import ResidualBlock

    torch.manual_seed(seed)
    kernels = ((1, 3), (3, 1))
    blocks = nn.Sequential(
        *(ResidualBlock(CHANNELS, INNER, kernels, scale=scale) for _ in range(DEPTH))
    )
    for layer in blocks.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if isinstance(layer, ConvUnit) and not norm:
            layer.norm = nn.Identity()
    return blocks.train()


def measure(blocks, seed=0, depths=None):
    """A `Measured` for each of `depths`, by default from 0 to the whole stack."""
    import torch

    torch.manual_seed(seed)
    x = torch.randn(BATCH, CHANNELS, GRID, GRID).relu().requires_grad_()
    outputs = [x]
    for block in blocks:
        outputs.append(block(outputs[-1]))

    def size(tensor):
        return tensor.detach().double().square().mean().sqrt().item()

    found = []
    for y in outputs if depths is None else [outputs[depth] for depth in depths]:
        pull = torch.randn_like(y)
        (gradient,) = torch.autograd.grad(y, x, pull, retain_graph=True)
        zeros = (y == 0).double().mean().item()
        found.append(Measured(size(y) / size(x), size(gradient) / size(pull), zeros))
    return found


# The picture, from the table.


@cache
def measured():
    """`{(norm, scale): [Measured, ...]}`, from depth 0 on."""
    found = {}
    with open(TABLE, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            key = (row["norm"] == "1", float(row["scale"]))
            values = Measured(*(float(row[name]) for name in Measured._fields))
            found.setdefault(key, []).append(values)
    return found


def law(scale, norm, depth):
    """Size of the signal if every branch has the power 1 (or that of its input)."""
    power = 1 + depth * scale**2 if norm else (1 + scale**2) ** depth
    return sqrt(power)


def draw(state):
    """The picture of a state: signal and gradient at the chosen depth in its line."""
    scale, depth, norm = state["scale"], state["depth"], state["norm"]
    now, unscaled = (measured()[norm, s][depth] for s in (scale, 1.0))
    summary = (
        f"after {depth} block{'s' if depth > 1 else ''} at scale {scale:g}: signal "
        f"{times(now.signal)}, gradient {times(now.gradient)} as large; unscaled "
        f"{times(unscaled.signal)} and {times(unscaled.gradient)}"
    )
    sheet = Drawing(SHEET, 440)
    draw_depths(sheet, 30, state, "signal", "signal after n blocks, input = 1")
    draw_depths(sheet, 232, state, "gradient", "gradient at the input, end = 1")
    words = (
        f"the law says {law(scale, norm, depth):,.4g} for the signal; "
        f"{now.zeros:.0%} of the activations are zero"
    )
    sheet.text(0, 434, words, NOTE, bold=True)
    title = f"Residual scale, norm {'on' if norm else 'off'}: {summary}"
    return Picture(sheet.svg(title, words), summary)


def height(value):
    """Where a size stands on the axis of powers of ten."""
    return max(log10(max(value, 1e-9)), LOW)


def draw_depths(sheet, top, state, what, name):
    """One quantity over the depth, on a scale of powers: chosen, unscaled, law."""
    scale, depth, norm = state["scale"], state["depth"], state["norm"]
    high = max(1.0, *(ceil(log10(getattr(m, what))) for m in measured()[norm, 1.0][1:]))
    plot = Plot(sheet, (58, top, SHEET - 70, 138), (0, DEPTH), (LOW, high))
    sheet.text(0, top - 12, name, LABEL, bold=True)
    for power in range(int(high) + 1):
        (x, y), (end, _) = plot.at(0, power), plot.at(DEPTH, power)
        sheet.line((x, y), (end, y), stroke="grid", width=1)
        sheet.text(x - 6, y + 5, f"{10**power:,}", NOTE, anchor="end", fill="muted")
    for n in range(0, DEPTH + 1, 5):
        x, y = plot.at(n, LOW)
        label = f"{n} blocks" if n == 10 else str(n)
        sheet.text(x, y + 18, label, NOTE, anchor="middle", fill="muted")

    def curve(values, *style):
        plot.curve([(n, height(v)) for n, v in enumerate(values)], *style)

    depths = range(DEPTH + 1)
    curve([getattr(m, what) for m in measured()[norm, 1.0]], "ink", 2, "7 5")
    lawful = what == "signal" or not norm
    if lawful:
        curve([law(scale, norm, n) for n in depths], "muted", 2, "2 4")
    values = [getattr(m, what) for m in measured()[norm, scale]]
    curve(values, "accent", 3)
    plot.mark(depth, height(values[depth]))
    keys = [("scale 1", "ink", "7 5"), (f"scale {scale:g}", "accent", None)]
    if lawful:
        keys.insert(1, ("law", "muted", "2 4"))
    x = SHEET - 190 - 62 * lawful
    for label, stroke, dash in keys:
        sheet.line((x, top - 16), (x + 22, top - 16), stroke=stroke, width=3, dash=dash)
        sheet.text(x + 26, top - 11, label, NOTE)
        x += 84 if label != "law" else 62
