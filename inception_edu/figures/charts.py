"""Charts for a notebook: plain data in, a matplotlib Figure out.

Every chart has a title, axes with units, big type for a projector, labels at
the data rather than in a legend, and a marker beside each color.
matplotlib is imported when a chart is drawn. Figures are made without pyplot,
so that a cell shows one once: as its last expression.
"""

from math import isfinite

from inception_edu.figures.labels import spread
from inception_edu.figures.theme import LIGHT, MARKERS, PALETTE
from inception_edu.text import number

STYLE = {
    "font.size": 14,
    "axes.titlesize": 17,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 14,
    "xtick.labelsize": 13,
    "ytick.labelsize": 13,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LIGHT["line"],
    "axes.labelcolor": LIGHT["ink"],
    "text.color": LIGHT["ink"],
    "xtick.color": LIGHT["ink"],
    "ytick.color": LIGHT["ink"],
    "axes.grid": False,
    "grid.color": LIGHT["grid"],
    "font.family": "DejaVu Sans",  # ships with matplotlib: same sizes everywhere
}
DPI = 100
# For lines that stand for networks; one named after a kernel has its color.
SERIES = ("#a3006d", "#1b1b1b", "#00777f", "#8a5a00", "#5b3fa8", "#5c7300", "#6b7075")


def _figure(width=9.0, height=4.6):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _styled(draw):
    """Run a chart under the theme's settings, and only it."""
    from functools import wraps

    @wraps(draw)
    def chart(*args, **kwargs):
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return chart


def _tone(name, place):
    """The color of a series: a kernel's for "3x3 only", else the next one."""
    kernel = next(iter(name.split()), "")
    return PALETTE.get(kernel, SERIES[place % len(SERIES)])


@_styled
def accuracy_by_scale(results, *, title=None, chance=None, twin_digits=3):
    """A line chart of accuracy against digit size, one line a network.

    `results` is `{name: {size in pixels: (mean, spread)}}`, accuracies from 0
    to 1; a plain number stands for a mean without spread. `chance`, the accuracy
    of guessing, is written on the axis. Raises ValueError when there is nothing.
    """
    if not results or not all(results.values()):
        raise ValueError(
            "nothing to show; pass {name: {size: (mean, spread)}}, for example "
            "{'naive': {10: (0.77, 0.02)}}"
        )
    figure = _figure(height=5.0)
    axes = figure.subplots()
    ends = []
    for place, (name, bins) in enumerate(results.items()):
        name, sizes = str(name), list(bins)
        pairs = [v if isinstance(v, tuple | list) else (v, 0.0) for v in bins.values()]
        means = [100 * mean for mean, _ in pairs]
        spreads = [100 * spread for _, spread in pairs]
        tone = _tone(name, place)
        axes.plot(
            range(len(sizes)) if isinstance(sizes[0], str) else sizes,
            means,
            color=tone,
            marker=MARKERS[place % len(MARKERS)],
            markersize=9,
            linewidth=2.5,
            label=name,
        )
        xs = axes.lines[-1].get_xdata()
        if any(spreads):
            low = [m - s for m, s in zip(means, spreads, strict=True)]
            high = [m + s for m, s in zip(means, spreads, strict=True)]
            axes.fill_between(xs, low, high, color=tone, alpha=0.15, linewidth=0)
        ends.append((means[-1], xs[-1], name, tone))
    first = list(next(iter(results.values())))
    if isinstance(first[0], str):
        axes.set_xticks(range(len(first)), first)
    else:
        axes.set_xticks(first, [number(size) for size in first])
    axes.set_xlabel("size of the digit (pixels)")
    guess = f"; guessing: {number(100 * chance)}" if chance is not None else ""
    axes.set_ylabel(f"test accuracy (%{guess})")
    axes.grid(axis="y")
    axes.set_title(title or "Accuracy by size of the digit")
    _label_ends(axes, ends)
    figure.twin_digits = twin_digits
    return figure


@_styled
def learning_curve(
    history, *, title=None, ylabel="training loss", xlabel="epoch", twin_digits=0
):
    """A line chart of a training: `{name: list}`, a list, or a history.

    A history is any object with lists `.loss` and `.accuracy`; accuracy then
    has a panel of its own. Numbers stay out of the text twin, since another
    processor measures slightly different ones; `twin_digits=2` brings them in.
    """
    panels = []
    if hasattr(history, "loss"):
        panels.append(({"loss": list(history.loss)}, ylabel))
        accuracy = [100 * value for value in getattr(history, "accuracy", None) or ()]
        if accuracy:
            panels.append(({"accuracy": accuracy}, "test accuracy (%)"))
    else:
        lines = history if isinstance(history, dict) else {"": list(history)}
        panels.append(({name: list(values) for name, values in lines.items()}, ylabel))
    if not any(any(lines.values()) for lines, _ in panels):
        raise ValueError("the history is empty; train for at least one epoch first")
    figure = _figure(width=9.0, height=4.2)
    for axes, (lines, label) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        ends = []
        for place, (name, values) in enumerate(lines.items()):
            name = str(name)
            tone, marker = _tone(name, place), MARKERS[place % len(MARKERS)]
            epochs = range(1, len(values) + 1)
            axes.plot(
                epochs, values, color=tone, marker=marker, linewidth=2.5, label=name
            )
            points = zip(values, epochs, strict=True)
            finite = [point for point in points if isfinite(point[0])]
            if finite and len(lines) > 1:  # a training that diverged ends earlier
                ends.append((*finite[-1], name, tone))
        axes.set_xlabel(xlabel)
        axes.set_ylabel(label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(axis="y")
        _label_ends(axes, ends)
    if len(panels) > 1:
        figure.suptitle(title or "Training", x=0.01, ha="left", weight="bold")
    else:
        figure.axes[0].set_title(title or "Training")
    figure.twin_digits = twin_digits
    return figure


def _label_ends(axes, ends):
    """Names at the right ends of lines, pushed apart until none overlap."""
    if not ends:
        return
    low, high = axes.get_ylim()
    room = (high - low) * 0.075
    levels = spread([end[0] for end in ends], low, high, room)
    for level, (value, x, name, tone) in zip(levels, ends, strict=True):
        axes.annotate(
            name,
            xy=(x, value),
            xytext=(1.02, level),
            textcoords=("axes fraction", "data"),
            va="center",
            color=LIGHT["ink"],
            arrowprops={"arrowstyle": "-", "color": tone, "linewidth": 1.2},
            annotation_clip=False,
        )


@_styled
def sample_sheet(images, labels, scales=None, *, columns=8, title=None):
    """A sheet of images, each with its label and the size of its digit.

    `images` is `(n, 3, H, W)` or `(n, H, W)`, uint8 or 0 to 1 floats, arrays or
    tensors; `labels` and `scales` (pixels) have n entries. Raises ValueError
    when they do not agree.
    """
    import numpy

    pictures = numpy.asarray(images)
    if pictures.ndim == 4 and pictures.shape[1] in (1, 3):
        pictures = pictures.transpose(0, 2, 3, 1)
    if pictures.ndim not in (3, 4) or not len(pictures):
        raise ValueError(
            f"images of shape {numpy.asarray(images).shape}; expected (n, 3, H, W) "
            "with n of at least 1"
        )
    labels = [str(int(v)) if hasattr(v, "__int__") else str(v) for v in labels]
    sizes = None if scales is None else [float(v) for v in scales]
    for name, values in (("labels", labels), ("scales", sizes)):
        if values is not None and len(values) != len(pictures):
            raise ValueError(
                f"{len(pictures)} images, but {len(values)} {name}; pass one each"
            )
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure = _figure(width=1.15 * columns, height=1.42 * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        axes.axis("off")
        if place >= len(pictures):
            continue
        axes.imshow(pictures[place], cmap="gray", interpolation="nearest")
        caption = labels[place]
        if sizes is not None:
            caption += f", {number(sizes[place])} px"
        axes.set_title(caption, fontsize=13, fontweight="normal", loc="center")
    figure.suptitle(
        title or "Samples: label, size of the digit",
        x=0.01, ha="left", weight="bold", fontsize=17,
    )  # fmt: skip
    return figure
