"""One operation, drawn with its shapes and its arithmetic."""

from math import prod

from inception_edu.figures.graph import shape_text
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.figures.theme import LABEL, NOTE, on_color
from inception_edu.text import dims

LINE = 24
FACE = 120  # pixels of the side of the larger map
MIDDLE = 86  # height of the middle of the maps


def operation(node):
    """`(Drawing, lines)` of what a node's operation reads, does and writes."""
    lines = arithmetic(node)
    width = max(620, *(32 + text_width(line, LABEL, bold=True) for line in lines))
    sheet = Drawing(round(width), 240 + LINE * len(lines))
    sheet.rect(0, 0, sheet.width, sheet.height, "paper")
    if node.kind == "conv" or node.kind.endswith("pool"):
        _draw_window(sheet, node)
    else:
        _draw_step(sheet, node)
    for i, line in enumerate(lines):
        sheet.text(16, 236 + LINE * i, line, LABEL, bold=i == 0)
    return sheet, lines


def arithmetic(node):
    """What an operation costs and why, in lines."""
    op, weights = node.op, 0
    if node.kind == "conv":
        grid = op.out_shape[node.axis + 1 :]
        factors = [*op.kernel, _depth(op), node.channels]
        weights = prod(factors)
        lines = [
            _cost(node, [*factors, *grid]),
            "kernel x channels read x channels written x positions",
            f"{_product(factors)} weights",
        ]
    elif node.kind == "linear":
        factors = [op.in_shapes[0][-1], node.channels]
        weights = prod(factors)
        lines = [_cost(node, factors), "features read x features written"]
    elif node.kind.endswith("pool"):
        lines = ["a pool has no weights and counts 0 MACs", _how(op)]
    elif node.kind == "cat" and len(node.parts) > 1:
        widths = " + ".join(str(width) for width, _ in node.parts)
        lines = [f"{widths} = {node.channels} channels, side by side; 0 MACs"]
    else:
        lines = [f"{node.macs:,} MACs"]
    more = node.params - weights
    if more > 0:
        whose = "bias" if more == node.channels else "bias and norm"
        lines.append(f"{more:,} parameters" + f" of {whose}" * bool(weights))
    if node.kind == "conv":
        lines.append(_how(op))
    if node.notes:
        lines.append(f"then {', '.join(node.notes)}")
    return lines


def _depth(op):
    """The channels that each kernel reads."""
    return op.in_shapes[0][-len(op.kernel) - 1] // op.groups


def _product(factors):
    return f"{' x '.join(map(str, factors))} = {prod(factors):,}"


def _cost(node, factors):
    """The product that gives the MACs, with the batch in front if there is one."""
    op = node.op
    if node.axis and op.out_shape[0] > 1:
        factors = [op.out_shape[0], *factors]
    product = _product(factors) if prod(factors) == op.macs else f"{op.macs:,}"
    return f"{product} MACs"


def _how(op):
    """Stride, padding, dilation and groups in words."""
    words = [f"kernel {dims(op.kernel)}"]
    for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1)):
        values = tuple(getattr(op, name) or ())
        if set(values) - {usual}:
            same = values[:1] if len(set(values)) == 1 else values
            words.append(f"{name} {dims(same)}")
    if op.groups > 1:
        words.append(f"{op.groups} groups")
    return ", ".join(words)


def _draw_window(sheet, node):
    """A window on the map before, its kernel, and the place it writes."""
    op, color = node.op, node.kernel
    before, after, kernel = (
        (1, *sizes[-len(op.kernel) :])[-2:]
        for sizes in (op.in_shapes[0], op.out_shape, op.kernel)
    )
    scale = FACE / max(*before, *after)  # one for both maps
    big, small = ([max(n * scale, 12) for n in grid] for grid in (before, after))
    window = [
        max(8, face * min(size / grid, 1))
        for face, size, grid in zip(big, kernel, before, strict=True)
    ]
    dot = [max(5, face / grid) for face, grid in zip(small, after, strict=True)]
    cell = min(18, 108 / max(kernel))
    height, width = kernel[0] * cell, kernel[1] * cell
    x_in, x_kernel = 16, 220
    x_out, top = max(430, x_kernel + width + 60), MIDDLE - height / 2
    left, y = x_in + big[1] / 2 - window[1] / 2, MIDDLE - window[0] / 2

    _draw_map(sheet, x_in, big)
    sheet.rect(left, y, window[1], window[0], color, stroke="ink")
    for end in (0, 1):
        start = (left + window[1], y + end * window[0])
        sheet.line(start, (x_kernel, top + end * height), stroke="grid", width=1)
    if max(kernel) <= 11:
        for row in range(kernel[0]):
            for column in range(kernel[1]):
                corner = (x_kernel + column * cell, top + row * cell)
                sheet.rect(*corner, cell, cell, color, stroke="paper")
    else:
        sheet.rect(x_kernel, top, width, height, color)
    _draw_map(sheet, x_out, small)
    target = x_out + small[1] / 2 - dot[1] / 2
    ends = (x_kernel + width + 6, MIDDLE), (target - 3, MIDDLE)
    sheet.line(*ends, arrow=True, width=1.5)
    sheet.rect(target, MIDDLE - dot[0] / 2, dot[1], dot[0], color, stroke="ink")

    axis = max(0, len(op.in_shapes[0]) - len(op.kernel) - 1)
    sheet.text(x_in, 180, shape_text(op.in_shapes[0], axis))
    sheet.text(x_kernel, 180, " x ".join(map(str, op.kernel)), bold=True)
    is_conv = node.kind == "conv"
    if is_conv:
        sheet.text(x_kernel, 198, f"over {_depth(op)} channels")
    sheet.text(x_out, 180, shape_text(op.out_shape, node.axis))
    if is_conv:
        sheet.text(x_out, 198, f"one kernel for each of {node.channels}")


def _draw_map(sheet, x, face):
    for shift in (8, 4, 0):
        corner = (x + shift, MIDDLE - face[0] / 2 - shift)
        sheet.rect(*corner, face[1], face[0], "panel", stroke="line")


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
