"""The network explorer's picture: networks as blocks to scale, rows, a module open.

A block is as wide as its cost and as high as its grid, on a logarithmic scale; its
bands are its kernels' shares. Below, rows with the same costs as numbers, or
the layers of one module, joined by bands as thick as the channels they carry.
"""

from html import escape
from math import log2

from inception_edu.explorers.network_modules import (
    grid_name,
    stages,
    total,
)
from inception_edu.figures.plot import (
    NOTE,
    SHEET,
    Plot,
    legend,
    short,
    spread,
    stacked_bar,
    tick,
    ticks,
)
from inception_edu.figures.svg import Strokes, text_width
from inception_edu.figures.theme import PALETTE, on_color
from inception_edu.text import number as brief
from inception_edu.text import percent

SHOWN = {"macs": "MACs", "params": "parameters", "memory": "activation memory"}
MOST_ROWS, MOST_LABELS = 24, 8
ROW = 22  # pixels from row to row
BOX, LANE = 34, 41  # height of a layer; from one branch to the next
GAP, CURVE = 31, 18  # between layers; more of it before they join


def words(number, amount):
    """An amount in few letters, with the B of bytes."""
    return short(number) + ("B" if amount == "memory" else "")


def parts(modules, amount):
    """`{kernel: amount}` of modules, in the palette's order, without zeros."""
    found = dict.fromkeys(PALETTE, 0)
    for module in modules:
        for layer in module.layers:
            found[layer.kernel] += module.count * getattr(layer, amount)
    return {kernel: number for kernel, number in found.items() if number}


# ---- the blocks --------------------------------------------------------------


def draw_blocks(sheet, top, network, end, stage, amount, high):
    """One network on an axis from 0 to `end`; stage `stage` is framed."""
    plot = Plot(sheet, (6, top + 42, SHEET - 40, high), (0, end), (0, 1))
    plot.axes(x_ticks=ticks(0, end, 5), y_ticks=(), grid="x")
    key = f"axis {SHOWN[amount]} of {network.name} 0 to {tick(end)}"
    sheet.line((plot.x, plot.bottom), (plot.right, plot.bottom), width=1, key=key)
    whole = words(total(network.modules, amount), amount)
    title = f"{network.title}: {whole} {SHOWN[amount]}"
    sheet.fitted_text(0, top + 14, title, SHEET - 2, NOTE, bold=True)
    tallest = max(module.grid[0] for module in network.modules)
    found, start = [], 0
    for number, (grid, run) in enumerate(stages(network.modules), 1):
        tall = log2(1 + grid[0]) / log2(1 + tallest) * high
        x = start
        for module in run:
            draw_block(plot, x, tall, network, module, amount)
            x += module.total(amount)
        (left, _), (right, _) = plot.at(start, 0), plot.at(x, 0)
        right = max(right, left + 2)
        if number == stage:
            style = {"stroke": "accent", "stroke_width": 3}
            sheet.rect(left, plot.bottom - tall, right - left, tall, **style)
        names = ", ".join(module.label for module in run)
        tip = f"{grid_name(grid)}: {names}, {words(x - start, amount)}"
        area = (left, plot.y, right - left, high)
        pick(sheet, *area, f"stage={number};module=0", tip)
        side = str(grid[0]) if len(set(grid)) == 1 else grid_name(grid)
        found.append((number, side, (left + right) / 2, tall, x - start))
        start = x
    label_stages(plot, found, stage)


def draw_block(plot, start, tall, network, module, amount):
    """A run of identical modules: a band for each kernel, lines between modules."""
    (left, low), (right, _) = (
        plot.at(start, 0),
        plot.at(start + module.total(amount), 0),
    )
    width, each = max(right - left, 1.0), module.each(amount)
    base = low
    for kernel, number in parts([module], amount).items():
        high = tall * number / module.total(amount)
        base -= high
        key = f"{module.name} {kernel}"
        plot.drawing.rect(left, base, width, high, kernel, key=key)
        if high >= 15 and width >= text_width(kernel, NOTE) + 4:
            style = {"anchor": "middle", "fill": on_color(kernel)}
            middle = (left + width / 2, base + high / 2 + 5)
            plot.drawing.text(*middle, kernel, NOTE, **style)
    if each and module.count * 3 < width:
        step = width / module.count
        places = [left + step * i for i in range(1, module.count)]
        lines = tuple(((x, low - tall), (x, low)) for x in places)
        plot.drawing.add(Strokes(lines, "paper", 0.8))
    plot.drawing.line((left, low - tall), (left, low), stroke="paper", width=1)


def label_stages(plot, found, stage):
    """The grids above the blocks, each joined to its own; the largest if too many."""
    kept = sorted(found, key=lambda one: -one[-1])[:MOST_LABELS]
    kept = sorted(one for one in kept if one[-1] or len(found) <= MOST_LABELS)
    gap = max(text_width(grid, NOTE, bold=True) for _, grid, *_ in kept) + 4
    ends = (gap / 2, SHEET - gap / 2)
    places = spread([middle for _, _, middle, *_ in kept], *ends, gap)
    for (number, grid, middle, tall, _), x in zip(kept, places, strict=True):
        y, top = plot.y - 12, plot.bottom - tall
        plot.drawing.line((x, y + 3), (middle, top - 1), stroke="grid", width=2)
        style = {"bold": True, "fill": "accent"} if number == stage else {}
        plot.drawing.text(x, y, grid, NOTE, anchor="middle", **style)
        pick(plot.drawing, x - gap / 2, y - 14, gap, 18, f"stage={number};module=0")


def pick(sheet, x, y, width, height, what, tip=""):
    """An unseen rectangle that sets controls when it is clicked."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    sheet.raw(
        f'<rect x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{height:.0f}" '
        f'fill-opacity="0" data-pick="{what}">{title}</rect>'
    )


# ---- the rows ----------------------------------------------------------------


def draw_tables(sheet, y, pair, tables, amount, end):
    """The rows of each network as bars from 0 to `end`, side by side."""
    alone, gap = len(pair) == 1, 16
    column = (SHEET - gap * (len(pair) - 1)) / len(pair)
    room = 264 if alone else max(table.room for table in tables)
    scale = (column - room - (122 if alone else 66)) / end
    for number, (network, table) in enumerate(zip(pair, tables, strict=True)):
        left, above = number * (column + gap), y
        title = table.title if alone else network.name
        sheet.fitted_text(left, above, title, column, NOTE, bold=True)
        whole = total(network.modules, amount) if alone else 0
        for row in shortened(table.rows):
            above += ROW
            text = row.label if alone else row.brief
            sheet.fitted_text(left, above, text, room - 8, NOTE)
            cost = total(row.modules, amount)
            draw_bar(sheet, left + room, above - 15, scale, row.modules, amount)
            value = words(cost, amount)
            if whole:
                value += f" ({percent(cost / whole, 1)})"
            sheet.text(left + column, above, value, NOTE, anchor="end")
            if row.pick:
                pick(sheet, left, above - 15, column, ROW - 2, row.pick)


def draw_bar(sheet, x, y, scale, modules, amount):
    """The kernels' shares of some modules, each with its name where that fits."""
    bars = parts(modules, amount)
    tips = [
        (number, kernel, f"{kernel}: {number:,}") for kernel, number in bars.items()
    ]
    stacked_bar(sheet, x, y, 19, scale, tips)
    for kernel, number in bars.items():
        if number * scale >= text_width(kernel, NOTE) + 4:
            style = {"anchor": "middle", "fill": on_color(kernel)}
            sheet.text(x + number * scale / 2, y + 14, kernel, NOTE, **style)
        x += number * scale


def shortened(rows):
    """The rows, the last ones as one where there are more than `MOST_ROWS`."""
    if len(rows) <= MOST_ROWS:
        return rows
    rest = [module for row in rows[MOST_ROWS - 1 :] for module in row.modules]
    label = f"and {len(rows) - MOST_ROWS + 1} more"
    last = rows[0]._replace(label=label, brief=label, modules=rest, pick=None)
    return [*rows[: MOST_ROWS - 1], last]


def draw_legend(sheet, y, pair, amount):
    """The colors of the kernels, in the palette's order; returns where they end."""
    modules = [module for network in pair for module in network.modules]
    legend(sheet, 0, y, [(k, k, "box") for k in parts(modules, amount)])
    return sheet.items[-1].y + 8


# ---- one module, open --------------------------------------------------------


class Inside:
    """The layers of a module as boxes: columns by what they read, rows by branch.

    `fits` is False where there are too many of either.
    """

    def __init__(self, module):
        self.layers = layers = module.layers
        self.columns, self.rows, lanes = [], [], 0
        taken = set()
        for layer in layers:
            sources = [source for source in layer.inputs if source >= 0]
            depth = 1 + max([self.columns[s] for s in sources], default=0)
            self.columns.append(depth)
            if len(sources) > 1:
                rows = [self.rows[s] for s in sources]
                self.rows.append((min(rows) + max(rows)) / 2)
            elif sources and sources[0] not in taken:
                self.rows.append(self.rows[sources[0]])
            else:
                self.rows.append(lanes)
                lanes += 1
            taken.update(sources)
        self.skips = any(
            -1 in layer.inputs and depth > 1
            for layer, depth in zip(layers, self.columns, strict=True)
        )
        self.lanes = lanes + self.skips
        boxed = {c for i, c in enumerate(self.columns) if not self.joins(i)}
        joined = set(self.columns) - boxed
        free = SHEET - 84 - GAP * len(boxed) - (GAP + CURVE + 10) * len(joined - boxed)
        self.width = min(80, free / max(1, len(boxed)))
        self.fits = self.width >= 46 and self.lanes <= 8 and len(layers) > 1
        self.left, x = {0: 34}, 44
        for column in sorted(boxed | joined):
            x += GAP + (CURVE if column in joined else 0)
            self.left[column] = x
            x += self.width if column in boxed else 10

    def joins(self, number):
        """Whether a layer is a concatenation or an addition."""
        return len(self.layers[number].inputs) > 1

    def right(self, number):
        """Where a layer ends, the module's input where `number` is -1."""
        if number < 0:
            return self.left[0] + 10
        wide = 10 if self.joins(number) else self.width
        return self.left[self.columns[number]] + wide


def draw_inside(sheet, y, module, entering, amount):
    """The layers of `module`, whose input has `entering` channels; returns the end."""
    inside = Inside(module)
    layers = inside.layers
    thick = 26 / max(entering, *(layer.channels for layer in layers))
    middle = {i: y + LANE * (row + 0.5) for i, row in enumerate(inside.rows)}
    middle[-1] = y + LANE * (inside.lanes - inside.skips) / 2
    channels = {-1: entering} | {i: la.channels for i, la in enumerate(layers)}
    for number, layer in enumerate(layers):
        sums = layer.kernel == "other" and layer.channels == sum(
            channels[source] for source in layer.inputs
        )
        offset = -layer.channels * thick / 2 if sums else None
        for source in layer.inputs:
            wide = max(1.5, channels[source] * thick)
            end = middle[number]
            if offset is not None:  # stacked: what a concatenation does
                end += offset + channels[source] * thick / 2
                offset += channels[source] * thick
            ends = (inside.right(source), inside.left[inside.columns[number]])
            draw_band(sheet, inside, source, number, (middle, end), ends, wide, y)
    for number, layer in enumerate(layers):
        x, half = inside.left[inside.columns[number]], BOX / 2
        if inside.joins(number):
            tall = max(14, layer.channels * thick)
            top = middle[number] - tall / 2
            sheet.rect(x, top, 10, tall, "ink", tip=f"{layer.what}: {layer.channels}")
            note = f"{'+' if layer.what == 'addition' else ''}{layer.channels}"
            sheet.text(
                x + 15, middle[number] - tall / 2 - 4, note, NOTE, anchor="middle"
            )
        else:
            draw_layer(sheet, x, middle[number] - half, inside.width, layer, amount)
            if layer.kernel != "pool" and number != len(layers) - 1:
                place = inside.right(number) + 15, middle[number]
                rise = max(1.5, layer.channels * thick) / 2 + 3
                note = str(layer.channels)
                sheet.text(place[0], place[1] - rise, note, NOTE, anchor="middle")
    tall = entering * thick
    sheet.rect(inside.left[0], middle[-1] - tall / 2, 10, tall, "ink", tip="input")
    sheet.text(0, middle[-1] - tall / 2 - 6, f"{entering}", NOTE)
    return y + LANE * inside.lanes


def draw_band(sheet, inside, source, number, heights, ends, wide, y):
    """What flows from one layer to another, as wide as its channels."""
    (middle, end), (left, right) = heights, ends
    style = {"stroke": "grid", "width": round(wide, 1)}
    start = middle[source]
    if source < 0 and inside.columns[number] > 1:  # past the branches: a shortcut
        lane = y + LANE * (inside.lanes - 0.5)
        sheet.curve(
            (left, start),
            (left + 20, lane),
            (left + 10, lane),
            (left + 40, lane),
            **style,
        )
        sheet.line((left + 40, lane), (right - 30, lane), **style)
        sheet.curve(
            (right - 30, lane),
            (right - 8, lane),
            (right - 16, end),
            (right, end),
            **style,
        )
        return
    wide = CURVE if inside.joins(number) else GAP
    if right - left > wide:  # straight on past the columns that it skips
        sheet.line((left, start), (right - wide, start), **style)
        left = right - wide
    bend = (left + right) / 2
    sheet.curve((left, start), (bend, start), (bend, end), (right, end), **style)


def draw_layer(sheet, x, y, width, layer, amount):
    """A box with the kernel and what it costs."""
    ink = on_color(layer.kernel)
    cost = getattr(layer, amount)
    style = {"tip": f"{layer.label}: {cost:,}", "key": f"layer {layer.place}"}
    sheet.rect(x, y, width, BOX, layer.kernel, radius=3, **style)
    kernel, _, rest = layer.what.replace(",", "", 1).partition(" ")
    unit = "B" if amount == "memory" else ""
    below = brief(cost) + unit if cost else rest.removesuffix(" pool")
    centre = {"anchor": "middle", "fill": ink}
    for line, text, bold in ((15, kernel, True), (30, below, False)):
        sheet.fitted_text(
            x + width / 2, y + line, text, width - 2, NOTE, bold=bold, **centre
        )
