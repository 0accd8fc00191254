"""Small drawing primitives that know neither torch nor matplotlib.

A `Drawing` records rectangles, lines and texts in pixels; `drawing.svg(...)`
writes them. Colors are roles of the theme ("ink", "3x3") or plain values;
roles become CSS variables with a light fall-back, so that a dark page may set
its own. No element has an id, hence two drawings on one page cannot clash.
"""

from dataclasses import dataclass
from html import escape as html_escape

from inception_edu.figures.theme import FONT, HATCH, LIGHT, NOTE, PALETTE, on_color
from inception_edu.text import printable

# Advance widths of DejaVu Sans in hundredths of an em, space to tilde. It is
# the widest of the fonts in the stack, so a text never grows past its estimate.
_WIDTHS = (
    "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 "
    "34 34 84 84 84 53 100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 "
    "61 73 68 99 69 61 69 39 34 39 84 50 50 61 63 55 63 62 35 63 63 28 28 58 28 97 "
    "63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 64 84"
)
_ADVANCE = {chr(32 + i): int(w) / 100 for i, w in enumerate(_WIDTHS.split())}
_BOLD = 1.17


def text_width(text, size=NOTE, bold=False):
    """Width of `text` in pixels at `size` pixels, estimated from above."""
    width = sum(_ADVANCE.get(letter, 0.9) for letter in text) * size
    return width * _BOLD if bold else width


def cut(text, width, size=NOTE, bold=False):
    """The text, cut with "…" where it is wider than `width`."""
    # Python's own sum rounds differently since 3.12, so a hair more is allowed.
    while len(text) > 1 and text_width(text, size, bold) > width + 1e-6:
        text = text.rstrip("…")[:-1] + "…"
    return text


def color(name):
    """The CSS of a role: `var(--ie-ink, #1b1b1b)`; other values come back as given."""
    value = LIGHT.get(name)
    return f"var(--ie-{name}, {value})" if value else PALETTE.get(name, name)


@dataclass(slots=True)
class Element:
    """One SVG element. `attributes` are in order; None is left out."""

    tag: str
    attributes: dict
    text: str = ""
    tip: str | None = None
    lines: tuple = ()  # of a path or polygon: lists of points

    def markup(self):
        out = f"<{self.tag}"
        for name, value in self.attributes.items():
            if value is None:
                continue
            if name in ("fill", "stroke"):
                value = color(value)
            elif name != "opacity":
                value = _n(value)
            out += f' {name}="{value}"'
        inside = escape(self.text)
        if self.tip:
            inside = f"<title>{escape(self.tip)}</title>"
        return f"{out}>{inside}</{self.tag}>" if inside else f"{out}/>"


class Drawing:
    """A list of primitives on a sheet of `width` x `height` pixels.

    Coordinates start at the top left; `y` of a text is its baseline, `anchor`
    is "start", "middle" or "end". Every method returns the drawing, so calls
    can be chained.
    """

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.items = []

    def add(self, item):
        self.items.append(item)
        return self

    def area(
        self,
        tag,
        shape,
        fill,
        *,
        stroke="none",
        stroke_width=1,
        opacity=1,
        radius=0,
        dash=None,
        tip=None,
        key=None,
        lines=(),
    ):
        """An element with an inside; `key` names what it stands for in each picture."""
        style = {"data-key": key and escape(key), **shape, "fill": fill}
        if stroke != "none":
            style["stroke"] = stroke
            style["stroke-width"] = stroke_width if stroke_width != 1 else None
        style["opacity"] = opacity if opacity != 1 else None
        style |= {"rx": radius or None, "stroke-dasharray": dash}
        return self.add(Element(tag, style, tip=tip, lines=lines))

    def rect(self, x, y, width, height, fill="none", *, hatch=None, **style):
        """A rectangle; `hatch` is the name of the kernel whose hatch it gets."""
        shape = {"x": x, "y": y, "width": width, "height": height}
        self.area("rect", shape, fill, **style)
        kind = HATCH.get(hatch)
        lines = tuple(_hatch_lines(kind, x, y, width, height)) if kind else ()
        return self.strokes(lines, on_color(fill), 0.45) if lines else self

    def circle(self, x, y, radius, fill="ink", **style):
        return self.area("circle", {"cx": x, "cy": y, "r": radius}, fill, **style)

    def polygon(self, *points, fill="ink", **style):
        shape = {"points": " ".join(f"{_n(x)},{_n(y)}" for x, y in points)}
        return self.area("polygon", shape, fill, lines=(points,), **style)

    def text(self, x, y, text, size=NOTE, *, fill="ink", anchor="start", bold=False):
        """A line of text."""
        style = {"x": x, "y": y, "font-size": size, "fill": fill}
        style["text-anchor"] = anchor if anchor != "start" else None
        style["font-weight"] = "600" if bold else None
        return self.add(Element("text", style, printable(text)))

    def fitted_text(self, x, y, text, width, size=NOTE, **style):
        """A text that shrinks to 12 pixels, then is cut with "…", to fit `width`."""
        text, bold = printable(text), style.get("bold", False)
        natural = text_width(text, size, bold)
        if natural > width:
            size = max(12, size * width / natural)
        text = cut(text, width, size, bold)
        return self.text(x, y, text, round(size, 1), **style)

    def line(
        self,
        *points,
        stroke="line",
        width=2,
        dash=None,
        key=None,
        arrow=False,
        head=8,
        curve=False,
    ):
        """A line through `(x, y)` points, with an arrowhead at its end if asked.

        With `curve` they are a start, two control points and an end.
        """
        start, *rest = [f"{_n(x)} {_n(y)}" for x, y in points]
        way = f" C {', '.join(rest)}" if curve else f" L {' L '.join(rest)}"
        style = {"data-key": key and escape(key), "d": f"M {start}{way}"}
        style |= {"fill": "none", "stroke": stroke, "stroke-width": width}
        style["stroke-dasharray"] = dash
        self.add(Element("path", style, lines=(points,)))
        if arrow:
            (x0, y0), (x1, y1) = points[-2:]
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1.0
            ux, uy = (x1 - x0) / length * head, (y1 - y0) / length * head
            left = (x1 - ux - uy / 2, y1 - uy + ux / 2)
            right = (x1 - ux + uy / 2, y1 - uy - ux / 2)
            self.polygon((x1, y1), left, right, fill=stroke)
        return self

    def strokes(self, lines, stroke="ink", opacity=1):
        """Many short lines in one element, such as a hatch."""
        way = "".join(f"M{_n(a)} {_n(b)}L{_n(c)} {_n(d)}" for (a, b), (c, d) in lines)
        style = {"d": way, "stroke": stroke, "opacity": opacity}
        return self.add(Element("path", style, lines=lines))

    def grid(self, x, y, count, cell, stroke="line", opacity=1):
        """The lines of `count` x `count` cells."""
        side, steps = count * cell, [i * cell for i in range(count + 1)]
        vertical = [((x + step, y), (x + step, y + side)) for step in steps]
        horizontal = [((x, y + step), (x + side, y + step)) for step in steps]
        return self.strokes((*vertical, *horizontal), stroke, opacity)

    def raw(self, markup):
        """SVG markup as it is, e.g. an `<image>`; it is not escaped."""
        return self.add(markup)

    def svg(self, title, desc="", *, zoom=1.0):
        """The SVG as text. `title` names it for a reader who cannot see it.

        `desc` is the longer description. The picture fills the width of its
        container, up to `zoom` times its own width.
        """
        w, h = round(self.width * zoom), round(self.height * zoom)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="ie-picture" role="img" '
            f'aria-label="{escape(title)}" viewBox="0 0 {_n(self.width)} '
            f'{_n(self.height)}" width="{w}" height="{h}" font-family="{FONT}" '
            f'style="width:100%;max-width:{w}px;height:auto">',
            f"<title>{escape(title)}</title>",
        ]
        if desc:
            parts.append(f"<desc>{escape(desc)}</desc>")
        for item in self.items:
            parts.append(item if isinstance(item, str) else item.markup())
        return "\n".join([*parts, "</svg>"])


def escape(text):
    """Text as XML and HTML hold it, between tags or in quotes."""
    return html_escape(printable(text))


def _n(value):
    """A number with at most one decimal, without a trailing zero."""
    if isinstance(value, float):
        return f"{value:z.1f}".removesuffix(".0")
    return str(value)


def _hatch_lines(kind, x, y, width, height, spacing=7):
    """The lines of a hatch in matplotlib's letters, clipped to the rectangle."""
    across = [x + spacing * (i + 0.5) for i in range(int(width / spacing))]
    down = [y + spacing * (i + 0.5) for i in range(int(height / spacing))]
    if kind in "-+":
        yield from (((x, level), (x + width, level)) for level in down)
    if kind in "|+":
        yield from (((column, y), (column, y + height)) for column in across)
    if kind in "/\\x":
        step = spacing * 1.4
        for i in range(1, int((width + height) / step) + 1):
            offset = i * step
            x0, y0 = max(0.0, offset - height), min(offset, height)
            x1, y1 = min(offset, width), max(0.0, offset - width)
            if kind in "/x":
                yield ((x + x0, y + y0), (x + x1, y + y1))
            if kind in "\\x":
                yield ((x + x0, y + height - y0), (x + x1, y + height - y1))
    if kind == ".":
        for cy in down:
            yield from (((cx - 0.8, cy), (cx + 0.8, cy)) for cx in across)
