"""A drawing as PDF or PNG, through matplotlib, from the same primitives."""

from inception_edu.figures import svg
from inception_edu.figures.theme import LIGHT, PALETTE

DPI = 96  # one pixel of a drawing is one CSS pixel


def _color(name):
    return LIGHT.get(name) or PALETTE.get(name, name)


def figure_of(drawing, scale=1.0):
    """A matplotlib Figure that shows a `Drawing`, in the light colours.

    Raw SVG markup in the drawing is left out.
    """
    from matplotlib import patches
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.path import Path

    figure = Figure(
        figsize=(drawing.width / DPI * scale, drawing.height / DPI * scale), dpi=DPI
    )
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    axes.axis("off")
    point = 72 / DPI * scale  # points in one pixel

    for order, item in enumerate(drawing.items):
        look = {"zorder": order, "clip_on": False}
        if isinstance(item, svg.Rect | svg.Polygon | svg.Circle):
            look["facecolor"] = _color(item.fill)
            look["edgecolor"] = _color(item.stroke)
            look["linewidth"] = getattr(item, "stroke_width", 1) * point
            look["alpha"] = getattr(item, "opacity", 1)
        if isinstance(item, svg.Rect):
            corner, radius = (item.x, item.y), item.radius
            if item.dash:
                look["linestyle"] = (0, [float(d) for d in item.dash.split()])
            if radius:
                shape = patches.FancyBboxPatch(
                    (item.x + radius, item.y + radius),
                    item.width - 2 * radius,
                    item.height - 2 * radius,
                    boxstyle=f"round,pad={radius}",
                    **look,
                )
            else:
                shape = patches.Rectangle(corner, item.width, item.height, **look)
            axes.add_patch(shape)
        elif isinstance(item, svg.Polygon):
            axes.add_patch(patches.Polygon(item.points, **look))
        elif isinstance(item, svg.Circle):
            axes.add_patch(patches.Circle((item.x, item.y), item.radius, **look))
        elif isinstance(item, svg.Line):
            look |= {"linewidth": item.width * point, "alpha": item.opacity}
            if item.dash:
                look["linestyle"] = (0, [float(d) for d in item.dash.split()])
            if item.curve:
                codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
                path = patches.PathPatch(
                    Path(item.points, codes),
                    facecolor="none",
                    edgecolor=_color(item.stroke),
                    **look,
                )
                axes.add_patch(path)
            else:
                xs, ys = zip(*item.points, strict=True)
                axes.add_line(Line2D(xs, ys, color=_color(item.stroke), **look))
        elif isinstance(item, svg.Strokes):
            lines = LineCollection(
                item.lines,
                colors=_color(item.stroke),
                linewidths=point,
                alpha=item.opacity,
                **look,
            )
            axes.add_collection(lines, autolim=False)
        elif isinstance(item, svg.Text):
            anchor = {"start": "left", "middle": "center", "end": "right"}
            axes.text(
                item.x,
                item.y,
                item.text,
                fontsize=item.size * point,
                color=_color(item.fill),
                ha=anchor[item.anchor],
                va="baseline",
                weight="bold" if item.bold else "normal",
                family="DejaVu Sans",  # the font that the widths were taken from
                rotation=-item.rotate,
                rotation_mode="anchor",
                parse_math=False,
                zorder=order,
            )
    return figure


def save(drawing, path, title=""):
    """Write a drawing to a `.pdf` or `.png` file, the same bytes every time."""
    pdf = path.suffix == ".pdf"
    metadata = {"Title": title, "CreationDate": None} if pdf else {"Title": title}
    figure_of(drawing).savefig(path, dpi=2 * DPI, metadata=metadata)
