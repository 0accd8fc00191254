"""The kernels explorer: what do k x k, stacks and 1 x n + n x 1 see and cost?

A window slides over the input and makes a sum at every position. A path leads from
an input pixel through one weight of every layer to the chosen output pixel. The
pixels with a path are the theoretical receptive field; with all weights 1, the sum
counts every pixel once for each of its paths. The influence of a pixel is its
gradient: with equal weights the number of its paths, with random ones its square
root, on average (Luo et al., Understanding the Effective Receptive Field in Deep
Convolutional Neural Networks, arXiv 1701.04128, section 2).

The savings are those of Szegedy et al., Rethinking the Inception Architecture for
Computer Vision, arXiv 1512.00567, section 3, with as many channels in as out.
"""

from itertools import product
from math import sqrt

from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.explorers.kernel_paths import GRID, PIXELS, PLANS, paths, sums
from inception_edu.figures.plot import SHEET, Plot, label, round_up, stacked_bar
from inception_edu.figures.svg import Drawing, color
from inception_edu.figures.theme import kernel_name
from inception_edu.text import percent, short, times

WIDEST = 256  # v3 has 128 to 192 channels on this grid
KINDS = {"equal": "all equal", "random": "random, on average"}

QUESTION = "What do k x k, stacks and 1 x n + n x 1 see, and what do they cost?"
CONTROLS = [
    Choice("plan", "kernels", list(PLANS), "two 3x3"),
    Range("row", "output row", 1, GRID, 1, 9),
    Range("column", "output column", 1, GRID, 1, 9, play="row"),
    Range("channels", "channels", 8, WIDEST, 8, 192),
    Choice("weights", "weights", KINDS, "equal"),
]
SWEEP = {"plan": list(PLANS), "weights": ["equal", "random"]}


def influence(count, weights):
    """The gradient of a pixel with `count` paths, that of a single path being 1."""
    return sqrt(count) if weights == "random" else count


def draw(state):
    name, row, column = state["plan"], state["row"] - 1, state["column"] - 1
    field = paths(name, row, column, clip=False)
    seen = paths(name, row, column)
    influences = {pixel: influence(n, state["weights"]) for pixel, n in seen.items()}
    summary = f"{in_view(state, field, seen)}; {in_weights(name, state['channels'])}."
    most = max(influences.values())
    shades = dict.fromkeys(field, 0)  # in the padding
    shades |= {p: round(0.12 + 0.48 * n / most, 2) for p, n in influences.items()}
    remark = in_influence(field, seen, influences)
    sheet = Drawing(SHEET, 462)
    draw_input(sheet, state, shades)
    draw_kernels(sheet, PLANS[name].branches)
    draw_output(sheet, state)
    draw_window(sheet, state, seen, influences, shades)
    sheet.text(0, 436, remark)
    draw_costs(sheet, state)
    return Picture(sheet.svg(f"What {name} sees and costs: {summary}", remark), summary)


def in_view(state, field, seen):
    """What the kernels see of the input, in words."""
    name, (side, branches) = state["plan"], PLANS[state["plan"]]
    verb = "sees" if name[0].isdigit() else "see"
    what = f"{side}x{side} = {len(field)} pixels"
    if len(branches) > 1:
        what = f"a cross, {len(field)} pixels of {side}x{side}"
    elif len(field) < side**2:
        what = f"{len(field)} pixels of {side}x{side}, with gaps"
    if lost := len(field) - len(seen):
        what += f", {lost} of them padding"
    place = f"({state['row']}, {state['column']})"
    return f"{name[0].upper()}{name[1:]} at {place} {verb} {what}"


def in_weights(name, channels):
    """What the kernels cost, and how that compares, in words."""
    (side, branches), weights = PLANS[name], PLANS[name].weights * channels**2
    what = f"{weights:,} weights, {short(weights * GRID**2)} MACs"
    if name == "3x3":
        return what
    if name == f"{side}x{side}":
        return f"{what}: {times(side**2 / 9)} a 3x3"
    same = " with as many outputs" if len(branches) > 1 else ""
    saved = 1 - PLANS[name].weights / (side**2 * len(branches))
    return f"{what}: {percent(saved, 1)} less than a {side}x{side}{same}"


def in_influence(field, seen, influences):
    """How unequally the pixels count, or what the padding takes, in words."""
    total, left = field.total(), seen.total()
    if left < total:
        return f"{total - left} of {total} paths are lost in the padding."
    most, least = max(influences.values()), min(influences.values())
    if most == least:
        return "One path from every pixel: equal influence."
    return f"Middle: {times(most / least)} the weakest influence."


RING = 3  # cells of padding drawn around the input: half of a 7x7
WEIGHT = 7  # pixels of a weight in a drawn kernel
CELL, BIG = 9, 20  # pixels of a cell: of the maps, of the enlarged window
MAP = GRID * CELL
TOP, TOP_BIG = 22 + RING * CELL, 264  # of both maps, of the enlarged window
MIDDLE = 307  # between the maps


def draw_input(sheet, state, shades):
    """The input and its padding, with the window on it."""
    wide, x0 = MAP + 2 * RING * CELL, RING * CELL
    sheet.text(0, 16, "input and its padding", bold=True)
    sheet.rect(0, 22, wide, wide, "panel")
    sheet.rect(x0, TOP, MAP, MAP, "paper", stroke="ink")
    ink = {pixel: value / 12 for pixel, value in PIXELS.items() if value}
    draw_pixels(sheet, x0, TOP, CELL, ink)
    draw_pixels(sheet, x0, TOP, CELL, shades, "accent")
    half = PLANS[state["plan"]].side // 2
    for reach, stroke in ((half, "accent"), (0, "ink")):
        x, y = (state[name] - 1 - reach for name in ("column", "row"))
        side = (2 * reach + 1) * CELL
        place = (x0 + x * CELL, TOP + y * CELL, side, side)
        sheet.rect(*place, stroke=stroke, stroke_width=2)
    draw_picks(sheet, x0)


def draw_output(sheet, state):
    """The output up to the chosen position, and that one, enlarged, with its sum."""
    left, maps = SHEET - MAP - 1, sums(state["plan"])
    sheet.text(left, 16, "output", bold=True)
    row, column = state["row"] - 1, state["column"] - 1
    place, cell = row * GRID + column, CELL / len(maps)
    known, low = state["weights"] == "equal", 216 - 34 * len(maps)
    for i, values in enumerate(maps):
        top, most = TOP + i * MAP / len(maps), max(values.values())
        sheet.rect(left, top, GRID * cell, GRID * cell, "paper", stroke="ink")
        made = [round(0.8 * v / most, 1) for v in values.values()][: place + 1]
        x, y, up = left + column * cell, top + row * cell, low + 8 + 34 * i
        if known:
            shades = {divmod(at, GRID): shade for at, shade in enumerate(made) if shade}
            draw_pixels(sheet, left, top, cell, shades)
            value = str(values[row, column])
            sheet.text(MIDDLE + 18, up + 23, value, 24, anchor="end", bold=True)
            sheet.rect(MIDDLE + 26, up, 28, 28, "ink", opacity=made[-1] or 0.01)
            sheet.rect(MIDDLE + 26, up, 28, 28, stroke="accent", stroke_width=2)
            ends = ((up, y), (up + 28, y + cell))
            lines = tuple(((MIDDLE + 54, high), (x, end)) for high, end in ends)
            sheet.strokes(lines, "accent", 0.8)
        sheet.rect(x, y, cell, cell, stroke="accent", stroke_width=2)
    words = "sum of the products" if known else "random: no fixed sum"
    label(sheet, MIDDLE, low, words, anchor="middle")
    if known:
        sheet.line((276, TOP_BIG - 4), (276, 226), stroke="ink", arrow=True)
        sheet.text(286, 240, "add up")
    if len(maps) == 1:
        draw_picks(sheet, left)
    sheet.text(left, TOP + MAP + 18, f"position {place + 1} of {GRID**2}")


def draw_picks(sheet, left):
    """A transparent ground on which a click chooses a pixel."""
    pick = f'data-grid="row;column;{GRID}"'
    place = f'x="{left}" y="{TOP}" width="{MAP}" height="{MAP}"'
    sheet.raw(f'<rect {place} fill-opacity="0" {pick}/>')


def draw_pixels(sheet, x0, y0, cell, dark, fill="ink"):
    """Pixels `(row, column)` as dark as `dark` says; 0, padding, is a small dot."""
    squares = {}
    for (row, column), shade in dark.items():
        way = f"M{column} {row}h1v1h-1z"
        if not shade:
            way = f"M{column + 0.4} {row + 0.4}h.2v.2h-.2z"
        squares[shade] = squares.get(shade, "") + way
    sheet.raw(f'<g transform="translate({x0} {y0}) scale({cell})">')
    for shade, way in squares.items():
        name, opacity = (fill, f"{shade:.2f}") if shade else ("muted", "0.6")
        sheet.raw(f'<path d="{way}" fill="{color(name)}" opacity="{opacity}"/>')
    sheet.raw("</g>")


def draw_kernels(sheet, branches):
    """The kernels to scale, a square for each weight, between input and output."""
    left, right, count = 210, SHEET - MAP - 4, len(branches)
    for i, layers in enumerate(branches):
        y, before = (80, 52, 112)[count - 1 + i], (left, 80)
        for place, layer in enumerate(layers, 1):
            x, pitch = left + place * (right - left) / (len(layers) + 1), layer.dilation
            wide, high = (
                ((side - 1) * pitch + 1) * WEIGHT
                for side in (layer.width, layer.height)
            )
            room = max(wide, 26) / 2
            sheet.line(before, (x - room - 3, y), arrow=True)
            for row, column in product(range(layer.height), range(layer.width)):
                left_edge = x - wide / 2 + column * pitch * WEIGHT
                upper_edge = y - high / 2 + row * pitch * WEIGHT
                box = left_edge, upper_edge, WEIGHT, WEIGHT
                sheet.rect(*box, kernel_name(layer.name), stroke="paper")
            sheet.text(x, y - high / 2 - 6, layer.name, anchor="middle")
            before = (x + room + 3, y)
        middle = TOP + (i + 0.5) * MAP / 2 if count > 1 else y
        sheet.line(before, (right, middle), arrow=True)


def draw_window(sheet, state, seen, influences, shades):
    """The inputs in view, enlarged, and how much each counts in the sum."""
    top, wide, half = TOP_BIG, 7 * BIG, PLANS[state["plan"]].side // 2
    row, column = state["row"] - 4, state["column"] - 4  # of the upper left corner
    inputs = {pixel: PIXELS[pixel] for pixel in seen}
    counts = {pixel: f"{n:.2g}" for pixel, n in influences.items()}
    counted, weights = "paths", ", weights 1"
    if state["weights"] == "random":
        counted, weights = "influence", ""
    ink = {(y - row, x - column): n / 30 for (y, x), n in inputs.items() if n}
    low, left = TOP + (state["row"] + half) * CELL, RING * CELL
    ends = (column + 3 - half, (3 - half) * BIG), (column + 4 + half, (4 + half) * BIG)
    lines = tuple(((left + x * CELL, low), (end, top)) for x, end in ends)
    sheet.strokes(lines, "accent", 0.8)
    draw_pixels(sheet, 0, top, BIG, ink)
    flat = {pixel: pixel in seen and 0.15 for pixel in shades}
    views = (
        ("inputs in view", flat, inputs, f"{len(seen)} of {len(shades)} pixels"),
        (counted, shades, counts, f"{seen.total()} paths{weights}"),
    )
    sheet.text(wide + 12, top + wide / 2 + 8, "×", 24, anchor="middle", bold=True)
    for x0, (name, shades, numbers, caption) in zip((0, wide + 24), views, strict=True):
        label(sheet, x0, top - 6, name, bold=True)
        sheet.grid(x0, top, 7, BIG, "grid")
        moved = {(y - row, x - column): shade for (y, x), shade in shades.items()}
        draw_pixels(sheet, x0, top, BIG, moved, "accent")
        for (y, x), number in numbers.items():
            place = (x0 + (x - column + 0.5) * BIG, top + (y - row + 0.75) * BIG)
            sheet.fitted_text(*place, str(number), BIG, anchor="middle")
        middle = (x0 + 3 * BIG, top + 3 * BIG, BIG, BIG)
        sheet.rect(*middle, stroke="ink", stroke_width=2)
        sheet.text(x0, top + wide + 15, caption)


def draw_costs(sheet, state):
    """The weights of every plan that spans as much, this one in bold."""
    channels, side = state["channels"], PLANS[state["plan"]].side
    rivals = [name for name, plan in PLANS.items() if plan.side == side]
    left, top, row = 330, 268, 30
    sheet.text(left, top - 14, f"spanning {side}x{side}, {channels} channels")
    most = round_up(side**2 * WIDEST**2, (1, 2, 4, 6))
    box = (left, top, SHEET - left - 24, row * len(rivals))
    plot = Plot(sheet, box, (0, most), (len(rivals), 0))
    plot.axes("weights", grid="x", x_ticks=[0, most / 2, most])
    for i, name in enumerate(rivals):
        y, bold = top + i * row, name == state["plan"]
        layers = [(la.name, la.weights * channels**2) for la in PLANS[name].layers]
        parts = [(n, kernel_name(k), f"{k}: {n:,} weights") for k, n in layers]
        end = stacked_bar(sheet, left, y + 17, 10, plot.width / most, parts)
        if len(PLANS[name].branches) > 1:
            sheet.text(end + 8, y + 27, f"{2 * channels} out")
        sheet.text(left, y + 13, name, bold=bold)
        value = short(PLANS[name].weights * channels**2)
        sheet.text(SHEET, y + 13, value, anchor="end", bold=bold)
