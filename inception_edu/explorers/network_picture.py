"""The network explorer's picture: networks as blocks to scale, rows, a module open.

A block is as wide as its cost and as high as its grid, on a logarithmic scale; its
bands are its kernels' shares. Below, rows with the same costs as numbers, or
the layers of one module, joined by bands as thick as the channels they carry.
"""

from html import escape
from math import log2
from typing import NamedTuple

from inception_edu.explorers.network_modules import in_short, total
from inception_edu.figures.labels import spread
from inception_edu.figures.plot import SHEET, Plot, label, stacked_bar, ticks
from inception_edu.figures.svg import text_width
from inception_edu.figures.theme import PALETTE, on_color
from inception_edu.text import number as brief
from inception_edu.text import percent, short, tick

SHOWN = {"macs": "MACs", "params": "parameters", "memory": "activation memory"}
BOX, LANE = 34, 41  # height of a layer; from one branch to the next
EDGE = 6  # of what stands on the background of an open stage
GAP, CURVE = 31, 18  # between layers; more of it before they join


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


# ---- one module, open --------------------------------------------------------


class Place(NamedTuple):
    """Where a layer or the module's input is drawn, and its channels."""

    left: float
    right: float
    y: float
    channels: int


def places_of(layers, entering, top):
    """A `Place` for the module's input and each layer, and where the lowest ends.

    Columns are by what a layer reads, rows by branch; a shortcut has the lowest row.
    """
    columns, rows, read, lanes, shortcut = [], [], set(), 0, 0
    for layer in layers:
        sources = [source for source in layer.inputs if source >= 0]
        columns.append(1 + max([columns[s] for s in sources], default=0))
        if layer.joins:
            joined = [rows[s] for s in sources]
            rows.append((min(joined) + max(joined)) / 2)
            shortcut |= len(sources) < len(layer.inputs)
        elif sources and sources[0] not in read:
            rows.append(rows[sources[0]])
        else:
            rows.append(lanes)
            lanes += 1
        read.update(sources)
    boxes = {column for column, la in zip(columns, layers, strict=True) if not la.joins}
    joins = set(columns) - boxes
    free = SHEET - 84 - GAP * len(boxes) - (GAP + CURVE + 10) * len(joins)
    wide, x, left = min(80, free / len(boxes)), 44, {}
    for column in sorted(set(columns)):
        x += GAP + (CURVE if column in joins else 0)
        left[column] = x
        x += wide if column in boxes else 10
    places = [Place(34, 44, top + LANE * lanes / 2, entering)]
    for layer, column, row in zip(layers, columns, rows, strict=True):
        right = left[column] + (10 if layer.joins else wide)
        y = top + LANE * (row + 0.5)
        places.append(Place(left[column], right, y, layer.channels))
    return places, top + LANE * (lanes + shortcut)


def draw_inside(sheet, top, module, entering, metric):
    """The layers of `module`, whose input has `entering` channels."""
    places, end = places_of(module.layers, entering, top)
    layers = list(zip(module.layers, places[1:], strict=True))
    thick = 26 / max(place.channels for place in places)  # pixels of a channel
    for layer, place in layers:
        y = place.y - layer.channels * thick / 2
        for source in layer.inputs:
            before = places[source + 1]
            high = before.channels * thick
            level = place.y
            if layer.what == "concatenation":  # one below the other
                level, y = y + high / 2, y + high
            style = {"stroke": "grid", "width": round(max(1.5, high), 1)}
            if layer.joins and source < 0:
                draw_shortcut(sheet, before, place, end - LANE / 2, style)
            else:
                gap = CURVE if layer.joins else GAP
                draw_band(sheet, before, (place.left, level), gap, style)
    for layer, place in layers:
        high, note = layer.channels * thick, str(layer.channels)
        if layer.joins:
            top = place.y - max(14, high) / 2
            tip = f"{layer.what}: {layer.channels}"
            key = f"{module.name} {layer.place}"
            sheet.rect(place.left, top, 10, max(14, high), "ink", tip=tip, key=key)
            sign = "+" if layer.what == "addition" else ""
            sheet.text(place.left + 15, top - 4, sign + note, anchor="middle")
        else:
            draw_layer(sheet, place, layer, metric, module.name)
            if layer.kernel != "pool" and place is not places[-1]:
                y = place.y - max(1.5, high) / 2 - 3
                sheet.text(place.right + 15, y, note, anchor="middle")
    tall = entering * thick
    left, _, y, _ = places[0]
    style = {"tip": "input", "key": f"{module.name} input"}
    sheet.rect(left, y - tall / 2, 10, tall, "ink", **style)
    sheet.text(EDGE, y - tall / 2 - 6, f"{entering}")


def draw_band(sheet, before, end, gap, style):
    """What flows to a layer at `end`, straight on up to `gap` before it."""
    start, (x, y) = (before.right, before.y), end
    if x - start[0] > gap:
        sheet.line(start, (x - gap, start[1]), **style)
        start = x - gap, start[1]
    bend = (start[0] + x) / 2
    sheet.line(start, (bend, start[1]), (bend, y), end, curve=True, **style)


def draw_shortcut(sheet, before, place, lane, style):
    """What flows past the branches, on the lowest lane."""
    x, end = before.right, place.left
    turns = (x + 20, lane), (x + 10, lane), (x + 40, lane)
    sheet.line((x, before.y), *turns, curve=True, **style)
    sheet.line((x + 40, lane), (end - 30, lane), **style)
    turns = (end - 8, lane), (end - 16, place.y), (end, place.y)
    sheet.line((end - 30, lane), *turns, curve=True, **style)


def draw_layer(sheet, place, layer, metric, name):
    """A box with the kernel and what it costs."""
    cost, width = getattr(layer, metric), place.right - place.left
    top = place.y - BOX / 2
    style = {"tip": f"{layer.label}: {cost:,}", "key": f"{name} {layer.place}"}
    sheet.rect(place.left, top, width, BOX, layer.kernel, radius=3, **style)
    kernel, _, rest = layer.what.replace(",", "", 1).partition(" ")
    unit = "B" if metric == "memory" else ""
    below = brief(cost) + unit if cost else rest.removesuffix(" pool") or "0"
    style = {"anchor": "middle", "fill": on_color(layer.kernel)}
    x, room = place.left + width / 2, width - 2
    sheet.fitted_text(x, top + 15, kernel, room, bold=True, **style)
    sheet.fitted_text(x, top + 30, below, room, **style)
