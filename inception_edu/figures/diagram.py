"""A diagram of any module or network, drawn from its trace.

Every box is an operation with its kernel's colour and name; the bar below it
is its output, as wide as it has channels; the shape stands on the wire.
"""

from inception_edu.figures.branches import Split, structure
from inception_edu.figures.figure import Figure
from inception_edu.figures.graph import (
    channel_axes,
    is_inside,
    merge_repeats,
    nodes_of,
    shape_text,
)
from inception_edu.figures.layout import arrange
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.figures.theme import PALETTE, SIZE, on_color
from inception_edu.text import printable

HEADER, NARROW_HEADER, BAR, PAD = 44, 30, 22, 20
OPEN_BOXES = 20  # above this, modules are folded into one box each
MOST_BOXES = 30  # of folded modules; above this, equal neighbours are merged
WIDEST = 1080  # pixels; wider pictures shrink and their text with them


class Diagram(Figure):
    """A `Figure` of a network or module.

    `.boxes` and `.labels` are the rectangles `(x, y, width, height)` that may not
    overlap, `.wires` lists of points.
    """

    def __init__(self, drawing, title, text, boxes, labels, wires):
        super().__init__(drawing, title, text)
        self.boxes, self.labels, self.wires = boxes, labels, wires

    @property
    def svg(self):
        zoom = min(1.25, 1000 / self.width, 660 / self.height)
        return self.drawing.svg(self.title, self.text, zoom=max(zoom, 1.0))


def diagram(
    model_or_trace, input_shape=None, *, depth=None, expand=(), title=None, aux=False
):
    """A `Diagram` of a module, a network or a trace of one.

    `input_shape` is `(N, C, H, W)`; a network that knows its input size needs
    none, a trace takes none. `depth` folds modules at that depth into one box
    each (1: one box a stage); left out, everything is drawn as far as it stays
    readable. `expand` names modules to keep open. `aux=True` draws auxiliary
    heads. Raises TypeError for what is neither a module nor a trace, ValueError
    for a shape or depth that cannot be.
    """
    trace = _traced(model_or_trace, input_shape, aux)
    if depth is not None and (
        isinstance(depth, bool) or not isinstance(depth, int) or depth < 1
    ):
        raise ValueError(
            f"depth={depth!r} must be a whole number of at least 1 "
            "(1: one box a stage), or left out"
        )
    expand = (expand,) if isinstance(expand, str) else tuple(expand)
    paths = dict.fromkeys(op.path for op in trace.ops)
    for name in expand:
        if not any(is_inside(path, name) for path in paths):
            stages = dict.fromkeys(p.split(".")[0] for p in paths if p)
            raise ValueError(
                f"expand={name!r} is no module of {trace.name}; "
                f"choose from {', '.join(stages)}, or a path below one"
            )
    for nodes in _views(trace, depth, expand):
        if not nodes:
            raise ValueError(f"the trace of {trace.name} holds no operation to draw")
        picture = _picture(trace, nodes, _one_line(title or trace.name))
        if picture.width <= WIDEST + 2 * PAD:
            break
    return picture


def _picture(trace, nodes, title):
    series = structure(nodes)
    totals = _totals(trace)
    lines = [f"{title}: {totals}", *_lines(nodes, series)]
    text = "\n".join(" ".join(printable(line).splitlines()) for line in lines)
    return _draw(nodes, series, title, totals, text)


def _one_line(title):
    """A title without line breaks, cut where it would widen the sheet."""
    title = " ".join(printable(title).split())[:300]
    while text_width(title, SIZE["title"], bold=True) > WIDEST:
        title = title.rstrip("…")[:-1] + "…"
    return title


def _traced(model_or_trace, input_shape, aux):
    if hasattr(model_or_trace, "ops"):
        if input_shape is not None:
            raise ValueError(
                "a trace holds its input shape already; leave input_shape out, "
                "or pass the model"
            )
        return model_or_trace
    from inception_edu.cost import trace

    if not hasattr(model_or_trace, "named_modules") or isinstance(model_or_trace, type):
        raise TypeError(
            f"diagram takes an nn.Module or a trace of one, got {model_or_trace!r}"
        )
    if input_shape is None:
        size = getattr(model_or_trace, "input_size", None)
        if size is None:
            raise ValueError(
                f"diagram needs the input shape of a {type(model_or_trace).__name__}; "
                "pass something like input_shape=(1, 192, 28, 28)"
            )
        input_shape = (1, 3, size, size)
    return trace(model_or_trace, input_shape, aux=aux)


def _views(trace, depth, expand):
    """Nodes to draw, from the most detailed view that may do to one box a stage."""
    nodes = nodes_of(trace, depth, expand)
    if depth is not None or len(nodes) <= OPEN_BOXES:
        yield nodes
    if depth is None:
        for fold_at in (4, 3, 2):
            nodes = nodes_of(trace, fold_at, expand)
            if len(nodes) <= OPEN_BOXES:
                yield nodes
        nodes = nodes_of(trace, 1, expand)
        yield merge_repeats(nodes) if len(nodes) > MOST_BOXES else nodes


def _totals(trace):
    axes, last = channel_axes(trace.ops), [*trace.outputs, -1][0]
    before, after = (
        shape_text(op.out_shape, axes[op.index])
        for op in (trace.ops[0], trace.ops[last])
    )
    cost = f"{trace.params:,} parameters, {trace.macs / 1e6:,.2f} M MACs"
    return f"{before} -> {after}, {cost}"


# ---- the text twin ------------------------------------------------------------


def _lines(nodes, series):
    """The diagram in words, one line a run of boxes, branches indented."""
    convolutions = [n for n in nodes if n.kind == "conv"]
    notes = {n.note for n in convolutions}
    common = notes.pop() if len(convolutions) > 1 and len(notes) == 1 else None
    lines = list(_series_lines(series, "  ", common))
    if common:
        lines.append(f"  every convolution: {common}")
    return lines


def _series_lines(series, indent, common):
    run = []
    for element in series:
        if not isinstance(element, Split):
            if element.kind == "input":
                continue
            if run and (_long(element) or _long(run[-1]) or len(run) > 5):
                yield indent + _run_text(run, common)
                run = []
            run.append(element)
            continue
        if run:
            yield indent + _run_text(run, common)
            run = []
        if element.tangled:
            for node in element.tangled:
                sources = ", ".join(s.path or s.label for s in node.inputs)
                yield f"{indent}{_run_text([node], common)} (from {sources})"
        for place, branch in enumerate(element.branches, 1):
            if not branch.series:
                yield f"{indent}| shortcut: unchanged"
                continue
            kind = "side head" if branch.ends else "branch"
            name = f"{branch.name} {kind}" if branch.name else f"{kind} {place}"
            inner = list(_series_lines(branch.series, "", common))
            if isinstance(branch.series[0], Split):
                inner.insert(0, "")
            yield f"{indent}| {name}: {inner[0]}".rstrip()
            yield from (f"{indent}|   {line}" for line in inner[1:])
    if run:
        yield indent + _run_text(run, common)


def _long(node):
    """Boxes that get a line of their own: folded modules and joins."""
    return node.kind == "module" or len(node.inputs) > 1


def _run_text(run, common):
    """ "192 -> 1x1 -> 96 -> 3x3 -> 128 (28x28)" for boxes in a row."""
    first, last = run[0], run[-1]
    if first.kind == "module":
        parts = ", ".join(f"{kernel} {width}" for width, kernel in first.parts)
        made = f" ({parts})" if len(first.parts) > 1 else ""
        times = f" and {first.times - 1} more like it" if first.times > 1 else ""
        return f"{first.path}{times}: {first.shape}{made}"
    if first.kind == "cat" and len(first.parts) > 1:
        widths = " + ".join(str(width) for width, _ in first.parts)
        grid = first.grid
        tail = f" ({grid})" if grid else ""
        return f"concat: {widths} = {first.channels}{tail}" + _bracket(first, common)
    words = []
    if len(first.inputs) == 1:
        words.append(str(first.inputs[0].channels))
    grid = first.inputs[0].grid if first.inputs else ""
    for node in run:
        words += [node.step + _bracket(node, common), str(node.channels)]
        now = node.grid
        if now and now != grid and node is not last:
            words[-1] += f" ({now})"
        grid = now
    if grid:
        words[-1] += f" ({grid})"
    return " -> ".join(words)


def _bracket(node, common):
    hide = not node.notes or (node.kind == "conv" and node.note == common)
    return "" if hide else f" [{node.note}]"


# ---- the picture --------------------------------------------------------------


def _draw(nodes, series, title, subtitle, text):
    label, note = SIZE["label"], SIZE["note"]
    names = _short_names(nodes)
    needed = 112.0
    for node in nodes:
        needed = max(
            needed,
            text_width(names[id(node)], label, bold=True) + 16,
            text_width(_small(node), note) + 16,
            text_width(node.shape, note) + 12,
        )
    needed = min(needed, 200)
    header = HEADER if any(_small(node) for node in nodes) else NARROW_HEADER
    height, top = header + BAR, 86
    sheet = None
    tries = {max(170.0, needed), max(145.0, needed), needed, min(needed, 145.0)}
    for width in sorted(tries, reverse=True):
        attempt = arrange(series, nodes, width, height, widest=WIDEST, top=top)
        if sheet is None or attempt.width < sheet.width:
            sheet = attempt
        if sheet.width <= WIDEST:
            break

    legend = _legend(nodes)
    words = max(
        text_width(title, SIZE["title"], bold=True),
        text_width(subtitle, note),
        text_width(legend, note),
    )
    total = max(sheet.width, words) + 2 * PAD
    dx = (total - sheet.width) / 2
    drawing = Drawing(round(total), round(sheet.height + 40))
    drawing.rect(0, 0, drawing.width, drawing.height, "paper")
    drawing.text(PAD, 34, title, SIZE["title"], bold=True)
    drawing.text(PAD, 58, subtitle, note, fill="muted")
    drawing.text(PAD, drawing.height - 14, legend, note, fill="muted")
    labels = [
        (PAD, 14, text_width(title, SIZE["title"], bold=True), 26),
        (PAD, 45, text_width(subtitle, note), 17),
        (PAD, drawing.height - 27, text_width(legend, note), 17),
    ]

    wires = [[(x + dx, y) for x, y in points] for _, _, points in sheet.wires]
    for points in wires:
        drawing.line(*points, arrow=True)
    scale = min(
        (box.width - 12) / max(box.node.channels, 1) for box in sheet.boxes.values()
    )
    boxes = []
    for box in sheet.boxes.values():
        left = box.x + dx - box.width / 2
        boxes.append((left, box.y, box.width, box.height))
        _draw_box(drawing, box, left, names[id(box.node)], header, scale)
        shape = box.node.shape
        size = text_width(shape, note)
        x, y = box.x + dx, box.bottom + 20
        # A ground the colour of the paper, so that the wire passes behind.
        drawing.rect(x - size / 2 - 3, y - 14, size + 6, 18, "paper")
        drawing.text(x, y, shape, note, anchor="middle", fill="ink")
        labels.append((x - size / 2, y - 13, size, 16))
    return Diagram(drawing, title, text, boxes, labels, wires)


def _legend(nodes):
    text = "Bar: output channels, to scale"
    if any(len(node.parts) > 1 for node in nodes):
        text += "; coloured and hatched by the kernel that made them"
    return text + "."


def _short_names(nodes):
    """What each box is called: a folded module by the end of its path."""
    ends = [n.path.split(".")[-1] for n in nodes if n.kind == "module"]
    names = {}
    for node in nodes:
        name = node.label
        if node.kind == "module":
            parts = node.path.split(".")
            name = ".".join(parts[-2:] if ends.count(parts[-1]) > 1 else parts[-1:])
        names[id(node)] = name
    return names


def _small(node):
    if node.kind != "module":
        return node.note
    times = f"{node.times} of these: " if node.times > 1 else ""
    return times + " ".join(node.folded)


def _draw_box(drawing, box, left, name, header, scale):
    node, width = box.node, box.width
    plain = node.kernel == "none"
    fill, edge = ("panel", "line") if plain else (node.kernel, node.kernel)
    style = {"anchor": "middle", "fill": "ink" if plain else on_color(fill)}
    tip = f"{node.path or name}: {node.shape}"
    tip += f", {node.params:,} parameters, {node.macs:,} MACs"
    middle, room = left + width / 2, width - 10
    drawing.rect(left, box.y, width, box.height, "paper", radius=4, tip=tip)
    drawing.rect(left, box.y, width, header, fill, radius=4)
    small = _small(node)
    base = box.y + (19 if small and header == HEADER else header / 2 + 6)
    size = SIZE["label"]
    drawing.fitted_text(middle, base, name, room, size, bold=True, **style)
    if small:
        drawing.fitted_text(middle, box.y + 38, small, room, SIZE["note"], **style)
    x = middle - node.channels * scale / 2
    for channels, kernel in node.parts:
        part = max(channels * scale, 1.5)
        known = kernel in PALETTE
        drawing.rect(
            x,
            box.y + header + 4,
            part,
            BAR - 8,
            kernel if known else "muted",
            hatch=kernel if known and part > 6 else None,
        )
        x += channels * scale
    drawing.rect(left, box.y, width, box.height, stroke=edge, stroke_width=2, radius=4)
