"""The network explorer's picture: networks as blocks to scale, rows, a module open.

A block is as wide as its cost and as high as its grid, on a logarithmic scale; its
bands are its kernels' shares. Below, rows with the same costs as bars and numbers:
of the stages, of one stage's modules or of one module's layers.
"""

from html import escape
from math import log2

from inception_edu.explorers.network_modules import in_short, total
from inception_edu.figures.labels import spread
from inception_edu.figures.plot import SHEET, Plot, label, stacked_bar, ticks
from inception_edu.figures.svg import text_width
from inception_edu.figures.theme import PALETTE, on_color
from inception_edu.text import percent, short, tick

SHOWN = {"macs": "MACs", "params": "parameters", "memory": "activation memory"}
EDGE = 6  # of what stands on the background of an open stage


def words(number, metric):
    """The value of a metric in few letters, with the B of bytes."""
    return short(number) + ("B" if metric == "memory" else "")


def by_kernel(modules, metric):
    """`{kernel: value}` of modules, in the palette's order, without zeros."""
    found = dict.fromkeys(PALETTE, 0)
    for module in modules:
        for layer in module.layers:
            found[layer.kernel] += module.times * getattr(layer, metric)
    return {kernel: number for kernel, number in found.items() if number}


def name_inside(sheet, x, y, width, kernel):
    """A kernel's name in the middle of its color, where that is wide enough.

    It has a background, which keeps the lines between modules off its letters.
    """
    wide = text_width(kernel) + 4
    if width >= wide:
        middle = x + width / 2
        ground = middle - wide / 2, y - 12, wide, 15
        sheet.rect(*ground, kernel, opacity=0.99)  # leaves no ghost
        sheet.text(middle, y, kernel, anchor="middle", fill=on_color(kernel))


def pick(sheet, x, y, width, height, what, tip=""):
    """An unseen rectangle that sets controls when it is clicked."""
    title = tip and f"<title>{escape(tip)}</title>"
    sheet.raw(
        f'<rect x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{height:.0f}" '
        f'fill-opacity="0" data-pick="{what}">{title}</rect>'
    )


# ---- the blocks --------------------------------------------------------------


def draw_blocks(sheet, top, network, title, end, stage, metric, high):
    """One network on an axis from 0 to `end`; returns where stage `stage` is framed."""
    plot = Plot(sheet, (6, top + 52, SHEET - 40, high - 10), (0, end), (0, 1))
    plot.axes(x_ticks=ticks(0, end, 5), y_ticks=(), grid="x")
    key = f"axis {SHOWN[metric]} of {network.name} 0 to {tick(end)}"
    sheet.line((plot.x, plot.bottom), (plot.right, plot.bottom), width=1, key=key)
    title += f": {words(total(network.modules, metric), metric)} {SHOWN[metric]}"
    sheet.fitted_text(0, top + 14, title, SHEET - 2, bold=True)
    tallest = max(module.side for module in network.modules)
    marks, names, x, framed = [], [], plot.x, None
    for number, run in enumerate(network.stages, 1):
        side, left = run[0].side, x
        tall = log2(1 + side) / log2(1 + tallest) * plot.height
        for module in run:
            width = total([module], metric) / end * plot.width
            draw_block(sheet, x, plot.bottom, width, tall, module, metric)
            tag = module.label.rpartition("_")[2].capitalize()  # "4a", "B x7"
            known = [module.label, tag] if len(tag) > 1 else [module.label]
            if fitting := [n for n in known if text_width(n) <= width - 2]:
                names.append((x + width / 2, plot.bottom - tall - 5, fitting[0]))
            x += width
        wide = max(x - left, 2)
        if number == stage:
            place = (left, plot.bottom - tall, wide, tall)
            sheet.rect(*place, stroke="accent", stroke_width=3)
            framed = (left, plot.bottom), (left + wide, plot.bottom)
        tip = f"{side}x{side}: {in_short(run)}, {words(total(run, metric), metric)}"
        pick(sheet, left, plot.y, wide, plot.height, f"stage={number};module=0", tip)
        marks.append((number, str(side), left + wide / 2, plot.bottom - tall))
    label_stages(sheet, plot.y - 20, marks, stage)
    for name in names:
        label(sheet, *name, anchor="middle")
    return framed


def draw_block(sheet, left, bottom, width, tall, module, metric):
    """A run of identical modules: a band for each kernel, lines between modules."""
    base, cost = bottom, total([module], metric)
    names = []
    for kernel, number in by_kernel([module], metric).items():
        high = tall * number / cost
        base -= high
        key = f"{module.name} {kernel}"
        sheet.rect(left, base, max(width, 1.0), high, kernel, key=key)
        if high >= 15:
            names.append((left, base + high / 2 + 5, width, kernel))
    if cost and module.times * 3 < width:
        places = [left + width / module.times * i for i in range(1, module.times)]
        lines = tuple(((x, bottom - tall), (x, bottom)) for x in places)
        sheet.strokes(lines, "paper", 0.8)
    for name in names:
        name_inside(sheet, *name)
    sheet.line((left, bottom - tall), (left, bottom), stroke="paper", width=1)


def label_stages(sheet, y, marks, stage):
    """The sides of the grids above the blocks, each joined to its own."""
    gap = max(text_width(side, bold=True) for _, side, *_ in marks) + 4
    middles = [middle for _, _, middle, _ in marks]
    places = spread(middles, gap / 2, SHEET - gap / 2, gap)
    for (number, side, middle, top), x in zip(marks, places, strict=True):
        sheet.line((x, y + 3), (middle, top - 1), stroke="grid", width=2)
        style = {"bold": True, "fill": "accent"} if number == stage else {}
        sheet.text(x, y, side, anchor="middle", **style)
        pick(sheet, x - gap / 2, y - 14, gap, 18, f"stage={number};module=0")


# ---- the rows ----------------------------------------------------------------


def draw_tables(sheet, y, pair, tables, metric, end, pitch):
    """The rows of each network as bars from 0 to `end`, side by side."""
    alone, gap = len(pair) == 1, 16
    column = (SHEET - 2 * EDGE - gap * (len(pair) - 1)) / len(pair)
    room = 276 if alone else max(table.room for table in tables)
    scale = (column - room - (122 if alone else 66)) / end
    for place, (network, table) in enumerate(zip(pair, tables, strict=True)):
        left, base = EDGE + place * (column + gap), y
        title = table.title if alone else network.name
        sheet.fitted_text(left, base, title, column, bold=True)
        for row in table.rows:
            base += pitch
            text = "▸ " * bool(row.pick) + (row.label if alone else row.brief)
            sheet.fitted_text(left, base, text, room - 8)
            shares, x = by_kernel(row.modules, metric), left + room
            parts = [(n, kernel, f"{kernel}: {n:,}") for kernel, n in shares.items()]
            box = x, base - 5 - (pitch - 3) / 2, pitch - 3
            stacked_bar(sheet, *box, scale, parts, row.label)
            for kernel, number in shares.items():
                name_inside(sheet, x, base, number * scale, kernel)
                x += number * scale
            cost = total(row.modules, metric)
            value = words(cost, metric)
            if alone:
                value += f" ({percent(cost / total(network.modules, metric), 1)})"
            sheet.text(left + column, base, value, anchor="end")
            if row.pick:
                pick(sheet, left, base - 15, column, pitch - 2, row.pick)
