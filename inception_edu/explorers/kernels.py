"""The kernels explorer: what do k x k, stacks and 1 x n + n x 1 see and cost?

A path leads from an input pixel through one weight of every layer to the chosen
output pixel. The pixels with a path are the theoretical receptive field. How hard
one pulls is its gradient: with equal weights the number of its paths, with random
ones its square root, on average (Luo et al., Understanding the Effective Receptive
Field in Deep Convolutional Neural Networks, arXiv 1701.04128, section 2).

The savings are those of Szegedy et al., Rethinking the Inception Architecture for
Computer Vision, arXiv 1512.00567, section 3, with as many channels in as out.
"""

from dataclasses import dataclass
from math import sqrt

from inception_edu.explorers.controls import Choice, Picture, Range
from inception_edu.figures.plot import NOTE, SHEET, bar_row, short, times
from inception_edu.figures.svg import Drawing, Strokes, color
from inception_edu.figures.theme import kernel_name

GRID = 17  # the grid on which v3 has its 1x7 and 7x1
RING = 3  # the padding drawn around it: half of a 7x7
WEIGHT = 7  # pixels of a weight in a drawn kernel


@dataclass(frozen=True)
class Layer:
    """A convolution that keeps the grid; `before` is its padding above and left."""

    height: int
    width: int
    dilation: int = 1
    before: int | None = None

    def taps(self, axis):
        """Where its weights read, relative to the output pixel: axis 0 is down."""
        size = (self.height, self.width)[axis]
        before = self.before
        if before is None or size == 1:
            before = (size - 1) * self.dilation // 2
        return [i * self.dilation - before for i in range(size)]

    @property
    def name(self):
        return f"{self.height}x{self.width}"

    @property
    def weights(self):
        return self.height * self.width


@dataclass(frozen=True)
class Plan:
    """Branches of layers; `side` is that of the k x k which spans as much."""

    side: int
    branches: tuple


def stack(*layers):
    return (layers,)


PLANS = {f"{k}x{k}": Plan(k, stack(Layer(k, k))) for k in (3, 5, 7)}
PLANS |= {
    # An even kernel has no middle: one pads below and right, one above and left.
    "two 2x2": Plan(3, stack(Layer(2, 2, before=0), Layer(2, 2, before=1))),
    "two 3x3": Plan(5, stack(Layer(3, 3), Layer(3, 3))),
    "three 3x3": Plan(7, stack(Layer(3, 3), Layer(3, 3), Layer(3, 3))),
}
for _n in (3, 5, 7):
    PLANS[f"1x{_n} then {_n}x1"] = Plan(_n, stack(Layer(1, _n), Layer(_n, 1)))
for _n in (3, 5, 7):
    PLANS[f"1x{_n} beside {_n}x1"] = Plan(_n, ((Layer(1, _n),), (Layer(_n, 1),)))
PLANS["3x3 dilated"] = Plan(5, stack(Layer(3, 3, dilation=2)))

QUESTION = "What do k x k, stacks and 1 x n + n x 1 see, and what do they cost?"
CONTROLS = [
    Choice("plan", "plan", list(PLANS), "two 3x3"),
    Range("row", "pixel row", 1, GRID, 1, 9),
    Range("column", "pixel column", 1, GRID, 1, 9),
    Range("channels", "channels", 8, 512, 8, 192),
    Choice(
        "weights",
        "weights",
        {"equal": "all equal", "random": "random, on average"},
        "equal",
    ),
]
SWEEP = {"plan": list(PLANS), "weights": ["equal", "random"]}


def paths(plan, row, column, clip=True):
    """`{(row, column): paths}` from input pixels to an output pixel, from 0.

    Padding ends a path in whichever layer it meets it; `clip=False` counts on
    as if the grid went on.
    """
    found = {}
    for layers in PLANS[plan].branches:
        down, across = (
            line_paths(layers, axis, place, clip)
            for axis, place in enumerate((row, column))
        )
        for y, above in down.items():
            for x, beside in across.items():
                found[y, x] = found.get((y, x), 0) + above * beside
    return found


def line_paths(layers, axis, place, clip):
    """The same along one axis: kernels of ones are products of lines."""
    found = {place: 1}
    for layer in reversed(layers):
        earlier = {}
        for here, count in found.items():
            for tap in layer.taps(axis):
                if not clip or 0 <= here + tap < GRID:
                    earlier[here + tap] = earlier.get(here + tap, 0) + count
        found = earlier
    return found


def pull(count, weights):
    """The gradient of a pixel with `count` paths, that of a single path being 1."""
    return sqrt(count) if weights == "random" else count


def weights_of(plan, channels):
    """Weights, from `channels` to `channels` in every layer, biases not counted."""
    layers = [layer for layers in PLANS[plan].branches for layer in layers]
    return sum(layer.weights for layer in layers) * channels**2


def reference_weights(plan, channels):
    """Weights of the k x k that spans as much and gives as many outputs."""
    return PLANS[plan].side ** 2 * channels**2 * len(PLANS[plan].branches)


def saving(plan):
    """The share of weights saved against that k x k."""
    return 1 - weights_of(plan, 1) / reference_weights(plan, 1)


def draw(state):
    """The picture of a state, with what it sees and costs in the summary."""
    plan, row, column = state["plan"], state["row"] - 1, state["column"] - 1
    field = paths(plan, row, column, clip=False)
    seen = paths(plan, row, column)
    summary = f"{in_view(state, field, seen)}; {in_weights(plan, state['channels'])}"
    remark = in_pull(field, seen, state["weights"])
    sheet = Drawing(SHEET, 430)
    draw_grid(sheet, 0, 24, 10, state, field, seen)
    draw_plan(sheet, 246, PLANS[plan], state["channels"])
    draw_fields(sheet, 246, 108, 21, state, field, seen)
    sheet.text(0, 294, remark, NOTE)
    draw_costs(sheet, 320, state)
    return Picture(sheet.svg(f"What {plan} sees and costs: {summary}", remark), summary)


def in_view(state, field, seen):
    """What the plan sees of the input, in words."""
    plan, side = PLANS[state["plan"]], PLANS[state["plan"]].side
    verb = "sees" if state["plan"][0].isdigit() else "see"
    what = f"{state['plan']} at ({state['row']}, {state['column']}) {verb} "
    if len(plan.branches) > 1:
        what += f"a cross, {len(field)} pixels of {side}x{side}"
    elif len(field) < side**2:
        what += f"{len(field)} pixels of {side}x{side}, with gaps"
    else:
        what += f"{side}x{side} = {len(field)} pixels"
    lost = len(field) - len(seen)
    return what + (f", {lost} of them padding" if lost else "")


def in_weights(plan, channels):
    """What the plan costs, and how that compares, in words."""
    weights, side = weights_of(plan, channels), PLANS[plan].side
    what = f"{weights:,} weights, {weights * GRID**2:,} MACs"
    if plan == "3x3":
        return what
    if plan == f"{side}x{side}":
        return f"{what}: {times(side**2 / 9)} a 3x3"
    same = " with as many outputs" if len(PLANS[plan].branches) > 1 else ""
    return f"{what}: {saving(plan):.1%} less than a {side}x{side}{same}"


def in_pull(field, seen, weights):
    """How unequally the pixels count, or what the padding swallows, in words."""
    total, left = sum(field.values()), sum(seen.values())
    if left < total:
        return f"{total - left} of {total} paths are lost in the padding."
    most, least = max(seen.values()), min(seen.values())
    if most == least:
        return "One path from every pixel it sees: all of them pull alike."
    harder = times(pull(most, weights) / pull(least, weights))
    return (
        f"The middle pixel has {most} paths: it pulls {harder} as hard as the weakest."
    )


def draw_grid(sheet, left, top, cell, state, field, seen):
    """Input and padding with the footprint on it; every pixel can be picked."""
    wide, inner = (GRID + 2 * RING) * cell, GRID * cell
    x0, y0 = left + RING * cell, top + RING * cell
    sheet.text(left, 16, "pick an output pixel", NOTE, bold=True)
    sheet.rect(left, top, wide, wide, "panel")
    sheet.rect(x0, y0, inner, inner, "paper")
    draw_lines(sheet, x0, y0, GRID, cell)
    draw_pixels(sheet, x0, y0, cell, shades(field, seen, state["weights"]))
    sheet.rect(x0, y0, inner, inner, stroke="ink")
    x, y = x0 + (state["column"] - 1) * cell, y0 + (state["row"] - 1) * cell
    sheet.rect(x, y, cell, cell, stroke="ink", stroke_width=2)
    sheet.text(left, top + wide + 18, f"input {GRID}x{GRID} and its padding", NOTE)
    sheet.raw(f'<g transform="translate({x0} {y0}) scale({cell})" fill-opacity="0">')
    for row in range(GRID):
        for column in range(GRID):
            pick = f"row={row + 1};column={column + 1}"
            sheet.raw(f'<path d="M{column} {row}h1v1h-1z" data-pick="{pick}"/>')
    sheet.raw("</g>")


def shades(field, seen, weights):
    """How dark each pixel of the field is drawn; 0 if it lies in the padding."""
    most = pull(max(seen.values()), weights)
    return {
        pixel: round(0.12 + 0.48 * pull(seen[pixel], weights) / most, 2)
        if pixel in seen
        else 0
        for pixel in field
    }


def draw_lines(sheet, x0, y0, count, cell):
    """The lines between `count` x `count` pixels."""
    end, steps = count * cell, [i * cell for i in range(count + 1)]
    lines = [((x0 + step, y0), (x0 + step, y0 + end)) for step in steps]
    lines += [((x0, y0 + step), (x0 + end, y0 + step)) for step in steps]
    sheet.add(Strokes(tuple(lines), "grid"))


def draw_pixels(sheet, x0, y0, cell, dark):
    """Pixels `(row, column)` as dark as `dark` says; 0 is a dashed outline."""
    squares = {}
    for (row, column), shade in dark.items():
        way = f"M{column} {row}h1v1h-1z"
        if not shade:  # inside the lines, which would join the dashes up
            way = f"M{column + 0.12:.2f} {row + 0.12:.2f}h.76v.76h-.76z"
        squares[shade] = squares.get(shade, "") + way
    sheet.raw(f'<g transform="translate({x0} {y0}) scale({cell})">')
    for shade, way in squares.items():
        if shade:
            style = f'fill="{color("accent")}" opacity="{shade}"'
        else:
            style = f'fill="none" stroke="{color("muted")}" stroke-dasharray=".22 .16"'
        sheet.raw(f'<path d="{way}" {style} stroke-width=".1"/>')
    sheet.raw("</g>")


def draw_plan(sheet, left, plan, channels):
    """The kernels to scale, one after the other or side by side."""
    middle = 38
    sheet.text(left, middle + 5, "in", NOTE)
    if len(plan.branches) == 1:
        x = left + 18
        for layer in plan.branches[0]:
            wide, high = kernel_size(layer)
            sheet.line((x, middle), (x + 28, middle), arrow=True)
            x += 32 + max(wide, 26) / 2  # its middle
            draw_kernel(sheet, x - wide / 2, middle - high / 2, layer)
            name = layer.name
            sheet.text(x, middle + high / 2 + 16, name, NOTE, anchor="middle")
            x += max(wide, 26) / 2 + 4
        sheet.line((x, middle), (x + 28, middle), arrow=True)
        sheet.text(x + 32, middle + 5, "out", NOTE)
        return
    end = left + 200
    for (layer,), y in zip(plan.branches, (10, 52), strict=True):
        wide, high = kernel_size(layer)
        sheet.line((left + 18, middle), (left + 72, y), arrow=True)
        draw_kernel(sheet, left + 78, y - high / 2, layer)
        sheet.text(left + 84 + wide, y + 5, layer.name, NOTE)
        sheet.line((left + 114 + wide, y), (end, middle), arrow=True)
    sheet.text(end + 6, middle - 3, "concat:", NOTE)
    sheet.text(end + 6, middle + 15, f"2 x {channels}", NOTE)


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


def draw_fields(sheet, left, top, cell, state, field, seen):
    """What can pull, beside how hard it does, enlarged around the chosen pixel."""
    wide, weights = 7 * cell, state["weights"]
    numbers = {pixel: pull(count, weights) for pixel, count in seen.items()}
    low, high = (
        f"{value:.2g}" for value in (min(numbers.values()), max(numbers.values()))
    )
    captions = (
        f"{len(seen)} of {len(field)} pixels",
        f"pull {low} to {high}" if low != high else f"pull {low}, all alike",
    )
    row, column = state["row"] - 4, state["column"] - 4  # of the upper left corner
    effective = shades(field, seen, weights)
    theoretical = {pixel: 0.35 if pixel in seen else 0 for pixel in field}
    for i, dark in enumerate((theoretical, effective)):
        x0 = left + i * (SHEET - left - wide)
        sheet.text(
            x0, top - 6, ("theoretical", f"effective: {weights}")[i], NOTE, bold=True
        )
        draw_lines(sheet, x0, top, 7, cell)
        moved = {(y - row, x - column): shade for (y, x), shade in dark.items()}
        draw_pixels(sheet, x0, top, cell, moved)
        middle = (x0 + 3 * cell, top + 3 * cell, cell, cell)
        sheet.rect(*middle, stroke="ink", stroke_width=2)
        sheet.text(x0, top + wide + 17, captions[i], NOTE)
    for (y, x), number in numbers.items():
        place = (x0 + (x - column + 0.5) * cell, top + (y - row + 0.74) * cell)
        sheet.text(*place, f"{number:.0f}", NOTE, anchor="middle")


def draw_costs(sheet, y, state):
    """The weights of every plan that spans as much, this one in bold."""
    channels, side = state["channels"], PLANS[state["plan"]].side
    sheet.text(
        *(0, y, f"weights of what spans {side}x{side}, {channels} channels wide", NOTE),
        bold=True,
    )
    left, room = 130, 148
    rivals = [plan for plan in PLANS if PLANS[plan].side == side]
    scale = (SHEET - left - room) / (side**2 * channels**2)
    for i, plan in enumerate(rivals):
        weights = weights_of(plan, channels)
        parts = [
            (
                layer.weights * channels**2,
                kernel_name(layer.name),
                f"{layer.name}: {layer.weights * channels**2:,} weights",
            )
            for layers in PLANS[plan].branches
            for layer in layers
        ]
        value = short(weights)
        if len(PLANS[plan].branches) > 1:
            value += f" for {2 * channels} out"
        elif saving(plan):
            value += f", {saving(plan):.1%} less"
        bold = plan == state["plan"]
        bar_row(sheet, y + 8 + 21 * i, plan, value, parts, scale, left=left, bold=bold)
