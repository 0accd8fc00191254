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
    axes.set(xlim=(0, drawing.width), ylim=(drawing.height, 0))
    axes.axis("off")
    for order, item in enumerate(drawing.items):
        if not isinstance(item, str):
            axes.add_artist(_artist(item)).set(zorder=order, clip_on=False)
    date = {"CreationDate": None} if path.suffix == ".pdf" else {}
    figure.savefig(path, dpi=2 * DPI, metadata={"Title": title} | date)


def _color(name):
    return LIGHT.get(name) or PALETTE.get(name, name)


def _artist(item):
    """What matplotlib draws of an element."""
    said = {name: value for name, value in item.attributes.items() if value is not None}
    if item.tag == "text":
        return Text(
            said["x"],
            said["y"],
            item.text,
            size=said["font-size"] * POINT,
            color=_color(said["fill"]),
            horizontalalignment=ANCHORS[said.get("text-anchor", "start")],
            weight="bold" if "font-weight" in said else "normal",
            family="DejaVu Sans",  # the font that the widths were taken from
            parse_math=False,
        )
    dashes = [float(dash) for dash in said.get("stroke-dasharray", "").split()]
    style = {
        "linestyle": (0, dashes) if dashes else "solid",
        "linewidth": POINT * said.get("stroke-width", 1),
        "alpha": said.get("opacity", 1),
    }
    if item.tag == "path":
        return LineCollection(item.lines, colors=_color(said["stroke"]), **style)
    style["facecolor"] = _color(said["fill"])
    style["edgecolor"] = _color(said.get("stroke", "none"))
    if item.tag == "polygon":
        return Polygon(*item.lines, **style)
    if item.tag == "circle":
        return Circle((said["cx"], said["cy"]), said["r"], **style)
    radius = said.get("rx", 0)
    corner = said["x"] + radius, said["y"] + radius
    width, height = said["width"] - 2 * radius, said["height"] - 2 * radius
    box = f"round,pad={radius}"
    return FancyBboxPatch(corner, width, height, boxstyle=box, **style)
