"""What a notebook stores for a picture: an image with alt text, and its twin.

The twin is text that says what a figure shows, with its numbers; a test of the
notebook compares it, while pixels stay free.
"""

import base64
import re
from io import BytesIO

from inception_edu.cards import ipython_shell
from inception_edu.figures.svg import escape
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
        # An image inherits no variables from the page: plain light colors.
        data = re.sub(r"var\(--ie-\w+, (#\w+)\)", r"\1", picture).encode()
    else:
        kind, data = "png", picture
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def setup_notebook():
    """Where IPython runs, figures of matplotlib come with alt text and a twin."""
    shell = ipython_shell()
    if not hasattr(shell, "display_formatter"):
        return

    def bundle(figure, include=None, exclude=None):
        # pyplot adds its own PNG, without alt text, whenever it starts.
        shell.display_formatter.formatters["image/png"].pop(type(figure), None)
        twin = describe(figure)
        html = picture_html(png_of(figure), twin)
        return {"text/plain": twin, "text/html": html}

    bundles = shell.display_formatter.mimebundle_formatter
    bundles.for_type_by_name("matplotlib.figure", "Figure", bundle)


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

    Title, axis labels, each line with its values or its ends and extremes, the images
    of a sheet; numbers have 3 significant digits, or as many as the figure's
    `twin_digits`. 0 leaves numbers out, for what a training measured and another
    processor would measure slightly differently.
    """
    digits = getattr(figure, "twin_digits", 3)
    panels = [axes for axes in figure.get_axes() if axes.axison or axes.has_data()]
    sheet = [axes for axes in panels if axes.images]
    lines = []
    if len(sheet) > 3:  # a sheet: one line for all
        panels = [axes for axes in panels if axes not in sheet]
        sizes = {dims(axes.images[0].get_array().shape) for axes in sheet}
        lines.append(f"{len(sheet)} images of {', '.join(sorted(sizes))} pixels")
        captions = " | ".join(" ".join(axes.get_title().split()) for axes in sheet)
        lines.append(f"captions: {captions}")
    for axes in panels:
        lines += _axes_lines(axes, digits)
    heading = " ".join(figure.get_suptitle().split())
    if not heading and len(panels) == 1:
        heading = lines.pop(0)
    first = f"Figure: {heading}" if heading else "Figure"
    return "\n".join([first, *("  " + line for line in lines)])


def _axes_lines(axes, digits):
    title = axes.get_title() or axes.get_title("left")
    names = {"": title, "x: ": axes.get_xlabel(), "y: ": axes.get_ylabel()}
    parts = [f"{what}{' '.join(name.split())}" for what, name in names.items() if name]
    yield "; ".join(parts) or "axes without title"
    for line in axes.lines:
        name, values = str(line.get_label()), [float(v) for v in line.get_ydata()]
        if name.startswith("_"):  # matplotlib's own, such as "_child3"
            if len(values) <= 2:
                continue
            name = ""
        yield f"line {name}".rstrip() + f": n={len(values)}{_numbers(values, digits)}"


def _numbers(values, digits):
    if not digits or not values:
        return ""
    if len(values) <= FEW:
        return f", values {', '.join(number(value, digits) for value in values)}"
    marks = {"first": values[0], "last": values[-1]}
    marks |= {"min": min(values), "max": max(values)}
    shown = (f"{name} {number(value, digits)}" for name, value in marks.items())
    return f", {', '.join(shown)}"
