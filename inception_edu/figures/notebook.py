"""What a notebook stores for a picture: an image with alt text, and its twin.

The twin is text that says what a figure shows, with its numbers; a test of the
notebook compares it, while pixels stay free.
"""

import base64
import sys
from io import BytesIO

from inception_edu.figures.svg import escape, without_variables
from inception_edu.text import dims, number

COLORS = 128  # of a stored PNG; a chart needs fewer
FEW = 8  # points of a line that are all named in its twin


def picture_html(picture, alt):
    """HTML that shows an SVG (text) or a PNG (bytes) as an image with alt text.

    JupyterLab gives an image output no alt text and hides SVG output until the
    notebook is trusted; this it shows everywhere, as do GitHub and nbconvert.
    """
    return f'<img alt="{escape(" ".join(alt.split()))}" src="{data_uri(picture)}">'


def data_uri(picture):
    """An SVG (text) or a PNG (bytes) as the address of an image."""
    if isinstance(picture, str):
        # Pixels are measured and differ a little between processors: nbval, which
        # compares drawings, leaves out those that hold some (tests/sanitize.cfg).
        kind = "svg+xml;pixels=1" if "<image" in picture else "svg+xml"
        data = without_variables(picture).encode()
    else:
        kind, data = "png", picture
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def setup_notebook(shell=None):
    """True where IPython runs: its figures then come with alt text and a twin.

    Costs nothing and imports no matplotlib; call it as often as you like.
    """
    if shell is None:
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    if shell is None or not hasattr(shell, "display_formatter"):
        return False
    bundles = shell.display_formatter.mimebundle_formatter
    bundles.for_type_by_name("matplotlib.figure", "Figure", _bundle_for(shell))
    return True


def _bundle_for(shell):
    def bundle(figure, include=None, exclude=None):
        # pyplot adds its own PNG, without alt text, whenever it starts.
        shell.display_formatter.formatters["image/png"].pop(type(figure), None)
        twin = describe(figure)
        html = picture_html(png_of(figure), twin)
        return {"text/plain": twin, "text/html": html}

    return bundle


def png_of(figure):
    """The figure as PNG bytes, in few colors: about a third of the usual size."""
    from PIL import Image

    buffer = BytesIO()
    figure.savefig(
        buffer, format="png", dpi=figure.dpi, bbox_inches="tight", pad_inches=0.1
    )
    image = Image.open(buffer).convert("RGB")
    small = image.quantize(COLORS, dither=Image.Dither.NONE)
    buffer = BytesIO()
    small.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


# ---- the twin --------------------------------------------------------------------


def describe(figure):
    """What a matplotlib figure shows, in lines of text.

    Title, axis labels, each line with its ends and extremes, each bar with its
    value, image sizes; numbers have 3 significant digits. A figure whose
    `twin_digits` is set has that many; 0 leaves numbers out, for what a
    training measured and another processor would measure slightly otherwise.
    """
    digits = getattr(figure, "twin_digits", 3)
    lines = []
    heading = figure.get_suptitle()
    panels = figure.get_axes()
    images = [axes for axes in panels if _is_picture(axes)]
    if len(images) > 3:  # a sheet: one line for all
        panels = [axes for axes in panels if axes not in images]
        lines += _sheet_lines(images)
    for axes in panels:
        lines += _axes_lines(axes, digits)
    first = "Figure: " + " ".join(heading.split()) if heading else "Figure"
    if not heading and len(panels) == 1 and lines:
        return "\n".join([f"Figure: {lines[0]}", *("  " + line for line in lines[1:])])
    return "\n".join([first, *("  " + line for line in lines)])


def _words(text):
    return " ".join(text.split())


def _is_picture(axes):
    return bool(axes.images) and not axes.lines and not axes.patches


def _sheet_lines(images):
    sizes = {dims(axes.images[0].get_array().shape) for axes in images}
    captions = [_words(axes.get_title() or axes.get_xlabel()) for axes in images]
    lines = [f"{len(images)} images of {', '.join(sorted(sizes))} pixels"]
    if any(captions):
        lines.append("captions: " + " | ".join(captions))
    return lines


def _axes_lines(axes, digits):
    title = _words(axes.get_title() or axes.get_title("left"))
    parts = [title] if title else []
    parts += [
        f"{name}: {_words(label)}"
        for name, label in (("x", axes.get_xlabel()), ("y", axes.get_ylabel()))
        if label
    ]
    lines = ["; ".join(parts) or "axes without title"]
    for container in axes.containers:
        if type(container).__name__ == "BarContainer":
            lines.append(_bar_line(axes, container, digits))
    for line in axes.lines:
        if len(line.get_xdata()) > 2 or not _name(line).startswith("_"):
            lines.append(_curve_line(line, digits))
    for points in axes.collections:
        if type(points).__name__ == "PathCollection":
            count = len(points.get_offsets())
            lines.append(f"points{_label(points)}: n={count}")
    for image in axes.images:
        size = dims(image.get_array().shape)
        lines.append(f"image{_label(image)}: {size} pixels")
    return lines


def _name(artist):
    return str(artist.get_label())


def _label(artist):
    name = _name(artist)
    return "" if name.startswith("_") else f" {_words(name)}"


def _bar_line(axes, container, digits):
    standing = container.orientation != "horizontal"
    axis = axes.xaxis if standing else axes.yaxis
    names = {
        round(float(place), 6): tick.get_text()
        for place, tick in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
    }
    texts = []
    for bar in container.patches:
        value = bar.get_height() if standing else bar.get_width()
        start = bar.get_x() if standing else bar.get_y()
        size = bar.get_width() if standing else bar.get_height()
        name = names.get(round(float(start + size / 2), 6), "")
        if not value and len(container.patches) > 1:
            continue
        shown = number(value, digits) if digits else ""
        texts.append(f"{_words(name)} {shown}".strip())
    return f"bars{_label(container)}: {', '.join(texts)}"


def _curve_line(line, digits):
    values = [float(v) for v in line.get_ydata()]
    text = f"line{_label(line)}: n={len(values)}"
    if not digits or not values:
        return text
    if len(values) <= FEW:
        return f"{text}, values {', '.join(number(v, digits) for v in values)}"
    marks = {
        "first": values[0],
        "last": values[-1],
        "min": min(values),
        "max": max(values),
    }
    shown = (f"{name} {number(value, digits)}" for name, value in marks.items())
    return f"{text}, {', '.join(shown)}"
