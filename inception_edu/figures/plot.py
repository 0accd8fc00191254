"""What several explorers draw: numbers in few letters, cost bars, a plot.

All of it adds to a `figures.svg.Drawing`; sizes are pixels of a sheet
`SHEET` wide, on which a 14 pixel text still reads on a phone.
"""

from bisect import bisect_left

SHEET = 560
LABEL, NOTE = 16, 14


def short(number):
    """`number` in four letters or so: 128.0 M, 5.33 G, 16.4 k, 12."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            value = number / size
            digits = 0 if value >= 1000 else 1 if value >= 10 else 2
            return f"{value:,.{digits}f} {letter}"
    return f"{number:,.4g}"


def tick(number):
    """`number` as an axis writes it: 150 M, 2.5 k, 12."""
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= size:
            return f"{number / size:g}{letter}"
    return f"{number:g}"


def times(ratio):
    """A ratio in words: "2.37 times", "12 times"."""
    return f"{ratio:.0f} times" if ratio >= 100 else f"{ratio:.3g} times"


def stacked_bar(drawing, x, y, height, scale, parts):
    """One bar of `parts` (amount, palette name, tip); returns where it ends."""
    for amount, fill, tip in parts:
        width = amount * scale
        if width > 0:
            edge = "paper" if width > 4 else "none"
            drawing.rect(x, y, max(width, 0.5), height, fill, stroke=edge, tip=tip)
        x += width
    return x


def bar_row(drawing, y, label, value, parts, scale, *, left=64, height=18, bold=False):
    """A bar between its label and its value, which stands at the right edge.

    `y` is its top edge, `scale` pixels per unit, `left` the room for the label.
    """
    style = {"size": NOTE, "bold": bold}
    drawing.text(0, y + height - 4, label, **style)
    stacked_bar(drawing, left, y, height, scale, parts)
    drawing.text(drawing.width, y + height - 4, value, anchor="end", **style)


def ticks(low, high, count=5):
    """Round numbers from `low` to `high`, about `count` of them, both ends inside."""
    span = (high - low) / count or 1
    power = 10.0
    while power > span:
        power /= 10
    while power * 10 <= span:
        power *= 10
    step = power * (1, 2, 5, 10)[bisect_left((1, 2, 5), span / power - 1e-9)]
    first = -(-low // step)
    found = []
    while first * step <= high + step * 1e-9:
        value = first * step
        found.append(int(value) if value == int(value) else round(value, 10))
        first += 1
    return found


class Plot:
    """Axes inside a rectangle: data in, pixels out.

    `plot = Plot(drawing, (x, y, width, height), (0, 100), (0, 1e6))`, then
    `plot.axes("reduce width", "MACs")`, `plot.curve(points, "3x3")`,
    `plot.mark(x, y)`, `plot.at(x, y)` for everything else.
    """

    def __init__(self, drawing, box, x_range, y_range):
        self.drawing = drawing
        self.x, self.y, self.width, self.height = box
        self.x_range, self.y_range = x_range, y_range

    def at(self, x, y):
        """The pixel of a data point."""
        (x0, x1), (y0, y1) = self.x_range, self.y_range
        return (
            self.x + (x - x0) / ((x1 - x0) or 1) * self.width,
            self.y + self.height - (y - y0) / ((y1 - y0) or 1) * self.height,
        )

    def axes(self, x_label, y_label, format_x=tick, format_y=tick):
        """Grid lines, numbers and names of both axes."""
        drawing, bottom = self.drawing, self.y + self.height
        for value in ticks(*self.y_range, 4):
            _, y = self.at(self.x_range[0], value)
            drawing.line((self.x, y), (self.x + self.width, y), stroke="grid", width=1)
            drawing.text(
                self.x - 6, y + 5, format_y(value), NOTE, anchor="end", fill="muted"
            )
        for value in ticks(*self.x_range, 5):
            x, _ = self.at(value, self.y_range[0])
            drawing.line((x, bottom), (x, bottom + 5), width=1)
            drawing.text(
                x, bottom + 20, format_x(value), NOTE, anchor="middle", fill="muted"
            )
        drawing.line((self.x, bottom), (self.x + self.width, bottom), width=1)
        drawing.text(
            self.x + self.width, bottom + 38, x_label, NOTE, anchor="end", fill="ink"
        )
        drawing.text(0, self.y - 10, y_label, NOTE)
        return self

    def curve(self, points, stroke="ink", width=3, dash=None):
        """A line through data points."""
        self.drawing.line(
            *(self.at(*point) for point in points),
            stroke=stroke,
            width=width,
            dash=dash,
        )
        return self

    def mark(self, x, y, fill="accent", radius=7):
        """A dot on a data point."""
        self.drawing.circle(
            *self.at(x, y), radius, fill, stroke="paper", stroke_width=2
        )
        return self
