"""A drawing as PDF or PNG, through matplotlib, from the same primitives."""

from inception_edu.figures import svg
from inception_edu.figures.theme import LIGHT, PALETTE

DPI = 96  # one pixel of a drawing is one CSS pixel
ANCHORS = {"start": "left", "middle": "center", "end": "right"}


def figure_of(drawing, scale=1.0):
    """A matplotlib Figure that shows a `Drawing`, in the light colors.

    Raw SVG markup in the drawing is left out.
    """
    from matplotlib.figure import Figure

    size = (drawing.width / DPI * scale, drawing.height / DPI * scale)
    figure = Figure(figsize=size, dpi=DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    axes.axis("off")
    point = 72 / DPI * scale  # points in one pixel
    for order, item in enumerate(drawing.items):
        if type(item) in ARTISTS:
            artist = ARTISTS[type(item)](item, point)
            artist.set(zorder=order, clip_on=False)
            axes.add_artist(artist)
    return figure


def save(drawing, path, title=""):
    """Write a drawing to a `.pdf` or `.png` file, the same bytes every time."""
    pdf = path.suffix == ".pdf"
    metadata = {"Title": title, "CreationDate": None} if pdf else {"Title": title}
    figure_of(drawing).savefig(path, dpi=2 * DPI, metadata=metadata)


def _color(name):
    return LIGHT.get(name) or PALETTE.get(name, name)


def _dashes(item):
    return (0, [float(d) for d in item.dash.split()]) if item.dash else "solid"


def _look(item, point):
    return {
        "facecolor": _color(item.fill),
        "edgecolor": _color(item.stroke),
        "linewidth": getattr(item, "stroke_width", 1) * point,
        "alpha": getattr(item, "opacity", 1),
    }


def _rect(item, point):
    from matplotlib.patches import FancyBboxPatch, Rectangle

    look, radius = _look(item, point) | {"linestyle": _dashes(item)}, item.radius
    corner, size = (item.x, item.y), (item.width, item.height)
    if radius:
        corner = (item.x + radius, item.y + radius)
        size = (item.width - 2 * radius, item.height - 2 * radius)
        return FancyBboxPatch(corner, *size, boxstyle=f"round,pad={radius}", **look)
    else:
        return Rectangle(corner, *size, **look)


def _polygon(item, point):
    from matplotlib.patches import Polygon

    return Polygon(item.points, **_look(item, point))


def _circle(item, point):
    from matplotlib.patches import Circle

    return Circle((item.x, item.y), item.radius, **_look(item, point))


def _line(item, point):
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    later = Path.CURVE4 if item.curve else Path.LINETO
    path = Path(item.points, [Path.MOVETO, *[later] * (len(item.points) - 1)])
    look = {"edgecolor": _color(item.stroke), "linewidth": item.width * point}
    look |= {"linestyle": _dashes(item), "alpha": item.opacity}
    return PathPatch(path, facecolor="none", **look)


def _strokes(item, point):
    from matplotlib.collections import LineCollection

    look = {"colors": _color(item.stroke), "linewidths": point, "alpha": item.opacity}
    return LineCollection(item.lines, **look)


def _text(item, point):
    from matplotlib.text import Text

    return Text(
        item.x,
        item.y,
        item.text,
        fontsize=item.size * point,
        color=_color(item.fill),
        horizontalalignment=ANCHORS[item.anchor],
        verticalalignment="baseline",
        fontweight="bold" if item.bold else "normal",
        fontfamily="DejaVu Sans",  # the font that the widths were taken from
        rotation=-item.rotate,
        rotation_mode="anchor",
        parse_math=False,
    )


ARTISTS = {
    svg.Rect: _rect,
    svg.Polygon: _polygon,
    svg.Circle: _circle,
    svg.Line: _line,
    svg.Strokes: _strokes,
    svg.Text: _text,
}
