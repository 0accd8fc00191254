"""One operation, drawn with its shapes and its arithmetic."""

from math import prod

from inception_edu.figures.graph import shape_text
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.figures.theme import LABEL, NOTE, on_color
from inception_edu.text import dims

LINE = 24
FACE = 120  # pixels of the side of the larger map


def operation(node):
    """`(Drawing, lines)` of what a node's operation reads, does and writes."""
    lines = arithmetic(node)
    wide = max(620, *(32 + text_width(line, LABEL, bold=True) for line in lines))
    sheet = Drawing(round(wide), 240 + LINE * len(lines))
    sheet.rect(0, 0, sheet.width, sheet.height, "paper")
    if node.kind in ("conv", "conv_transpose") or node.kind.endswith("pool"):
        _draw_window(sheet, node)
    else:
        _draw_step(sheet, node)
    for i, line in enumerate(lines):
        sheet.text(16, 236 + LINE * i, line, LABEL, bold=i == 0)
    return sheet, lines


def arithmetic(node):
    """What an operation costs and why, in lines."""
    op = node.op
    grid = op.out_shape[node.axis + 1 :]
    lines, weights = [], 0
    if node.kind in ("conv", "conv_transpose"):
        width = _channels(node) // op.groups
        factors = [*op.kernel, width, node.channels]
        if node.kind == "conv_transpose":
            grid = op.in_shapes[0][-len(op.kernel) :]
        weights = prod(factors)
        lines.append(_cost(op, node, factors, grid))
        lines.append("kernel x channels read x channels written x positions")
        lines.append(_product(factors, "weights"))
    elif node.kind == "linear":
        factors = [op.in_shapes[0][-1], node.channels]
        weights = prod(factors)
        lines += [_cost(op, node, factors, ()), "features read x features written"]
    elif node.kind.endswith("pool"):
        lines += ["a pool has no weights and counts 0 MACs", _how(op)]
    elif node.kind == "cat" and len(node.parts) > 1:
        widths = " + ".join(str(width) for width, _ in node.parts)
        lines.append(f"{widths} = {node.channels} channels, side by side; 0 MACs")
    else:
        lines.append(f"{node.macs:,} MACs")
    more = node.params - weights
    if more > 0:
        what = "bias and norm" if weights else "parameters"
        lines.append(
            f"and {more:,} parameters of {what}" if weights else f"{more:,} {what}"
        )
    if node.kind.startswith("conv"):
        lines.append(_how(op))
    if node.notes:
        lines.append(f"then {', '.join(node.notes)}")
    return lines


def _channels(node):
    shape = node.op.in_shapes[0]
    return shape[len(shape) - len(node.op.kernel) - 1]


def _product(factors, unit):
    return f"{' x '.join(map(str, factors))} = {prod(factors):,} {unit}"


def _cost(op, node, factors, grid):
    """The product that gives the MACs, with the batch in front if there is one."""
    factors = [*factors, *grid]
    if node.axis and op.out_shape[0] > 1:
        factors = [op.out_shape[0], *factors]
    if prod(factors) == op.macs:
        return _product(factors, "MACs")
    return f"{op.macs:,} MACs"


def _how(op):
    """Stride, padding, dilation and groups in words."""
    words = [f"kernel {dims(op.kernel)}"]
    for name, values, usual in (
        ("stride", op.stride, 1),
        ("padding", op.padding, 0),
        ("dilation", op.dilation, 1),
    ):
        values = tuple(values) if isinstance(values, tuple | list) else ()
        if any(value != usual for value in values):
            same = values[:1] if len(set(values)) == 1 else values
            words.append(f"{name} {dims(same)}")
    if op.groups and op.groups > 1:
        words.append(f"{op.groups} groups")
    return ", ".join(words)


def _faces(node):
    """`(height, width)` in pixels of the maps before and after, to one scale."""
    axes = len(node.op.kernel)
    grids = []
    for shape in (node.op.in_shapes[0], node.op.out_shape):
        high, wide = (1, *shape[-axes:])[-2:]
        grids.append((high, wide))
    scale = FACE / max(max(grid) for grid in grids)
    faces = [tuple(max(side * scale, 12) for side in grid) for grid in grids]
    return grids, faces


def _draw_window(sheet, node):
    """A window on the map before, its kernel, and the place it writes."""
    (before, after), (big, small) = _faces(node)
    kernel = (1, *node.op.kernel)[-2:]
    color = node.kernel if node.kernel != "none" else "pool"
    middle, x_in, x_kernel, x_out = 86, 16, 220, 430
    top = middle - big[0] / 2
    window = [
        max(8, face * min(size / grid, 1))
        for face, size, grid in zip(big, kernel, before, strict=True)
    ]
    _draw_map(sheet, x_in, top, big)
    y = middle - window[0] / 2
    left = x_in + big[1] / 2 - window[1] / 2
    sheet.rect(left, y, window[1], window[0], color, stroke="ink")
    cell = min(18, 108 / max(kernel))
    high, wide = kernel[0] * cell, kernel[1] * cell
    corner = (x_kernel, middle - high / 2)
    for end in (0, 1):
        start = (left + window[1], y + end * window[0])
        sheet.line(start, (corner[0], corner[1] + end * high), stroke="grid", width=1)
    if max(kernel) <= 11:
        for row in range(kernel[0]):
            for column in range(kernel[1]):
                place = (corner[0] + column * cell, corner[1] + row * cell, cell, cell)
                sheet.rect(*place, color, stroke="paper")
    else:
        sheet.rect(*corner, wide, high, color)
    x_out = max(x_out, x_kernel + wide + 60)
    _draw_map(sheet, x_out, middle - small[0] / 2, small)
    dot = [max(5, face / grid) for face, grid in zip(small, after, strict=True)]
    target = (x_out + small[1] / 2 - dot[1] / 2, middle - dot[0] / 2)
    sheet.line(
        (corner[0] + wide + 6, middle), (target[0] - 3, middle), arrow=True, width=1.5
    )
    sheet.rect(*target, dot[1], dot[0], color, stroke="ink")
    axis = max(0, len(node.op.in_shapes[0]) - len(node.op.kernel) - 1)
    sheet.text(x_in, 180, shape_text(node.op.in_shapes[0], axis), NOTE)
    sheet.text(x_kernel, 180, " x ".join(map(str, node.op.kernel)), NOTE, bold=True)
    if node.kind.startswith("conv"):
        deep = f"over {_channels(node) // node.op.groups} channels"
        sheet.text(x_kernel, 198, deep, NOTE)
    words = shape_text(node.op.out_shape, node.axis)
    sheet.text(x_out, 180, words, NOTE)
    if node.kind.startswith("conv"):
        sheet.text(x_out, 198, f"one kernel for each of {node.channels}", NOTE)


def _draw_map(sheet, x, y, face):
    for shift in (8, 4, 0):
        style = {"stroke": "line"}
        sheet.rect(x + shift, y - shift, face[1], face[0], "panel", **style)


def _draw_step(sheet, node):
    """What an operation without a window reads and writes, as labelled boxes."""
    shapes = [shape_text(shape, node.axis) for shape in node.op.in_shapes[:5]] or ["-"]
    for i, words in enumerate(shapes):
        y = 100 + (i - (len(shapes) - 1) / 2) * 34
        sheet.text(10, y + 5, words, NOTE)
        sheet.line((10 + text_width(words, NOTE) + 8, y), (200, 100), width=1.5)
    color = node.kernel if node.kernel != "none" else "panel"
    sheet.rect(200, 78, 140, 44, color, stroke="line", radius=4)
    style = {"anchor": "middle", "fill": on_color(color), "bold": True}
    sheet.fitted_text(270, 106, node.label, 130, LABEL, **style)
    sheet.line((340, 100), (392, 100), arrow=True, width=1.5)
    sheet.text(400, 105, shape_text(node.op.out_shape, node.axis), NOTE)
