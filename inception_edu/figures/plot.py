"""What explorers and diagrams draw with: numbers, axes, bars, legends, labels.

Everything adds to a `figures.svg.Drawing`; sizes are pixels of a sheet `SHEET`
wide, on which a 14 pixel text still reads on a phone.

    plot = Plot(sheet, (48, 30, 480, 200), (0, 100), (0, round_up(most)))
    plot.axes("width of the 1x1", "MACs")
    plot.curve(points, "3x3").mark(*points[-1])
    plot.label_curves([(x, y, "5x5, direct", "5x5")])
    legend(sheet, 48, 16, [("eps 0.1", "1x1", None), ("eps 0", "ink", "7 5")])

Ranges come from what the controls can reach, or from `round_up`, so that an axis
stands still while a reader drags. `explorers/frame.js` draws the outline of what stood
there before.
"""

from bisect import bisect_left
from itertools import pairwise
from math import ceil, floor, log10

from inception_edu.figures.labels import spread
from inception_edu.figures.svg import text_width
from inception_edu.figures.theme import NOTE
from inception_edu.text import tick

SHEET = 560


def round_up(value, steps=(1, 2, 5)):
    """The next of 1, 2, 5, 10, 20, ... that holds `value`: a stable axis limit."""
    if value <= 0:  # a pool's MACs
        return 1
    power = 10.0 ** floor(log10(value))
    ends = [step * power for step in (*steps, 10 * steps[0])]
    return next(end for end in ends if end >= value * (1 - 1e-9))


def ticks(low, high, count=5):
    """Round numbers from `low` to `high`, about `count` of them, both ends inside."""
    span = (high - low) / count or 1
    power = 10.0 ** floor(log10(span))
    step = power * (1, 2, 5, 10)[bisect_left((1, 2, 5), span / power - 1e-9)]
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def log_ticks(low, high):
    """Powers of ten from `low` to `high`, and 2 and 5 between if there are few."""
    steps = (1, 2, 5) if high / low < 150 else (1,)
    powers = range(floor(log10(low)), ceil(log10(high)) + 1)
    values = [step * 10.0**power for power in powers for step in steps]
    return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


def stacked_bar(drawing, x, y, height, scale, parts, key=None):
    """One bar of `parts` (amount, palette name, tip); returns where it ends."""
    for amount, fill, tip in parts:
        width = amount * scale
        if width > 0:
            edge = "paper" if width > 4 else "none"
            style = {"stroke": edge, "tip": tip, "key": key}
            drawing.rect(x, y, max(width, 0.5), height, fill, **style)
        x += width
    return x


class Plot:
    """Axes inside a rectangle `(x, y, width, height)`: data in, pixels out.

    `log_y` makes that axis logarithmic. `axes`, `curve` and `mark` return the plot,
    so calls can be chained; `at(x, y)` is the pixel of a point.
    """

    def __init__(self, drawing, box, x_range, y_range, *, log_y=False):
        self.drawing = drawing
        self.x, self.y, self.width, self.height = box
        self.right, self.bottom = self.x + self.width, self.y + self.height
        self.x_range, self.y_range, self.log_y = x_range, y_range, log_y

    def at(self, x, y):
        """The pixel of a data point."""
        (left, right), (low, high) = self.x_range, self.y_range
        if self.log_y:
            low, high, y = log10(low), log10(high), log10(max(y, low))
        along, up = (x - left) / ((right - left) or 1), (y - low) / ((high - low) or 1)
        return self.x + along * self.width, self.bottom - up * self.height

    def axes(
        self,
        x_label="",
        y_label="",
        format_x=tick,
        format_y=tick,
        *,
        x_ticks=None,
        y_ticks=None,
        grid="y",
    ):
        """Grid lines, numbers and names of both axes.

        `x_ticks`, `y_ticks` are lists of values or `{value: label}` in place of
        round numbers. `grid` "y" draws horizontal lines, "x" vertical ones.
        """
        drawing, bottom, upright = self.drawing, self.bottom, grid == "x"
        if y_ticks is None and upright:
            y_ticks = ()
        elif y_ticks is None:
            ends = self.y_range
            y_ticks = log_ticks(*ends) if self.log_y else ticks(*ends, 4)
        x_ticks = ticks(*self.x_range) if x_ticks is None else x_ticks
        muted = {"size": NOTE, "fill": "muted"}
        for value, text in _named(y_ticks, format_y):
            _, y = self.at(self.x_range[0], value)
            if not upright:
                drawing.line((self.x, y), (self.right, y), stroke="grid", width=1)
            drawing.text(self.x - 6, y + 5, text, anchor="end", **muted)
        for value, text in _named(x_ticks, format_x):
            x, _ = self.at(value, self.y_range[0])
            top, stroke = (self.y, "grid") if upright else (bottom, "line")
            drawing.line((x, top), (x, bottom + 5), stroke=stroke, width=1)
            # the first and the last number stay on the sheet
            half = text_width(text) / 2
            middle = max(half, min(x, max(self.right, drawing.width - half)))
            drawing.text(middle, bottom + 20, text, anchor="middle", **muted)
        said = [
            f"{label} {form(low)} to {form(high)}"
            for label, (low, high), form, names in (
                (x_label, self.x_range, format_x, x_ticks),
                (y_label, self.y_range, format_y, y_ticks),
            )
            if label and names and not isinstance(names, dict)
        ]
        key = f"axis {', '.join(said)}"  # tells the page that it changed
        drawing.line((self.x, bottom), (self.right, bottom), width=1, key=key)
        if x_label:
            drawing.text(self.right, bottom + 38, x_label, anchor="end")
        if y_label:
            drawing.text(0, self.y - 10, y_label)
        return self

    def curve(self, points, stroke="ink", width=3, dash=None):
        """A line through data points, cut at the box."""
        box = (self.x, self.y, self.right, self.bottom)
        for piece in clip([self.at(*point) for point in points], box):
            self.drawing.line(*piece, stroke=stroke, width=width, dash=dash)
        return self

    def mark(self, x, y, fill="accent", radius=7):
        """A dot on a data point."""
        style = {"stroke": "paper", "stroke_width": 2}
        self.drawing.circle(*self.at(x, y), radius, fill, **style)
        return self

    def vline(self, x, width=3, key=None, above=0):
        """A vertical line across the plot at the pixel `x`."""
        ends = (x, self.y - above), (x, self.bottom)
        self.drawing.line(*ends, stroke="accent", width=width, key=key)

    def name_above(self, x, y, label):
        """The label of a vertical line at the pixel `x`, right of the axis."""
        half = text_width(label, bold=True) / 2
        middle = min(max(x, self.x + half), self.drawing.width - half)
        style = {"anchor": "middle", "fill": "accent", "bold": True}
        self.drawing.text(middle, y, label, **style)

    def limit(self, x, label):
        """A vertical line at `x` with its label above: a budget, a threshold."""
        pixel, _ = self.at(x, self.y_range[0])
        self.vline(pixel, above=4)
        self.name_above(pixel, self.y - 8, label)

    def label_curves(self, ends, gap=17):
        """Names right of the box for lines that end at `(x, y, name, stroke)`.

        Names that would collide are spread, each joined to its line's end.
        """
        pixels = [self.at(x, y) for x, y, *_ in ends]
        levels = spread([y for _, y in pixels], self.y, self.bottom, gap)
        left = self.right + 22
        for (x, y), level, (*_, name, stroke) in zip(pixels, levels, ends, strict=True):
            self.drawing.line((x + 4, y), (left - 4, level), stroke="grid", width=1)
            room = self.drawing.width - left
            self.drawing.fitted_text(left, level + 5, name, room, fill=stroke)
        return self


def _named(values, form):
    if isinstance(values, dict):
        return values.items()
    return [(value, form(value)) for value in values]


def clip(points, box):
    """The parts of a polyline inside `(left, top, right, bottom)`, as polylines."""
    left, top, right, bottom = box
    pieces = [[]]
    for (x0, y0), (x1, y1) in pairwise(points):
        enter, leave = 0.0, 1.0  # the share of the line where it is inside
        for start, step, low, high in (
            (x0, x1 - x0, left, right),
            (y0, y1 - y0, top, bottom),
        ):
            if step:
                near, far = sorted(((low - start) / step, (high - start) / step))
                enter, leave = max(enter, near), min(leave, far)
            elif not low - 1e-6 <= start <= high + 1e-6:
                leave = -1.0
        if enter < leave:
            shares = (enter, leave)[bool(pieces[-1]) :]  # it goes on, or begins
            pieces[-1] += [(x0 + s * (x1 - x0), y0 + s * (y1 - y0)) for s in shares]
        if leave < 1 or enter >= leave:
            pieces.append([])
    return [piece for piece in pieces if piece]


def label(drawing, x, y, text, *, anchor="start", bold=False, fill="ink"):
    """A text on a background box, which keeps lines off its letters."""
    width = text_width(text, bold=bold)
    left = x - width * {"start": 0, "middle": 0.5, "end": 1}[anchor]
    drawing.rect(left - 1, y - 11, width + 2, 14, "paper", opacity=0.85)
    drawing.text(x, y, text, anchor=anchor, bold=bold, fill=fill)


def legend(drawing, x, y, entries):
    """Entries `(name, color, dash)` in a row on the baseline `y`.

    `dash` None is a solid line, "4 2" a dashed one, "box" a square for bars. What
    does not fit on the sheet goes on in the next line. Returns the last baseline.
    """
    left = x
    for name, stroke, dash in entries:
        sample = 12 if dash == "box" else 24
        width = sample + 6 + text_width(name)
        if x > left and x + width > drawing.width:
            x, y = left, y + 20
        if dash == "box":
            drawing.rect(x, y - 11, 12, 12, stroke)
        else:
            ends = ((x, y - 5), (x + sample, y - 5))
            drawing.line(*ends, stroke=stroke, width=3, dash=dash)
        drawing.text(x + sample + 6, y, name)
        x += width + 18
    return y
