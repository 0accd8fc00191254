"""From a trace to boxes: operations fused, modules collapsed, repeats merged."""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import groupby, takewhile

from inception_edu.figures.theme import kernel_name
from inception_edu.text import dims, number

OPEN_BOXES = 20  # above this, modules are collapsed into one box each
MAX_BOXES = 30  # of collapsed modules; above this, equal neighbors are merged

# Operations that get a box of their own; any other is a note on the box before.
_OWN_NAMES = ("input", "conv", "linear", "matmul", "embedding", "stack", "mean")
_BOXES = {name: name for name in (*_OWN_NAMES, "attention")} | {
    "conv_transpose2d": "transposed conv",
    "max_pool": "max pool",
    "avg_pool": "avg pool",
    "adaptive_avg_pool": "avg pool",
    "adaptive_max_pool": "max pool",
    "multi_head_attention_forward": "attention",
    "cat": "concat",
    "interpolate": "resize",
    "upsample": "resize",
    "add": "+",
}
_NOTES = {
    "batch_norm": "BN",
    "lrn": "LRN",
    "layer_norm": "LN",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "gelu": "GELU",
    "silu": "SiLU",
    "mul": "scale",
}
_HIDDEN = {  # they rearrange values and change none
    *("view", "reshape", "view_as", "reshape_as", "unflatten", "squeeze", "unsqueeze"),
    *("permute", "transpose", "expand", "contiguous", "clone", "detach", "to"),
    *("float", "type", "getitem", "pad", "chunk", "split", "unbind"),
}
_BUFFERS = {
    *("new_empty", "new_zeros", "new_ones", "new_full", "empty_like", "zeros_like")
}


@dataclass(eq=False, slots=True)
class Node:
    """One box. `label` is written large, `note` small; `inputs` are nodes.

    `axis` is the axis of the channels or features in `out_shape`; 0 where there
    is no batch.
    """

    path: str
    kind: str
    label: str
    kernel: str  # a name of the theme's palette, or "none"
    out_shape: tuple
    axis: int = 1
    inputs: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    parts: list = field(default_factory=list)  # (channels, kernel) of the output
    macs: int = 0
    params: int = 0
    step: str = ""  # short, for the text: "3x3/2"
    times: int = 1  # equal modules in a row that this box stands for
    op: object = None  # the operation that the box is named after
    members: tuple = ()  # the nodes that a collapsed module holds

    @property
    def channels(self):
        return self.out_shape[self.axis] if self.axis < len(self.out_shape) else 1

    @property
    def shape(self):
        """The output's shape without its batch: "192 x 28 x 28"."""
        if self.kind == "error":
            return "no output"
        return shape_text(self.out_shape, self.axis)

    @property
    def grid(self):
        """The grid of the output, "28x28", or "" where there is none."""
        return dims(self.out_shape[self.axis + 1 :])

    @property
    def note(self):
        if not self.members:
            return " ".join(self.notes)
        times = f"{self.times} of these: " if self.times > 1 else ""
        return times + " ".join(self.kernels)

    @property
    def kernels(self):
        """The kernel names of what a collapsed module holds, each once."""
        return tuple(
            dict.fromkeys(n.kernel for n in self.members if n.kernel != "none")
        )


def shape_text(shape, axis=1):
    """A shape without its batch: "192 x 28 x 28"."""
    return " x ".join(map(str, shape[min(axis, 1, len(shape) - 1) :])) or "a number"


def readers_of(nodes):
    """`{node: the nodes that read it}`."""
    readers = {node: [] for node in nodes}
    for node in nodes:
        for source in node.inputs:
            readers[source].append(node)
    return readers


def channel_axes(ops):
    """`{number of axes of a shape: which one holds the channels}`.

    A convolution or pool over n axes has them before the last n. Of other shapes, a
    sequence has its features last, any else its channels after the batch.
    """
    axes = {0: 0, 1: 0, 2: 1, 3: 2}
    for op in ops:
        if op.kernel and ("conv" in op.kind or "pool" in op.kind):
            rank = len(op.out_shape)
            axes[rank] = max(0, rank - len(op.kernel) - 1)
    return axes


def _note(op):
    """What an operation adds to the box that it joins: "ReLU", "x 0.17"."""
    if op.constant is not None:
        return f"{'x' if op.kind == 'mul' else '+'} {number(op.constant)}"
    return _NOTES.get(op.kind, op.kind.replace("_", " "))


def window(op):
    """A kernel with its stride, as the papers write it: "3x3", "7x7/2"."""
    strides = set(op.stride or (1,))
    if strides == {1}:
        return dims(op.kernel)
    return f"{dims(op.kernel)}/{dims(op.stride if len(strides) > 1 else strides)}"


def _describe(op, width):
    """`(step, label, notes)` of the operation that a box is named after."""
    step, notes = _BOXES.get(op.kind) or _note(op), []
    if op.kind == "conv":
        step = window(op)
        if op.groups > 1:
            notes.append(f"{op.groups} groups")
        if any(d > 1 for d in op.dilation or ()):
            notes.append(f"dilation {max(op.dilation)}")
    elif op.kind.endswith("pool"):
        axes = len(op.kernel)
        grid = tuple(op.in_shapes[0][-axes:])
        is_global = tuple(op.kernel) == grid and set(op.out_shape[-axes:]) == {1}
        step = f"global {step}" if is_global else f"{step} {window(op)}"
    has_width = op.kind in ("conv", "conv_transpose2d", "linear", "cat")
    return step, f"{step}, {width}" if has_width else step, notes


def _is_box(op, sources):
    if op.kind == "mean":
        return bool(sources and sources[0].grid)
    return len(sources) > 1 or (op.kind in _BOXES and op.kind != "add")


def views(nodes):
    """Nodes to draw, from the most detailed view that may do to one box a stage."""
    for depth in (None, 4, 3, 2):
        view = collapse(nodes, depth) if depth else nodes
        if len(view) <= OPEN_BOXES:
            yield view
    stages = collapse(nodes, 1)
    yield merge_repeats(stages) if len(stages) > MAX_BOXES else stages


def with_writes_as_concat(ops, axes, readers):
    """The operations, with what fills a buffer slice by slice as one operation.

    A concatenation, if the slices are of channels.
    """
    left, written = {op.index: op for op in ops}, {}
    for op in ops:
        base = op.inputs[0] if len(op.inputs) == 2 else None  # else a constant
        if op.kind in _BUFFERS:
            written[op.index] = []
        elif op.kind == "setitem" and (
            base is None or (base in written and readers[base] == 1)
        ):
            left.pop(base, None)
            values = [*written.get(base, ()), (op.inputs[-1], op.in_shapes[-1])]
            places, shapes = zip(*values, strict=True)
            rank = len(op.out_shape)
            widths = [s[axes.get(rank, 1)] for s in shapes if len(s) == rank]
            fits = len(values) > 1 and sum(widths) == op.out_shape[axes.get(rank, 1)]
            kind = "cat" if fits else op.kind
            left[op.index] = op._replace(kind=kind, inputs=places, in_shapes=shapes)
            written[op.index] = values
    return left.values()


def nodes_of(trace, error=None):
    """The boxes of a trace, in the order they run.

    A normalization, activation or other step with one input joins the box
    before it when nothing else reads that box. `error` is what stopped the trace;
    it gets the last box, after those that it read.
    """
    readers = Counter(source for op in trace.ops for source in set(op.inputs))
    axes = channel_axes(trace.ops)
    made, last_op, nodes = {}, {}, []
    for op in with_writes_as_concat(trace.ops, axes, readers):
        if op.kind == "parameter":
            continue
        sources = list(dict.fromkeys(made[i] for i in op.inputs if i in made))
        axis = axes.get(len(op.out_shape), 1)
        joins = (
            len(sources) == 1
            and not _is_box(op, sources)
            and sources[0].kind != "input"
            and last_op[sources[0]] in op.inputs
            and readers[last_op[sources[0]]] == 1
            and last_op[sources[0]] not in trace.outputs
        )
        if joins:
            node = sources[0]
            if op.kind not in _HIDDEN:
                node.notes.append(_note(op))
            node.out_shape, node.axis = op.out_shape, axis
        else:
            kernel = kernel_name(op)
            if kernel == "other" and op.kernel is None:
                kernel = "none"
            node = Node(op.path, op.kind, "", kernel, op.out_shape, axis, sources)
            node.op = op
            node.step, node.label, node.notes = _describe(op, node.channels)
            node.parts = _parts(op, made, node)
            nodes.append(node)
        node.macs += op.macs
        node.params += op.params
        made[op.index], last_op[node] = node, op.index
    for node in nodes:  # a flatten after a pool changes what the bar shows
        if sum(width for width, _ in node.parts) != node.channels:
            node.parts = [(node.channels, node.kernel)]
    return nodes if error is None else [*nodes, _error_node(error, trace, made, nodes)]


def _error_node(error, trace, made, nodes):
    """The box of what stopped a trace: after what the operation or module read.

    Where a module's own lines stopped, that is what nobody has read yet.
    """
    path = getattr(error, "module_path", "")
    node = Node(path, "error", "stops here", "none", (), 0, notes=[path] * bool(path))
    kind, words = type(error).__name__, " ".join(str(error).split())
    words = words.removeprefix(f"in {path}: ")
    node.step = words if kind == "ShapeError" else f"{kind}: {words}"
    module = f"{path}." if path else ""
    ran = [f"{op.path}.".startswith(module) for op in trace.ops if op.kind != "input"]
    read = getattr(error, "reads", getattr(error, "given", ()))
    if any(ran) and not hasattr(error, "reads"):
        node.inputs = [other for other, by in readers_of(nodes).items() if not by]
    else:
        node.inputs = list(dict.fromkeys(made[i] for i in read if i in made))
    node.inputs = node.inputs or nodes[-1:]
    return node


def _parts(op, made, node):
    """What an output is made of: `(channels, kernel)` from left to right."""
    if node.kind == "cat":
        parts = []
        for index, shape in zip(op.inputs, op.in_shapes, strict=True):
            source, width = made.get(index), (*shape, 1, 1)[node.axis]
            known = source and sum(w for w, _ in source.parts) == width
            parts += source.parts if known else [(width, "none")]
        return parts
    through = node.kernel == "none" and len(node.inputs) == 1
    if through and node.inputs[0].channels == node.channels:
        return list(node.inputs[0].parts)
    return [(node.channels, node.kernel)]


def collapse(nodes, depth):
    """Nodes with every run of boxes of one module at `depth` made one box."""

    def module(node):
        named = node.path and node.kind != "error"
        return ".".join(node.path.split(".")[:depth]) if named else node

    new_of, collapsed = {}, []
    for _, run in groupby(nodes, module):
        first, *more = run = tuple(run)
        node = replace(first)
        if more:
            last, path = run[-1], common_path([n.path for n in run])
            node = Node(path, "module", path, "none", last.out_shape, last.axis)
            node.step, node.parts, node.members = path, last.parts, run
            node.macs = sum(n.macs for n in run)
            node.params = sum(n.params for n in run)
        sources = (new_of[s] for n in run for s in n.inputs if s in new_of)
        node.inputs = list(dict.fromkeys(sources))
        new_of |= dict.fromkeys(run, node)
        collapsed.append(node)
    return collapsed


def merge_repeats(nodes):
    """Nodes with equal modules that follow each other drawn as one, "x 10"."""

    def traits(node):
        return node.kind, node.parts, node.kernels, node.out_shape, node.params

    readers, merged, new_of = readers_of(nodes), [], {}
    for node in nodes:
        inputs = list(dict.fromkeys(new_of[source] for source in node.inputs))
        if (
            node.kind == "module"
            and inputs
            and inputs == merged[-1:]
            and all(len(readers[source]) == 1 for source in node.inputs)
            and traits(node) == traits(merged[-1])
        ):
            merged[-1].times += 1
        else:
            merged.append(replace(node, inputs=inputs))
        new_of[node] = merged[-1]
    return merged


def common_path(paths):
    """The longest module path that all paths share."""
    columns = zip(*(path.split(".") for path in paths), strict=False)
    shared = takewhile(lambda column: len(set(column)) == 1, columns)
    return ".".join(name for name, *_ in shared)
