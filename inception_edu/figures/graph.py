"""From a trace to boxes: operations fused, modules folded, branches found.

`nodes_of(trace)` gives one node a box; `structure(nodes)` finds what runs one
after the other and what runs side by side, from the edges alone.
"""

from dataclasses import dataclass, field
from math import prod

from inception_edu.figures.theme import kernel_name

# Operations that get a box of their own; any other is a note on the box before.
_BOXES = {
    "input": "input",
    "conv": "conv",
    "conv_transpose": "transposed conv",
    "max_pool": "max pool",
    "avg_pool": "avg pool",
    "adaptive_avg_pool": "avg pool",
    "adaptive_max_pool": "max pool",
    "linear": "linear",
    "matmul": "matmul",
    "attention": "attention",
    "embedding": "embedding",
    "cat": "concat",
    "stack": "stack",
    "interpolate": "resize",
    "upsample": "resize",
    "mean": "mean",
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
_HIDDEN = {  # they move numbers about and change none
    *("view", "reshape", "view_as", "reshape_as", "unflatten", "squeeze", "unsqueeze"),
    *("permute", "transpose", "expand", "contiguous", "clone", "detach", "to"),
    *("float", "type", "getitem", "pad", "chunk", "split", "unbind"),
}


@dataclass(eq=False, slots=True)
class Node:
    """One box. `label` is written large, `note` small; `inputs` are nodes."""

    path: str
    kind: str
    label: str
    kernel: str  # a name of the theme's palette, or "none"
    out_shape: tuple
    inputs: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    parts: list = field(default_factory=list)  # (channels, kernel) of the output
    macs: int = 0
    params: int = 0
    folded: tuple = ()  # kernel names of what a folded module holds
    step: str = ""  # short, for the text: "3x3/2"
    times: int = 1  # equal modules in a row that this box stands for

    @property
    def channels(self):
        return channels(self.out_shape)

    @property
    def note(self):
        return " ".join(self.notes)


def channels(shape):
    """Channels or features of a shape with its batch axis in front."""
    if len(shape) < 2:
        return 1
    return shape[-1] if len(shape) == 3 else shape[1]


def shape_text(shape):
    """A shape without its batch: "192 x 28 x 28"."""
    return " x ".join(map(str, shape[1:] if len(shape) > 1 else shape))


def grid_text(shape):
    """The grid of a shape, "28x28", or "" where there is none."""
    return "x".join(map(str, shape[2:])) if len(shape) == 4 else ""


def _window(op):
    """A kernel with its stride, as the papers write it: "3x3", "7x7/2"."""
    text = "x".join(map(str, op.kernel))
    strides = set(op.stride or (1,))
    if strides == {1}:
        return text
    return f"{text}/{'x'.join(map(str, op.stride if len(strides) > 1 else strides))}"


def _describe(op):
    """`(step, label, notes)` of the operation that a box is named after."""
    width = channels(op.out_shape)
    name = _BOXES.get(op.kind, _NOTES.get(op.kind, op.kind.replace("_", " ")))
    notes = []
    if op.kind in ("conv", "conv_transpose"):
        step = _window(op)
        if op.groups > 1:
            notes.append(f"{op.groups} groups")
        if any(d > 1 for d in op.dilation or ()):
            notes.append(f"dilation {max(op.dilation)}")
        if op.kind == "conv_transpose":
            notes.append("transposed")
        return step, f"{step}, {width}", notes
    if op.kind.endswith("pool"):
        grid = tuple(op.in_shapes[0][-len(op.kernel) :])
        if tuple(op.kernel) == grid and prod(op.out_shape[2:]) == 1:
            return f"global {name}", f"global {name}", notes
        return f"{name} {_window(op)}", f"{name} {_window(op)}", notes
    if op.kind in ("linear", "cat"):
        return name, f"{name}, {width}", notes
    return name, name, notes


def _is_box(op, sources):
    if op.kind in _BOXES and op.kind != "mean":
        return True
    if op.kind == "mean":
        return len(op.in_shapes[0]) == 4
    return len(sources) > 1


def nodes_of(trace, depth=None, expand=()):
    """The boxes of a trace, in the order they run.

    A normalisation, activation or other step with one input joins the box
    before it when nothing else reads that box. With `depth`, modules of that
    depth become one box each, apart from those whose path is in `expand`.
    """
    readers = {}
    for op in trace.ops:
        for source in set(op.inputs):
            readers[source] = readers.get(source, 0) + 1
    outputs = set(getattr(trace, "outputs", ()))
    made, last_op, nodes = {}, {}, []
    for op in trace.ops:
        if op.kind == "parameter":
            continue
        sources = list(dict.fromkeys(made[i] for i in op.inputs if i in made))
        before = sources[0] if sources else None
        joins = (
            len(sources) == 1
            and not _is_box(op, sources)
            and before.kind != "input"
            and last_op[before] in op.inputs
            and readers.get(last_op[before], 0) == 1
            and last_op[before] not in outputs
        )
        if joins:
            node = before
            if op.kind not in _HIDDEN:
                node.notes.append(_NOTES.get(op.kind, op.kind.replace("_", " ")))
            node.out_shape = op.out_shape
        else:
            step, label, notes = _describe(op)
            kernel = kernel_name(op)
            if kernel == "other" and op.kernel is None:
                kernel = "none"
            node = Node(op.path, op.kind, label, kernel, op.out_shape, sources)
            node.notes, node.step = notes, step
            node.parts = _parts(op, made, node)
            nodes.append(node)
        node.macs += op.macs
        node.params += op.params
        made[op.index], last_op[node] = node, op.index
    for node in nodes:  # a flatten after a pool changes what the bar shows
        if sum(width for width, _ in node.parts) != node.channels:
            node.parts = [(node.channels, node.kernel)]
    return nodes if depth is None else fold(nodes, depth, expand)


def _parts(op, made, node):
    """What an output is made of: `(channels, kernel)` from left to right."""
    if op.kind == "cat":
        parts = []
        for index, shape in zip(op.inputs, op.in_shapes, strict=True):
            source = made.get(index)
            known = source and sum(w for w, _ in source.parts) == channels(shape)
            parts += source.parts if known else [(channels(shape), "none")]
        return parts
    through = node.kernel == "none" and len(node.inputs) == 1
    if through and node.inputs[0].channels == node.channels:
        return list(node.inputs[0].parts)
    return [(node.channels, node.kernel)]


def fold(nodes, depth, expand=()):
    """Nodes with every run of boxes of one module at `depth` made one box."""
    runs = []
    for node in nodes:
        key = None
        if node.path and not any(
            node.path == path or node.path.startswith(path + ".") for path in expand
        ):
            key = ".".join(node.path.split(".")[:depth])
        if key is not None and runs and runs[-1][0] == key:
            runs[-1][1].append(node)
        else:
            runs.append((key, [node]))
    new_of, folded = {}, []
    for key, group in runs:
        if len(group) == 1:
            node = group[0]
        else:
            last = group[-1]
            path = _common_path([n.path for n in group]) or key
            inside = tuple(dict.fromkeys(n.kernel for n in group if n.kernel != "none"))
            node = Node(path, "module", path, "none", last.out_shape)
            node.step = path
            node.parts, node.folded = last.parts, inside
            node.macs = sum(n.macs for n in group)
            node.params = sum(n.params for n in group)
        sources = [new_of[id(s)] for n in group for s in n.inputs if id(s) in new_of]
        node.inputs = list(dict.fromkeys(s for s in sources if s is not node))
        for member in group:
            new_of[id(member)] = node
        folded.append(node)
    return folded


def merge_repeats(nodes):
    """Nodes with equal modules that follow each other drawn as one, "x 10"."""
    readers = {}
    for node in nodes:
        for source in node.inputs:
            readers[id(source)] = readers.get(id(source), 0) + 1
    merged, new_of, count = [], {}, {}
    for node in nodes:
        before = merged[-1] if merged else None
        inputs = list(dict.fromkeys(new_of[id(s)] for s in node.inputs))
        look = (node.parts, node.folded, node.out_shape, node.params)
        if (
            node.kind == "module"
            and inputs == [before]
            and all(readers[id(s)] == 1 for s in node.inputs)
            and look == (before.parts, before.folded, before.out_shape, before.params)
        ):
            count[id(before)] = count.get(id(before), 1) + 1
            new_of[id(node)] = before
            continue
        node.inputs = inputs
        new_of[id(node)] = node
        merged.append(node)
    for node in merged:
        node.times = count.get(id(node), 1)
    return merged


def _common_path(paths):
    """The longest module path that all paths share."""
    columns = zip(*(path.split(".") for path in paths), strict=False)
    shared = []
    for column in columns:
        if len(set(column)) > 1:
            break
        shared.append(column[0])
    return ".".join(shared)


@dataclass(slots=True)
class Branch:
    """One lane of a split: a named series; empty for a shortcut."""

    name: str
    series: list  # of Node and Split
    ends: bool = False  # leads to no output of this series (a side head)


@dataclass(slots=True)
class Split:
    """Branches that run side by side."""

    branches: list
    tangled: list = field(default_factory=list)  # nodes that are no clean branches


def structure(nodes):
    """A series (list of `Node` and `Split`) for nodes in the order they run.

    A node that every path to the last one passes is an element of the series;
    what lies between two such nodes is a `Split` of its connected parts.
    """
    readers = {id(node): [] for node in nodes}
    for node in nodes:
        for source in node.inputs:
            readers[id(source)].append(node)
    return _series(nodes, {id(nodes[-1])}, readers)


def _series(nodes, targets, readers):
    inside = {id(node): place for place, node in enumerate(nodes)}
    if not targets:
        targets = {id(nodes[-1])}
    leads = set()  # nodes with a path to a target
    for node in reversed(nodes):
        if id(node) in targets or any(id(r) in leads for r in readers[id(node)]):
            leads.add(id(node))
    spine = _spine(nodes, inside, leads, targets, readers)
    spine_place = {id(node): i + 1 for i, node in enumerate(spine)}

    sections = [[] for _ in range(len(spine) + 1)]
    section_of, done = {}, 0
    for node in nodes:
        if id(node) in spine_place:
            done = section_of[id(node)] = spine_place[id(node)]
            continue
        place = max((section_of.get(id(s), 0) for s in node.inputs), default=0)
        section_of[id(node)] = max(place, done) if id(node) in leads else place
        sections[section_of[id(node)]].append(node)

    series = []
    for place, members in enumerate(sections):
        if place:
            series.append(spine[place - 1])
        if not members:
            continue
        upper = spine[place - 1] if place else None
        lower = spine[place] if place < len(spine) else None
        parts = _connected(members)
        if len(parts) == 1 and not spine:
            series.append(Split([], tangled=members))
            continue
        branches = []
        for part in parts:
            own = {id(node) for node in part}
            goals = {
                id(n)
                for n in part
                if id(n) in targets or any(id(r) not in own for r in readers[id(n)])
            }
            ends = not any(id(n) in leads for n in part)
            name = _branch_name(part, members, ends)
            branches.append((part, Branch(name, _series(part, goals, readers), ends)))
        through = (
            (lower is not None and upper is not None and upper in lower.inputs)
            or (
                lower is not None
                and upper is None
                and any(id(s) not in inside for s in lower.inputs)
            )
            or (lower is None and upper is not None and id(upper) in targets)
        )
        series.append(Split(_ordered(branches, lower, upper, through)))
    return series


def _spine(nodes, inside, leads, targets, readers):
    """Nodes that no path jumps over, among those that lead to a target."""
    spine, reach = [], -1
    chosen = [node for node in nodes if id(node) in leads]
    for node in chosen:
        outside = not node.inputs or any(id(s) not in inside for s in node.inputs)
        if outside and not (node.kind == "input" and reach < 0):
            reach = max(reach, inside[id(node)])
    for node in chosen:
        here = inside[id(node)]
        if reach <= here:
            spine.append(node)
        ends = [inside[id(r)] for r in readers[id(node)] if id(r) in leads]
        if id(node) in targets:
            ends.append(len(nodes))
        reach = max([reach, *ends])
    return spine


def _connected(nodes):
    """The connected parts of a set of nodes, each in the order they run."""
    home = {id(node): {id(node)} for node in nodes}
    for node in nodes:
        for source in node.inputs:
            if id(source) in home and home[id(source)] is not home[id(node)]:
                merged = home[id(source)] | home[id(node)]
                for member in merged:
                    home[member] = merged
    parts = {}
    for node in nodes:
        parts.setdefault(id(home[id(node)]), []).append(node)
    return list(parts.values())


def _branch_name(part, members, ends):
    """What the model calls this branch: the first name that tells it apart."""
    shared = _common_path([node.path for node in part])
    if ends:
        return shared
    around = _common_path([node.path for node in members])
    below = shared[len(around) :].strip(".")
    if not below:  # alone in its split
        return shared.split(".")[-1]
    return below.split(".")[0]


def _ordered(branches, lower, upper, through):
    """Branches from left to right: in the order they are joined, side heads last."""

    def place(part):
        if lower is not None:
            hits = [i for i, s in enumerate(lower.inputs) if s in part]
            if hits:
                return hits[0]
        return 100

    lanes = [(b.ends, place(part), b) for part, b in branches]
    if through:
        joins = lower is not None and upper in lower.inputs
        at = lower.inputs.index(upper) if joins else -1
        lanes.append((False, at, Branch("shortcut", [])))
    return [b for _, _, b in sorted(lanes, key=lambda lane: lane[:2])]
