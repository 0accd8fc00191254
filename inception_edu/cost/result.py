"""What a trace shows: its operations, their totals, and rows by module."""

from functools import cached_property
from typing import NamedTuple

from inception_edu.text import dims


class Op(NamedTuple):
    """One operation of a trace: what its arguments tell, and where it ran.

    `spans` hold its receptive field, None where there is no height and width. `kernel`,
    `stride`, `padding`, `dilation` are per axis or None. `constant` is the number in
    `0.17 * x` or `x + 1`, else None. A `view` takes no memory. `known` is False where
    nobody has a formula for its MACs.

    `index` is its place in `Trace.ops`; `path` names the module that ran it
    ("" is the model itself). Shapes hold the batch. `inputs` are the indices of the
    operations it reads. `params` counts a shared weight where it is used first.
    `activation_bytes` is the new memory of the output: 0 for views and in-place
    operations.
    """

    kind: str
    out_shape: tuple
    spans: tuple | None = None
    macs: int = 0
    kernel: tuple | None = None
    stride: tuple | None = None
    padding: tuple | None = None
    dilation: tuple | None = None
    groups: int = 1
    constant: float | None = None
    view: bool = False
    known: bool = True
    # Where it ran, which only the tracer knows:
    index: int | None = None
    path: str = ""
    in_shapes: tuple = ()
    inputs: tuple = ()
    params: int = 0
    activation_bytes: int = 0

    @property
    def receptive_field(self):
        """`(height, width)` in input pixels, or None."""
        return self.spans and tuple([span.high - span.low + 1 for span in self.spans])

    @property
    def flops(self):
        """2 x MACs: a multiply and an add."""
        return 2 * self.macs


PLACE = Op._fields.index("index")  # from here on, fields tell where it ran


class Totals:
    """Sums over the operations `ops`."""

    @cached_property
    def params(self):
        """Parameters that these operations used."""
        return sum(op.params for op in self.ops)

    @cached_property
    def macs(self):
        return sum(op.macs for op in self.ops)

    @property
    def flops(self):
        return 2 * self.macs

    @cached_property
    def activation_bytes(self):
        return sum(op.activation_bytes for op in self.ops)


class Row(Totals):
    """Operations of one module; shape and receptive field are the last one's."""

    def __init__(self, path, ops):
        self.path, self.ops = path, ops
        self.out_shape = ops[-1].out_shape
        self.receptive_field = ops[-1].receptive_field


class Trace(Totals):
    """Every operation of a model in the order it runs, with what it costs.

    The first operations are the inputs. Totals are sums over `ops`: 1 MAC is one
    multiply-add of a convolution, linear or matmul weight; bias, norm, activation
    and pooling count 0; FLOPs = 2 x MACs. `params` counts what this run used,
    `params_built` all there are.
    """

    def __init__(self, name, input_shapes, ops, params_built, outputs):
        self.name, self.input_shapes, self.ops = name, input_shapes, ops
        self.params_built = params_built
        self.outputs = tuple(value.op for value in outputs)
        self.output_shapes = [value.sizes for value in outputs]

    @property
    def output_shape(self):
        return self.output_shapes[0] if self.output_shapes else ()

    @property
    def receptive_field(self):
        """(height, width) of the last grid before it is pooled away or left."""
        grids = [op for op in self.ops if len(op.out_shape) == 4]
        wide = [op for op in grids if max(op.out_shape[2:]) > 1]
        last = (wide or grids)[-1:]
        return last[0].receptive_field if last else None

    @property
    def unknown(self):
        """Operations right in shape whose MACs nobody has a formula for."""
        return [op for op in self.ops if not op.known]

    def by_module(self, depth=1):
        """One `Row` a module at that depth, in the order of its first operation."""
        groups = {}
        for op in self.ops:
            if op.kind == "input":
                continue
            parts = op.path.split(".") if op.path else [f"({op.kind})"]
            groups.setdefault(".".join(parts[:depth]), []).append(op)
        return [Row(path, tuple(ops)) for path, ops in groups.items()]

    def table(self, depth=1):
        """A pandas DataFrame of `by_module`: output, parameters, MACs, field."""
        import pandas

        return pandas.DataFrame(
            {
                "module": row.path,
                "output": dims(row.out_shape[1:]),
                "parameters": row.params,
                "MACs": row.macs,
                "activations (KB)": round(row.activation_bytes / 1000),
                "receptive field": dims(row.receptive_field or "-"),
            }
            for row in self.by_module(depth)
        )

    def __repr__(self):
        shapes = ", ".join(dims(shape) for shape in self.input_shapes)
        line = (
            f"<Trace {self.name} on {shapes}: {self.params:,} parameters, "
            f"{self.macs:,} MACs, {len(self.ops)} operations"
        )
        if self.unknown:
            names = sorted({op.kind for op in self.unknown})
            line += f"; no rule for {', '.join(names)} (counted as 0 MACs)"
        return line + ">"
