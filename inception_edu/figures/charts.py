"""Charts for a notebook: plain data in, a matplotlib Figure out.

Every chart has a title, axes with units, big type for a projector, labels at
the data rather than in a legend, and a marker beside each color. Figures are
made without pyplot, so that a cell shows one once: as its last expression.
"""

from math import isfinite

import numpy
from matplotlib import rc_context
from matplotlib.figure import Figure

from inception_edu.figures.labels import spread
from inception_edu.figures.theme import LIGHT, MARKERS, PALETTE
from inception_edu.text import number

STYLE = rc_context(
    {
        "font.size": 14,
        "axes.titlesize": 17,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "xtick.labelsize": 13,
        "ytick.labelsize": 13,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": LIGHT["line"],
        "axes.labelcolor": LIGHT["ink"],
        "text.color": LIGHT["ink"],
        "xtick.color": LIGHT["ink"],
        "ytick.color": LIGHT["ink"],
        "grid.color": LIGHT["grid"],
        "font.family": "DejaVu Sans",  # ships with matplotlib: same sizes everywhere
    }
)
# For lines that stand for networks; one named after a kernel has its color.
SERIES = ("#a3006d", "#1b1b1b", "#00777f", "#8a5a00", "#5b3fa8", "#5c7300", "#6b7075")


@STYLE
def accuracy_by_scale(results, *, title="Accuracy by size of the digit", chance):
    """A line chart of accuracy against digit size, one line a network.

    `results` is `{name: {sizes such as "10-15": (mean, spread)}}`, from 0 to 1.
    `chance`, the accuracy of guessing, is written on the axis.
    """
    guess = f"guessing: {number(100 * chance)}"
    figure, axes = _figure(
        title, "size of the digit (pixels)", f"test accuracy (%; {guess})", 5.0
    )
    percents = {
        name: 100 * numpy.array(list(sizes.values()), float).T
        for name, sizes in results.items()
    }
    first = next(iter(results.values()))
    _draw_lines(axes, list(first), {n: mean for n, (mean, _) in percents.items()})
    for line, (mean, s) in zip(axes.lines, percents.values(), strict=True):
        style = {"color": line.get_color(), "alpha": 0.15, "linewidth": 0}
        axes.fill_between(line.get_xdata(), mean - s, mean + s, **style)
    return figure


@STYLE
def learning_curve(losses, *, title="Training"):
    """A line chart of training losses, `{name: one loss an epoch}`.

    The text twin has no numbers: another processor measures slightly different
    ones.
    """
    figure, axes = _figure(title, "epoch", "training loss", 4.2)
    epochs = range(1, max(map(len, losses.values())) + 1)
    _draw_lines(axes, epochs, losses)
    axes.xaxis.get_major_locator().set_params(integer=True)
    figure.twin_digits = 0
    return figure


def _figure(title, x_label, y_label, height):
    figure = Figure(figsize=(9.0, height), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.grid(axis="y")
    return figure, axes


def _draw_lines(axes, xs, lines):
    """A line with markers for each of `lines`, its name at its last finite value."""
    ends = []
    for index, (name, values) in enumerate(lines.items()):
        tone = PALETTE.get(name.split()[0], SERIES[index % len(SERIES)])
        marker = MARKERS[index % len(MARKERS)]
        style = {"color": tone, "marker": marker, "markersize": 9, "linewidth": 2.5}
        (line,) = axes.plot(xs[: len(values)], values, label=name, **style)
        points = zip(line.get_xdata(), values, strict=True)
        finite = [point for point in points if isfinite(point[1])]
        if finite:  # a training that diverged ends earlier
            ends.append((*finite[-1], name, tone))
    low, high = axes.get_ylim()
    levels = spread([y for _, y, *_ in ends], low, high, (high - low) * 0.075)
    for level, (*end, name, tone) in zip(levels, ends, strict=True):
        axes.annotate(
            name,
            xy=end,
            xytext=(1.02, level),
            textcoords=("axes fraction", "data"),
            va="center",
            arrowprops={"arrowstyle": "-", "color": tone, "linewidth": 1.2},
            annotation_clip=False,
        )


@STYLE
def sample_sheet(images, labels, scales):
    """A sheet of images `(n, 3, H, W)`, each with its label and its digit's size."""
    pictures = numpy.asarray(images).transpose(0, 2, 3, 1)
    columns = min(8, len(pictures))
    rows = -(-len(pictures) // columns)
    size = (1.15 * columns, 1.42 * rows + 0.5)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    places = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in places:
        axes.axis("off")
    for axes, picture, label, scale in zip(
        places, pictures, labels, scales, strict=False
    ):
        axes.imshow(picture, interpolation="nearest")
        words = f"{int(label)}, {number(scale)} px"
        axes.set_title(words, fontsize=13, fontweight="normal", loc="center")
    style = {"x": 0.01, "ha": "left", "weight": "bold", "fontsize": 17}
    figure.suptitle("Samples: label, size of the digit", **style)
    return figure
