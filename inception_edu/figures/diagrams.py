"""A diagram of any module or network, drawn from its trace.

Every box is an operation with its kernel's color and name; the bar below it
is its output, as wide as it has channels; the shape stands on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inception_edu.figures.branches import structure
from inception_edu.figures.diagram_text import twin_lines
from inception_edu.figures.figure import Figure
from inception_edu.figures.graph import nodes_of, shape_text, views
from inception_edu.figures.placement import WIDEST, place
from inception_edu.figures.svg import Drawing, cut, text_width
from inception_edu.figures.theme import LABEL, NOTE, PALETTE, TITLE, on_color
from inception_edu.text import printable

if TYPE_CHECKING:  # a page draws diagrams without torch
    from torch import nn

    from inception_edu.cost import Trace

HEADER, NARROW_HEADER, BAR, PAD = 44, 30, 22, 20


class Diagram(Figure):
    """A `Figure` of a network or module that a reader can walk into.

    `.boxes` are rectangles `(x, y, width, height)`, `.wires` lists of points; `.nodes`
    has what each box shows, `.edges` for each wire the indices of its two boxes.
    """

    nodes = boxes = edges = wires = ()

    @property
    def svg(self):
        zoom = min(1.25, 1000 / self.width, 660 / self.height)
        return self.drawing.svg(self.title, self.text, zoom=max(zoom, 1.0))

    @property
    def html(self):
        from inception_edu.figures.walk import walkable

        return walkable(self, super().html)


def diagram(
    model_or_trace: nn.Module | Trace,
    input_shape: tuple[int, ...] | None = None,
    *,
    title: str | None = None,
) -> Diagram:
    """A `Diagram` of a module, a network or a trace of one.

    `input_shape` is `(N, C, H, W)`; a network that knows its input size needs
    none, a trace takes none. Everything is drawn as far as it stays readable. A
    model that fails midway is drawn up to there, with the error in words.
    Raises TypeError for what is neither a module nor a trace, ValueError for a
    shape that cannot be.
    """
    trace, error = _traced(model_or_trace, input_shape)
    nodes = nodes_of(trace, error)
    title = one_line(title or trace.name, TITLE, bold=True)
    return draw(nodes, title, _totals(trace, nodes))


def _traced(model_or_trace, input_shape):
    if hasattr(model_or_trace, "ops"):
        if input_shape is not None:
            raise ValueError("a trace has its input shape; leave input_shape out")
        return model_or_trace, None
    from torch import nn

    from inception_edu.cost import ShapeError, trace
    from inception_edu.cost.run import own_shape

    if input_shape is None and isinstance(model_or_trace, nn.Module):
        input_shape = own_shape(model_or_trace)
    try:
        return trace(model_or_trace, input_shape), None
    except Exception as error:
        so_far = getattr(error, "trace", None)
        ran = so_far and any(op.kind not in ("input", "parameter") for op in so_far.ops)
        if not (ran or (so_far and isinstance(error, ShapeError))):
            raise  # nothing has run
        return so_far, error


def _totals(trace, nodes):
    cost = f"{trace.params:,} parameters, {trace.macs / 1e6:,.2f} M MACs"
    if nodes[-1].kind == "error":
        place = nodes[-1].path or "the model"
        return f"{nodes[0].shape} -> stops in {place}; {cost} so far"
    first, last = nodes[0], trace.ops[[*trace.outputs, -1][0]]
    axis = next((n.axis for n in nodes if n.out_shape == last.out_shape), 1)
    return f"{first.shape} -> {shape_text(last.out_shape, axis)}, {cost}"


def draw(nodes, title="", totals=""):
    """A `Diagram` of nodes, as detailed as fits.

    Without a title it has neither heading nor legend.
    """
    for view in views(nodes):
        series = structure(view)
        picture = _draw_view(view, series, title, totals)
        if picture.width <= WIDEST + 2 * PAD:
            break
    lines = [f"{title}: {totals}", *twin_lines(view, series)]
    picture.text = "\n".join(" ".join(printable(line).splitlines()) for line in lines)
    return picture


def _draw_view(nodes, series, title, totals):
    names = _short_names(nodes)
    header = HEADER if any(node.note for node in nodes) else NARROW_HEADER
    placed = _placed(nodes, series, names, header + BAR, 86 if title else 12)
    heading = _heading(nodes, title, totals) if title else []
    words = max((text_width(*writing[1:4]) for writing in heading), default=0)
    width = max(placed.width, words) + 2 * PAD
    dx = (width - placed.width) / 2
    for box in placed.boxes:
        box.x += dx
    drawing = Drawing(round(width), round(placed.height + (40 if title else 12)))
    drawing.rect(0, 0, drawing.width, drawing.height, "paper")
    picture = Diagram(drawing, title, "")
    picture.nodes = [box.node for box in placed.boxes]
    picture.boxes = [(box.left, box.y, box.width, box.height) for box in placed.boxes]
    picture.wires = [[(x + dx, y) for x, y in points] for *_, points in placed.wires]
    picture.edges = [tuple(map(picture.nodes.index, ends)) for *ends, _ in placed.wires]
    for base, words, size, bold, fill in heading:
        y = base if base > 0 else drawing.height + base
        drawing.text(PAD, y, words, size, bold=bold, fill=fill)
    for points in picture.wires:
        drawing.line(*points, arrow=True)
    scale = min((box.width - 12) / max(box.node.channels, 1) for box in placed.boxes)
    for box in placed.boxes:
        _draw_box(drawing, box, names[box.node], header, scale)
        size, y = text_width(box.node.shape, NOTE), box.bottom + 20
        # A background in the paper's color, so that the wire passes behind it.
        drawing.rect(box.x - size / 2 - 3, y - 14, size + 6, 18, "paper")
        drawing.text(box.x, y, box.node.shape, NOTE, anchor="middle", fill="ink")
    return picture


def _placed(nodes, series, names, height, top):
    """The `Placement` with the widest boxes that fits, or the narrowest one."""
    wish = 112.0
    for node in nodes:
        bold = text_width(names[node], LABEL, bold=True) + 16
        note, shape = text_width(node.note, NOTE) + 16, text_width(node.shape, NOTE)
        wish = min(max(wish, bold, note, shape + 12), 200)
    for width in (max(170.0, wish), max(145.0, wish), wish, min(wish, 145.0)):
        placed = place(nodes, series, width, height, top)
        if placed.width <= WIDEST:
            break
    return placed


def one_line(text, size, bold=False):
    """A text without line breaks, cut where it would widen the sheet."""
    return cut(" ".join(printable(text).split())[:300], WIDEST, size, bold)


def _heading(nodes, title, totals):
    """`(baseline, words, size, bold, fill)`; below 0 it counts from the lower edge."""
    legend, fill = "Bar: output channels, to scale", "muted"
    if any(len(node.parts) > 1 for node in nodes):
        legend += "; colored and hatched by the kernel that made them"
    legend += "."
    if nodes[-1].kind == "error":
        legend, fill = one_line(f"Stops here: {nodes[-1].step}", NOTE), "bad"
    return [
        (34, title, TITLE, True, "ink"),
        (58, totals, NOTE, False, "muted"),
        (-14, legend, NOTE, False, fill),
    ]


def _short_names(nodes):
    """What each box is called: a collapsed module by the end of its path."""
    paths = {n: n.path.split(".") for n in nodes if n.kind == "module"}
    ends = [path[-1] for path in paths.values()]
    names = {node: node.label for node in nodes}
    for node, path in paths.items():
        names[node] = ".".join(path[-2:] if ends.count(path[-1]) > 1 else path[-1:])
    return names


def _draw_box(drawing, box, name, header, scale):
    node, left, width = box.node, box.left, box.width
    fill, edge, ink = node.kernel, node.kernel, on_color(node.kernel)
    if node.kind == "error":
        fill, edge, ink = "bad", "bad", "paper"
    elif node.kernel == "none":
        fill, edge = "panel", "line"
    style = {"anchor": "middle", "fill": ink}
    tip = f"{node.path or name}: {node.shape}"
    tip += f", {node.params:,} parameters, {node.macs:,} MACs"
    drawing.rect(left, box.y, width, box.height, "paper", radius=4, tip=tip)
    drawing.rect(left, box.y, width, header, fill, radius=4)
    base = box.y + (19 if node.note and header == HEADER else header / 2 + 6)
    drawing.fitted_text(box.x, base, name, width - 10, LABEL, bold=True, **style)
    if node.note:
        drawing.fitted_text(box.x, box.y + 38, node.note, width - 10, NOTE, **style)
    x = box.x - node.channels * scale / 2
    for channels, kernel in node.parts:
        part = max(channels * scale, 1.5)
        color = kernel if kernel in PALETTE else "muted"
        hatch = kernel if part > 6 else None
        drawing.rect(x, box.y + header + 4, part, BAR - 8, color, hatch=hatch)
        x += channels * scale
    drawing.rect(left, box.y, width, box.height, stroke=edge, stroke_width=2, radius=4)
