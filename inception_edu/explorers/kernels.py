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

from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.explorers.kernel_paths import (
    GRID,
    PIXELS,
    PLANS,
    influence,
    paths,
    saving,
    sums,
    weights_of,
)
from inception_edu.figures.plot import (
    NOTE,
    SHEET,
    Plot,
    round_up,
    short,
    stacked_bar,
    times,
)
from inception_edu.figures.svg import Drawing, Strokes, color
from inception_edu.figures.theme import kernel_name
from inception_edu.text import percent

RING = 3  # cells of padding drawn around the input: half of a 7x7
WEIGHT = 7  # pixels of a weight in a drawn kernel

QUESTION = "What do k x k, stacks and 1 x n + n x 1 see, and what do they cost?"
CONTROLS = [
    Choice("plan", "kernels", list(PLANS), "two 3x3"),
    Range("row", "output row", 1, GRID, 1, 9),
    Range("column", "output column", 1, GRID, 1, 9, play="row"),
    Range("channels", "channels", 8, 512, 8, 192),
    Choice(
        "weights",
        "weights",
        {"equal": "all equal", "random": "random, on average"},
        "equal",
    ),
]
SWEEP = {"plan": list(PLANS), "weights": ["equal", "random"]}


def draw(state):
    """The picture of a state, with what it sees and costs in the summary."""
    plan, row, column = state["plan"], state["row"] - 1, state["column"] - 1
    field = paths(plan, row, column, clip=False)
    seen = paths(plan, row, column)
    summary = f"{in_view(state, field, seen)}; {in_weights(plan, state['channels'])}."
    remark = in_influence(field, seen, state["weights"])
    sheet = Drawing(SHEET, 462)
    draw_input(sheet, state, field, seen)
    draw_sum(sheet, state)
    draw_output(sheet, state)
    draw_window(sheet, state, field, seen)
    sheet.text(0, 436, remark, NOTE)
    draw_costs(sheet, state)
    return Picture(sheet.svg(f"What {plan} sees and costs: {summary}", remark), summary)


def in_view(state, field, seen):
    """What the kernels see of the input, in words."""
    plan, side = PLANS[state["plan"]], PLANS[state["plan"]].side
    verb = "sees" if state["plan"][0].isdigit() else "see"
    name = state["plan"][0].upper() + state["plan"][1:]
    what = f"{name} at ({state['row']}, {state['column']}) {verb} "
    if len(plan.branches) > 1:
        what += f"a cross, {len(field)} pixels of {side}x{side}"
    elif len(field) < side**2:
        what += f"{len(field)} pixels of {side}x{side}, with gaps"
    else:
        what += f"{side}x{side} = {len(field)} pixels"
    lost = len(field) - len(seen)
    return what + (f", {lost} of them padding" if lost else "")


def in_weights(plan, channels):
    """What the kernels cost, and how that compares, in words."""
    weights, side = weights_of(plan, channels), PLANS[plan].side
    what = f"{weights:,} weights, {short(weights * GRID**2)} MACs"
    if plan == "3x3":
        return what
    if plan == f"{side}x{side}":
        return f"{what}: {times(side**2 / 9)} a 3x3"
    same = " with as many outputs" if len(PLANS[plan].branches) > 1 else ""
    return f"{what}: {percent(saving(plan), 1)} less than a {side}x{side}{same}"


def in_influence(field, seen, weights):
    """How unequally the pixels count, or what the padding takes, in words."""
    total, left = sum(field.values()), sum(seen.values())
    if left < total:
        return f"{total - left} of {total} paths are lost in the padding."
    most, least = max(seen.values()), min(seen.values())
    if most == least:
        return "One path from every pixel: equal influence."
    ratio = times(influence(most, weights) / influence(least, weights))
    return f"Middle: {ratio} the weakest influence."


CELL, BIG = 9, 20  # pixels of a cell: of the maps, of the enlarged window
MAP = GRID * CELL
TOP = 22 + RING * CELL  # of both maps


def draw_input(sheet, state, field, seen):
    """The input and its padding, with the window on it."""
    wide, x0 = MAP + 2 * RING * CELL, RING * CELL
    sheet.text(0, 16, "input and its padding", NOTE, bold=True)
    sheet.rect(0, 22, wide, wide, "panel")
    sheet.rect(x0, TOP, MAP, MAP, "paper", stroke="ink")
    shades = {(y, x): PIXELS[y][x] for y in range(GRID) for x in range(GRID)}
    draw_pixels(sheet, x0, TOP, CELL, {p: s / 12 for p, s in shades.items() if s})
    draw_pixels(sheet, x0, TOP, CELL, shaded(field, seen, state["weights"]), "accent")
    half = PLANS[state["plan"]].side // 2
    for reach, stroke in ((half, "accent"), (0, "ink")):
        x, y = (state[name] - 1 - reach for name in ("column", "row"))
        place = (x0 + x * CELL, TOP + y * CELL, *(((2 * reach + 1) * CELL,) * 2))
        sheet.rect(*place, stroke=stroke, stroke_width=2)
    draw_picks(sheet, x0)


def draw_output(sheet, state):
    """The output up to the chosen position: one map, or one for each branch."""
    left = SHEET - MAP
    sheet.text(left, 16, "output", NOTE, bold=True)
    place = (state["row"] - 1) * GRID + state["column"] - 1
    maps = sums(state["plan"])
    cell = CELL / len(maps)
    for i, rows in enumerate(maps):
        top = TOP + i * MAP / len(maps)
        sheet.rect(left, top, GRID * cell, GRID * cell, "paper", stroke="ink")
        most = max(map(max, rows))
        shades = {
            divmod(at, GRID): round(0.8 * value / most, 1)
            for at, value in enumerate(value for row in rows for value in row)
            if at <= place and value
        }
        if state["weights"] == "equal":
            draw_pixels(sheet, left, top, cell, {p: s for p, s in shades.items() if s})
        x, y = left + (place % GRID) * cell, top + (place // GRID) * cell
        sheet.rect(x, y, cell, cell, stroke="accent", stroke_width=2)
    if len(maps) == 1:
        draw_picks(sheet, left)
    caption = f"position {place + 1} of {GRID**2}"
    sheet.text(left, TOP + MAP + 18, caption, NOTE)


def draw_picks(sheet, left):
    """A transparent ground on which a click chooses a pixel."""
    pick = f'data-grid="row;column;{GRID}"'
    place = f'x="{left}" y="{TOP}" width="{MAP}" height="{MAP}"'
    sheet.raw(f'<rect {place} fill-opacity="0" {pick}/>')


def shaded(field, seen, weights):
    """How dark each pixel of the field is drawn; 0 if it lies in the padding."""
    most = influence(max(seen.values()), weights)
    return {
        pixel: round(0.12 + 0.48 * influence(seen[pixel], weights) / most, 2)
        if pixel in seen
        else 0
        for pixel in field
    }


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


def draw_sum(sheet, state):
    """The kernels to scale, between input and output, and the sum they make."""
    plan, left, right = PLANS[state["plan"]], 210, SHEET - MAP - 4
    middle = (left + right) / 2
    if len(plan.branches) == 1:
        sizes = [kernel_size(layer) for layer in plan.branches[0]]
        free = right - left - sum(max(wide, 26) for wide, _ in sizes)
        arrow, x = free / (len(sizes) + 1), left
        for layer, (wide, high) in zip(plan.branches[0], sizes, strict=True):
            room = max(wide, 26)
            sheet.line((x + 3, 80), (x + arrow - 3, 80), arrow=True)
            x += arrow + room / 2
            draw_kernel(sheet, x - wide / 2, 80 - high / 2, layer)
            sheet.text(x, 80 + high / 2 + 18, layer.name, NOTE, anchor="middle")
            x += room / 2
        sheet.line((x + 3, 80), (right, 80), arrow=True)
    else:
        for (layer,), y in zip(plan.branches, (52, 112), strict=True):
            wide, high = kernel_size(layer)
            sheet.line((left, 80), (left + 48, y), arrow=True)
            draw_kernel(sheet, left + 54, y - high / 2, layer)
            sheet.text(left + 62 + wide, y + 5, layer.name, NOTE)
            sheet.line((left + 98 + wide, y), (right, 62 + 1.6 * (y - 52)), arrow=True)
    maps = sums(state["plan"])
    values = [rows[state["row"] - 1][state["column"] - 1] for rows in maps]
    if state["weights"] == "equal":
        said = ["sum with all weights 1", " and ".join(map(str, values))]
    else:
        said = ["random weights: no", "fixed sum"]
    for text, y, size in zip(said, (176, 202), (NOTE, 24), strict=True):
        size = size if state["weights"] == "equal" else NOTE
        sheet.text(middle, y, text, size, anchor="middle", bold=size > NOTE)


def kernel_size(layer):
    """Width and height of a drawn kernel, its gaps included."""
    return tuple(
        ((size - 1) * layer.dilation + 1) * WEIGHT
        for size in (layer.width, layer.height)
    )


def draw_kernel(sheet, x, y, layer):
    """A kernel with a square for each weight."""
    pitch = layer.dilation * WEIGHT
    for row in range(layer.height):
        for column in range(layer.width):
            place = (x + column * pitch, y + row * pitch, WEIGHT, WEIGHT)
            sheet.rect(*place, kernel_name(layer.name), stroke="paper")


def draw_window(sheet, state, field, seen):
    """The inputs in view and how much each counts, enlarged around the position."""
    top, wide, weights = 264, 7 * BIG, state["weights"]
    row, column = state["row"] - 4, state["column"] - 4  # of the upper left corner
    name = "times paths" if weights == "equal" else "influence"
    texts = (
        {p: PIXELS[p[0]][p[1]] for p in seen},
        {p: f"{influence(count, weights):.0f}" for p, count in seen.items()},
    )
    shades = ({p: p in seen and 0.15 for p in field}, shaded(field, seen, weights))
    captions = (f"{len(seen)} of {len(field)} pixels", f"{sum(seen.values())} paths")
    for i, (dark, numbers) in enumerate(zip(shades, texts, strict=True)):
        x0 = i * (wide + 24)
        sheet.text(x0, top - 6, ("inputs in view", name)[i], NOTE, bold=True)
        draw_lines(sheet, x0, top, 7, BIG)
        moved = {(y - row, x - column): shade for (y, x), shade in dark.items()}
        draw_pixels(sheet, x0, top, BIG, moved, "accent")
        for (y, x), number in numbers.items():
            place = (x0 + (x - column + 0.5) * BIG, top + (y - row + 0.75) * BIG)
            sheet.text(*place, number, NOTE, anchor="middle")
        middle = (x0 + 3 * BIG, top + 3 * BIG, BIG, BIG)
        sheet.rect(*middle, stroke="ink", stroke_width=2)
        sheet.text(x0, top + wide + 15, captions[i], NOTE)


def draw_lines(sheet, x0, y0, count, cell):
    """The lines between `count` x `count` pixels."""
    end, steps = count * cell, [i * cell for i in range(count + 1)]
    lines = [((x0 + step, y0), (x0 + step, y0 + end)) for step in steps]
    lines += [((x0, y0 + step), (x0 + end, y0 + step)) for step in steps]
    sheet.add(Strokes(tuple(lines), "grid"))


def draw_costs(sheet, state):
    """The weights of every plan that spans as much, this one in bold."""
    channels, side = state["channels"], PLANS[state["plan"]].side
    rivals = [plan for plan in PLANS if PLANS[plan].side == side]
    left, top, row = 330, 268, 30
    sheet.text(left, top - 14, f"spanning {side}x{side}, {channels} channels", NOTE)
    most = round_up(side**2 * channels**2)
    box = (left, top, SHEET - left - 24, row * len(rivals))
    plot = Plot(sheet, box, (0, most), (len(rivals), 0))
    plot.axes("weights", grid="x", x_ticks=[0, most / 2, most])
    for i, plan in enumerate(rivals):
        y, bold = top + i * row, plan == state["plan"]
        parts = [
            (
                layer.weights * channels**2,
                kernel_name(layer.name),
                f"{layer.name}: {layer.weights * channels**2:,} weights",
            )
            for layers in PLANS[plan].branches
            for layer in layers
        ]
        value = short(weights_of(plan, channels))
        end = stacked_bar(sheet, left, y + 17, 10, plot.width / most, parts)
        if len(PLANS[plan].branches) > 1:
            sheet.text(end + 8, y + 27, f"{2 * channels} out", NOTE)
        sheet.text(left, y + 13, plan, NOTE, bold=bold)
        sheet.text(SHEET, y + 13, value, NOTE, anchor="end", bold=bold)
