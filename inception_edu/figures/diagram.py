"""A diagram of any module or network, drawn from its trace.

Every box is an operation with its kernel's color and name; the bar below it
is its output, as wide as it has channels; the shape stands on the wire.
"""

from inception_edu.figures.boxes import Diagram, draw, one_line
from inception_edu.figures.graph import nodes_of, shape_text
from inception_edu.figures.theme import TITLE

__all__ = ["Diagram", "diagram"]


def diagram(model_or_trace, input_shape=None, *, title=None):
    """A `Diagram` of a module, a network or a trace of one.

    `input_shape` is `(N, C, H, W)`; a network that knows its input size needs
    none, a trace takes none. Everything is drawn as far as it stays readable. A
    model that stops on its way is drawn up to there, with the error in words.
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
