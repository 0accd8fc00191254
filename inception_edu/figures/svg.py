"""Small drawing primitives that know neither torch nor matplotlib.

A `Drawing` records rectangles, lines and texts in pixels; `drawing.svg(...)`
writes them. Colors are roles of the theme ("ink", "3x3") or plain values;
roles become CSS variables with a light fall-back, so that a dark page may set
its own. No element has an id, hence two drawings on one page cannot clash.
"""

import re
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """How an area is painted; `key` names what it stands for in every picture."""

    fill: str = "none"
    stroke: str = "none"
    stroke_width: float = 1
    opacity: float = 1
    tip: str | None = None
    key: str | None = None

    def element(self, start, more=""):
        out = f'<{start} fill="{color(self.fill)}"'
        if self.stroke != "none":
            out += f' stroke="{color(self.stroke)}"'
            if self.stroke_width != 1:
                out += f' stroke-width="{_n(self.stroke_width)}"'
        if self.opacity != 1:
            out += f' opacity="{self.opacity}"'
        if self.tip:
            tip = f"<title>{escape(self.tip)}</title>"
            return f"{out}{more}>{tip}</{start.split()[0]}>"
        return f"{out}{more}/>"


@dataclass(frozen=True, slots=True)
class Rect(Area):
    x: float
    y: float
    width: float
    height: float
    radius: float = 0
    dash: str | None = None

    def markup(self):
        place = f'x="{_n(self.x)}" y="{_n(self.y)}" width="{_n(self.width)}"'
        radius = f' rx="{_n(self.radius)}"' if self.radius else ""
        start = f'rect {place} height="{_n(self.height)}"'
        return self.element(start, radius + _dash(self))


@dataclass(frozen=True, slots=True)
class Polygon(Area):
    points: tuple

    def markup(self):
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in self.points)
        return self.element(f'polygon points="{points}"')


@dataclass(frozen=True, slots=True)
class Circle(Area):
    x: float
    y: float
    radius: float

    def markup(self):
        place = f'cx="{_n(self.x)}" cy="{_n(self.y)}" r="{_n(self.radius)}"'
        return self.element(f"circle {place}")


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    text: str
    size: float = NOTE
    fill: str = "ink"
    anchor: str = "start"
    bold: bool = False

    def markup(self):
        out = f'x="{_n(self.x)}" y="{_n(self.y)}" font-size="{_n(self.size)}"'
        out += f' fill="{color(self.fill)}"'
        if self.anchor != "start":
            out += f' text-anchor="{self.anchor}"'
        if self.bold:
            out += ' font-weight="600"'
        return f"<text {out}>{escape(self.text)}</text>"


@dataclass(frozen=True, slots=True)
class Line:
    points: tuple
    stroke: str = "line"
    width: float = 2
    dash: str | None = None
    curve: bool = False  # a start, two control points, an end
    key: str | None = None

    def markup(self):
        start, *points = [f"{_n(x)} {_n(y)}" for x, y in self.points]
        way = f" C {', '.join(points)}" if self.curve else f" L {' L '.join(points)}"
        out = f'd="M {start}{way}" fill="none" stroke="{color(self.stroke)}"'
        return f'<path {out} stroke-width="{_n(self.width)}"{_dash(self)}/>'


@dataclass(frozen=True, slots=True)
class Strokes:
    """Many short lines in one element, such as a hatch."""

    lines: tuple
    stroke: str = "ink"
    opacity: float = 1

    def markup(self):
        way = "".join(
            f"M{_n(a)} {_n(b)}L{_n(c)} {_n(d)}" for (a, b), (c, d) in self.lines
        )
        stroke = color(self.stroke)
        return f'<path d="{way}" stroke="{stroke}" opacity="{self.opacity}"/>'


class Drawing:
    """A list of primitives on a sheet of `width` x `height` pixels.

    Coordinates start at the top left; `y` of a text is its baseline, `anchor`
    is "start", "middle" or "end". Every method returns the drawing, so calls
    can be chained.
    """

    def __init__(self, width, height):
        self.width, self.height = width, height
        self.items = []

    def add(self, *items):
        self.items += items
        return self

    def rect(self, x, y, width, height, fill="none", *, hatch=None, **style):
        """A rectangle. `hatch` is one of the theme's, or a kernel's name."""
        self.items.append(Rect(x, y, width, height, fill=fill, **style))
        kind = HATCH.get(hatch, hatch)
        lines = tuple(_hatch_lines(kind, x, y, width, height)) if kind else ()
        if lines:
            self.items.append(Strokes(lines, on_color(fill), 0.45))
        return self

    def text(self, x, y, text, size=NOTE, **style):
        """A line of text."""
        return self.add(Text(x, y, printable(text), size, **style))

    def fitted_text(self, x, y, text, width, size=NOTE, **style):
        """A text that shrinks to 12 pixels, then is cut with "…", to fit `width`."""
        text, bold = printable(text), style.get("bold", False)
        natural = text_width(text, size, bold)
        if natural > width:
            size = max(12, size * width / natural)
        text = cut(text, width, size, bold)
        return self.text(x, y, text, round(size, 1), **style)

    def line(self, *points, arrow=False, head=8, **style):
        """A line through `(x, y)` points, with an arrowhead at its end if asked."""
        line = Line(tuple(points), **style)
        self.items.append(line)
        if arrow:
            (x0, y0), (x1, y1) = points[-2:]
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1.0
            ux, uy = (x1 - x0) / length * head, (y1 - y0) / length * head
            left = (x1 - ux - uy / 2, y1 - uy + ux / 2)
            right = (x1 - ux + uy / 2, y1 - uy - ux / 2)
            self.polygon((x1, y1), left, right, fill=line.stroke)
        return self

    def curve(self, start, first, second, end, **style):
        """A cubic curve with its two control points."""
        return self.add(Line((start, first, second, end), curve=True, **style))

    def polygon(self, *points, fill="ink", **style):
        return self.add(Polygon(tuple(points), fill=fill, **style))

    def circle(self, x, y, radius, fill="ink", **style):
        return self.add(Circle(x, y, radius, fill=fill, **style))

    def raw(self, markup):
        """SVG markup as it is, e.g. an `<image>`; it is not escaped."""
        return self.add(markup)

    def svg(self, title, desc="", *, zoom=1.0):
        """The SVG as text. `title` names it for a reader who cannot see it.

        `desc` is the longer description. The picture fills the width of its
        place, up to `zoom` times its own width.
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
            markup = item if isinstance(item, str) else item.markup()
            key = getattr(item, "key", None)
            if key:
                markup = markup.replace(" ", f' data-key="{escape(key)}" ', 1)
            parts.append(markup)
        parts.append("</svg>")
        return "\n".join(parts)


def escape(text):
    """Text as XML and HTML hold it, between tags or in quotes."""
    return html_escape(printable(text))


def without_variables(svg):
    """The SVG with plain light colors, for an `<img>`, which inherits none."""
    return re.sub(r"var\(--ie-\w+, (#\w+)\)", r"\1", svg)


def _n(value):
    """A number with at most one decimal, without a trailing zero."""
    return (
        f"{value:z.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
    )


def _dash(item):
    return f' stroke-dasharray="{item.dash}"' if item.dash else ""


def grid_lines(x, y, count, cell):
    """The lines of `count` x `count` cells, for `Strokes`."""
    side, steps = count * cell, [i * cell for i in range(count + 1)]
    upright = [((x + step, y), (x + step, y + side)) for step in steps]
    return (*upright, *(((x, y + step), (x + side, y + step)) for step in steps))


def _hatch_lines(kind, x, y, width, height, spacing=7):
    """The lines of a hatch character, clipped to the rectangle."""
    across = [x + spacing * (i + 0.5) for i in range(int(width / spacing))]
    down = [y + spacing * (i + 0.5) for i in range(int(height / spacing))]
    if kind in "-+":
        yield from (((x, level), (x + width, level)) for level in down)
    if kind in "|+":
        yield from (((place, y), (place, y + height)) for place in across)
    if kind in "/\\x":
        step = spacing * 1.4
        for i in range(1, int((width + height) / step) + 1):
            reach = i * step
            x0, y0 = max(0.0, reach - height), min(reach, height)
            x1, y1 = min(reach, width), max(0.0, reach - width)
            if kind in "/x":
                yield ((x + x0, y + y0), (x + x1, y + y1))
            if kind in "\\x":
                yield ((x + x0, y + height - y0), (x + x1, y + height - y1))
    if kind == ".":
        for cy in down:
            yield from (((cx - 0.8, cy), (cx + 0.8, cy)) for cx in across)
