"""A drawing as PDF or PNG, through matplotlib, from the same primitives."""

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from matplotlib.text import Text

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
    """What matplotlib draws of an element; None for raw markup."""
    if isinstance(item, str):
        return None
    look = {name: value for name, value in item.look.items() if value is not None}
    dashes = [float(dash) for dash in look.get("stroke-dasharray", "").split()]
    style = {
        "linestyle": (0, dashes) if dashes else "solid",
        "linewidth": POINT * look.get("stroke-width", 1),
        "alpha": look.get("opacity", 1),
    }
    if item.tag == "text":
        return Text(
            look["x"],
            look["y"],
            item.text,
            fontsize=look["font-size"] * POINT,
            color=_color(look["fill"]),
            horizontalalignment=ANCHORS[look.get("text-anchor", "start")],
            verticalalignment="baseline",
            fontweight="bold" if "font-weight" in look else "normal",
            fontfamily="DejaVu Sans",  # the font that the widths were taken from
            parse_math=False,
        )
    if item.tag == "path":
        return LineCollection(item.lines, colors=_color(look["stroke"]), **style)
    style["facecolor"] = _color(look["fill"])
    style["edgecolor"] = _color(look.get("stroke", "none"))
    if item.tag == "polygon":
        return Polygon(*item.lines, **style)
    if item.tag == "circle":
        return Circle((look["cx"], look["cy"]), look["r"], **style)
    radius = look.get("rx", 0)
    return FancyBboxPatch(
        (look["x"] + radius, look["y"] + radius),
        look["width"] - 2 * radius,
        look["height"] - 2 * radius,
        boxstyle=f"round,pad={radius}",
        **style,
    )
