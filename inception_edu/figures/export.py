"""A drawing as PDF or PNG, through matplotlib, from the same primitives."""

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from matplotlib.text import Text

from inception_edu.figures import svg
from inception_edu.figures.theme import LIGHT, PALETTE

DPI = 96  # one pixel of a drawing is one CSS pixel
POINT = 72 / DPI  # points in one pixel
ANCHORS = {"start": "left", "middle": "center", "end": "right"}


def save(drawing, path, title=""):
    """Write a drawing to a `.pdf` or `.png` file, the same bytes every time.

    It is shown in the light colors, and without raw SVG markup.
    """
    figure = Figure(figsize=(drawing.width / DPI, drawing.height / DPI), dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    axes.axis("off")
    for order, item in enumerate(drawing.items):
        artist = _artist(item)
        if artist:
            artist.set(zorder=order, clip_on=False)
            axes.add_artist(artist)
    metadata = {"Title": title}
    if path.suffix == ".pdf":
        metadata["CreationDate"] = None
    figure.savefig(path, dpi=2 * DPI, metadata=metadata)


def _color(name):
    return LIGHT.get(name) or PALETTE.get(name, name)


def _artist(item):
    """What matplotlib draws of a primitive; None for raw markup."""
    if isinstance(item, svg.Text):
        return Text(
            item.x,
            item.y,
            item.text,
            fontsize=item.size * POINT,
            color=_color(item.fill),
            horizontalalignment=ANCHORS[item.anchor],
            verticalalignment="baseline",
            fontweight="bold" if item.bold else "normal",
            fontfamily="DejaVu Sans",  # the font that the widths were taken from
            parse_math=False,
        )
    if isinstance(item, svg.Line | svg.Strokes):
        is_line = isinstance(item, svg.Line)
        return LineCollection(
            [item.points] if is_line else item.lines,
            colors=_color(item.stroke),
            linewidths=POINT * (item.width if is_line else 1),
            linestyles=_dashes(item) if is_line else "solid",
            alpha=1 if is_line else item.opacity,
        )
    if not isinstance(item, svg.Area):
        return None
    look = {"facecolor": _color(item.fill), "alpha": item.opacity}
    if isinstance(item, svg.Polygon):
        return Polygon(item.points, edgecolor="none", **look)
    if isinstance(item, svg.Circle):
        return Circle((item.x, item.y), item.radius, edgecolor="none", **look)
    return FancyBboxPatch(
        (item.x + item.radius, item.y + item.radius),
        item.width - 2 * item.radius,
        item.height - 2 * item.radius,
        boxstyle=f"round,pad={item.radius}",
        edgecolor=_color(item.stroke),
        linewidth=item.stroke_width * POINT,
        linestyle=_dashes(item),
        **look,
    )


def _dashes(item):
    return (0, [float(d) for d in item.dash.split()]) if item.dash else "solid"
