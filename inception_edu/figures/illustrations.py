"""Pictures that explain one idea of a lesson: `sliding_window`, `asymmetric_pair`."""

import re

from inception_edu.figures.figure import Figure
from inception_edu.figures.notebook import data_uri, picture_html
from inception_edu.figures.svg import Drawing
from inception_edu.figures.theme import LABEL, NOTE, on_color
from inception_edu.text import percent

SECONDS = 0.25  # that a window rests on a pixel
REST = 5.0  # seconds before the next round
STILL = ".ie-row{transform:scaleX(0)}"  # nothing hides what the windows have read


def _grid(sheet, x, y, count, cell, fill="paper", stroke="line"):
    sheet.rect(x, y, count * cell, count * cell, fill)
    sheet.grid(x, y, count, cell, stroke, 0.5)


class Animation(Figure):
    """A `Figure` that moves, unless the reader's system asks for reduced motion.

    A summary line above it hides it, so that nothing moves that cannot be stopped.
    """

    @property
    def html(self):
        still = re.sub(r"<style>.*?</style>", f"<style>{STILL}</style>", self.svg)
        return (
            "<details open><summary>Animation (close it to stop the motion)</summary>"
            '<picture><source media="(prefers-reduced-motion: reduce)" '
            f'srcset="{data_uri(still)}">{picture_html(self.svg, self.text)}'
            "</picture></details>"
        )


# ---- the sliding window ------------------------------------------------------

SIDE, PAD = 7, 2  # pixels of the drawn grid, and of the padding that a 5x5 needs
# name: (color, output channels) of GoogLeNet's module 3a, the naive version
WINDOWS = {
    "1x1": ("1x1", 64),
    "3x3": ("3x3", 128),
    "5x5": ("5x5", 32),
    "max pool 3x3": ("pool", 192),
}


def sliding_window():
    """An `Animation`: four windows slide over one input, their outputs concatenate.

    The naive Inception module 3a of GoogLeNet (Szegedy et al., arXiv 1409.4842,
    figure 2a): same place, same stride, hence equal grids that stack by channel.
    """
    total = sum(channels for _, channels in WINDOWS.values())
    sheet = Drawing(980, 470)
    sheet.rect(0, 0, sheet.width, sheet.height, "paper")
    sheet.raw(f"<style>{_sliding_css()}</style>")
    _draw_input(sheet, 20, 64, 26)
    for i, (name, window) in enumerate(WINDOWS.items()):
        _draw_branch(sheet, 440, 40 + 108 * i, 12, name, *window)
    _draw_concat(sheet, 736, 112, total)
    sums = " + ".join(str(channels) for _, channels in WINDOWS.values())
    text = (
        "Sliding window: four branches read the same place of one input\n"
        "  1x1, 3x3, 5x5 and max pool 3x3 move together, one pixel at a time "
        "(stride 1)\n"
        "  padding 0, 1, 2, 1: each writes one value at each pixel, so every output "
        "keeps the grid\n"
        f"  concatenated along channels: {sums} = {total} (28x28)"
    )
    return Animation(sheet, "Sliding window and concatenation", text)


def _draw_input(sheet, x, y, cell):
    side = (SIDE + 2 * PAD) * cell
    x0, y0 = x + PAD * cell, y + PAD * cell
    sheet.text(x, y - 34, "one input, 192 channels", LABEL, bold=True)
    sheet.text(x, y - 12, "four windows on the same pixel", NOTE, fill="muted")
    sheet.rect(x, y, side, side, "panel", stroke="line", dash="4 4")
    _grid(sheet, x0, y0, SIDE, cell)
    sheet.rect(x0, y0, SIDE * cell, SIDE * cell, stroke="ink", stroke_width=2)
    middle = SIDE // 2 * cell
    sheet.raw('<g class="ie-slide">')
    for size, color, inset in ((5, "5x5", 0), (3, "3x3", 0), (3, "pool", 4)):
        extent = size // 2 * cell - inset
        box = (x0 + middle - extent, y0 + middle - extent, *(2 * [2 * extent + cell]))
        dash = "5 4" if color == "pool" else None
        sheet.rect(*box, stroke=color, stroke_width=4, dash=dash)
    sheet.rect(x0 + middle, y0 + middle, cell, cell, "1x1")
    sheet.raw("</g>")
    words = "dashed frame: padding, zeros around the image"
    sheet.text(x, y + side + 22, words, NOTE, fill="muted")


def _draw_branch(sheet, x, y, cell, name, color, channels):
    side = SIDE * cell
    middle = y + side / 2
    sheet.line((312, 207), (x - 10, middle), arrow=True, width=1.5)
    for shift in (8, 4):  # more channels, drawn behind
        sheet.rect(x + shift, y - shift, side, side, "paper", stroke=color)
    sheet.rect(x, y, side, side, color)
    for row in range(SIDE):
        sheet.raw(
            f'<rect class="ie-row ie-row-{row}" x="{x}" y="{y + row * cell}" '
            f'width="{side}" height="{cell}" fill="#ffffff"/>'
        )
    _grid(sheet, x, y, SIDE, cell, "none", "grid")
    sheet.text(x + side + 18, middle - 8, name, LABEL, bold=True)
    sheet.text(x + side + 18, middle + 14, f"{channels} channels", NOTE)
    sheet.line((672, middle), (728, 207), arrow=True, width=1.5)


def _draw_concat(sheet, x, y, total):
    scale, left = 224 / total, x
    sheet.text(x, y + 24, "concatenated by channel", LABEL, bold=True)
    sheet.raw('<g class="ie-concat">')
    for color, channels in WINDOWS.values():
        width = channels * scale
        sheet.rect(left, y + 40, width, 110, color, hatch=color, stroke="paper")
        middle, base, ink = left + width / 2, y + 168, "ink"
        if width > 34:  # the number stands inside, on a plate
            sheet.rect(middle - 15, y + 84, 30, 22, color)
            base, ink = y + 100, on_color(color)
        sheet.text(middle, base, channels, anchor="middle", bold=True, fill=ink)
        left += width
    sheet.raw("</g>")
    sheet.text(x, y + 196, f"{total} channels, the same grid", LABEL)


def _sliding_css():
    """Keyframes of one round: the pixels in reading order, then a rest.

    What does not move is the finished picture, which reduced motion shows.
    """
    steps, cell = SIDE * SIDE, 26
    length = steps * SECONDS + REST

    def share(step):
        return f"{100 * step * SECONDS / length:.2f}%"

    frames = ""
    for step in range(steps):
        row, column = divmod(step, SIDE)
        x, y = ((pixel - SIDE // 2) * cell for pixel in (column, row))
        frames += f"{share(step)}{{transform:translate({x}px,{y}px)}}"
    css = f"{STILL}@keyframes ie-slide{{{frames}}}"
    moving = f".ie-slide{{animation:ie-slide {length}s step-end infinite}}"
    for row in range(SIDE):
        frames = "0%{transform:scaleX(1)}"
        for column in range(SIDE):
            left = (SIDE - 1 - column) / SIDE
            frames += f"{share(row * SIDE + column)}{{transform:scaleX({left:.4f})}}"
        frames += "100%{transform:scaleX(0)}"
        css += f"@keyframes ie-row-{row}{{{frames}}}"
        moving += f".ie-row-{row}{{animation:ie-row-{row} {length}s step-end infinite}}"
    css += ".ie-row{transform-box:fill-box;transform-origin:right}"
    css += f"@keyframes ie-concat{{0%{{opacity:.15}}{share(steps)}{{opacity:1}}}}"
    moving += f".ie-concat{{animation:ie-concat {length}s step-end infinite}}"
    return f"{css}@media (prefers-reduced-motion:no-preference){{{moving}}}"


# ---- the asymmetric pair -----------------------------------------------------


def asymmetric_pair(n):
    """A `Figure` of 1 x n then n x 1 beside one n x n: the same pixels, 2n weights.

    `n` is 3, 5 or 7, else ValueError. Szegedy et al., arXiv 1512.00567, section 3.2.
    """
    if n not in (3, 5, 7):
        raise ValueError(f"n={n!r}; choose 3, 5 or 7")
    sheet = Drawing(960, 400)
    sheet.rect(0, 0, sheet.width, sheet.height, "paper")
    count, cell, square = n + 2, 220 / (n + 2), f"{n}x{n}"
    middle = (count // 2) * cell
    first, second, third = 20, 330, 640
    panels = (
        (first, f"one {square}", f"{n * n} weights read {n * n} pixels"),
        (second, f"first 1x{n}", f"{n} weights turn each row into one value"),
        (third, f"then {n}x1", f"{n} weights turn the column into one"),
    )
    for x, name, words in panels:
        sheet.text(x, 30, name, LABEL, bold=True)
        sheet.fitted_text(x, 52, words, 270, NOTE)
        _grid(sheet, x, 70, count, cell)
    sheet.rect(first + cell, 70 + cell, n * cell, n * cell, square, opacity=0.45)
    for row in range(1, n + 1):
        y = 70 + row * cell
        bar = (second + cell, y + 2, n * cell, cell - 4)
        sheet.rect(*bar, "1xn", opacity=0.45, radius=3)
        sheet.rect(second + middle, y, cell, cell, "1xn")
        sheet.rect(third + middle, y, cell, cell, "nx1", opacity=0.45)
    for x, color in ((first, square), (third, "nx1")):
        sheet.rect(x + middle, 70 + middle, cell, cell, color, stroke="ink")
    sheet.line((second + 232, 180), (third - 12, 180), arrow=True)
    sheet.line((first + 264, 76), (first + 264, 284), stroke="grid", width=1)
    lines = [
        f"Both see the same {square} = {n * n} pixels of the input.",
        f"The pair holds {n} + {n} = {2 * n} weights in place of {n * n}, for each "
        f"input and output channel: {percent(1 - 2 / n)} saved.",
    ]
    for i, line in enumerate(lines):
        sheet.text(20, 340 + 26 * i, line, LABEL)
    head = f"Asymmetric pair: 1x{n} then {n}x1 in place of one {square}"
    lines = [*(f"{name}: {words}" for _, name, words in panels), *lines]
    text = "\n  ".join([head, *lines])
    return Figure(sheet, f"1x{n} then {n}x1 sees what one {square} sees", text)
