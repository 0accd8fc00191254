"""A diagram of any module or network, drawn from its trace.

Every box is an operation with its kernel's color and name; the bar below it
is its output, as wide as it has channels; the shape stands on the wire.
"""

from inception_edu.figures.boxes import PAD, WIDEST, Diagram, draw, one_line
from inception_edu.figures.branches import structure
from inception_edu.figures.diagram_text import twin_lines
from inception_edu.figures.graph import is_inside, nodes_of, shape_text, views
from inception_edu.figures.theme import SIZE
from inception_edu.text import printable

__all__ = ["Diagram", "diagram"]


def diagram(
    model_or_trace, input_shape=None, *, depth=None, expand=(), title=None, aux=False
):
    """A `Diagram` of a module, a network or a trace of one.

    `input_shape` is `(N, C, H, W)`; a network that knows its input size needs
    none, a trace takes none. `depth` folds modules at that depth into one box
    each (1: one box a stage); left out, everything is drawn as far as it stays
    readable. `expand` names modules to keep open. `aux=True` draws auxiliary
    heads. A model that stops on its way is drawn up to there, with the error in words.
    Raises TypeError for what is neither a module nor a trace, ValueError
    for a shape or depth that cannot be.
    """
    trace, error = _traced(model_or_trace, input_shape, aux)
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
    every = nodes_of(trace, error)
    if not every:
        raise ValueError(f"the trace of {trace.name} holds no operation to draw")
    title = one_line(title or trace.name, SIZE["title"], bold=True)
    totals = _totals(trace, every)
    for nodes in views(every, depth, expand):
        series = structure(nodes)
        lines = [f"{title}: {totals}", *twin_lines(nodes, series)]
        text = "\n".join(" ".join(printable(line).splitlines()) for line in lines)
        picture = draw(nodes, series, title, totals, text)
        if picture.width <= WIDEST + 2 * PAD:
            break
    return picture


def _traced(model_or_trace, input_shape, aux):
    if hasattr(model_or_trace, "ops"):
        if input_shape is not None:
            raise ValueError(
                "a trace holds its input shape already; leave input_shape out, "
                "or pass the model"
            )
        return model_or_trace, None
    from inception_edu.cost import ShapeError, trace

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
    try:
        return trace(model_or_trace, input_shape, aux=aux), None
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
