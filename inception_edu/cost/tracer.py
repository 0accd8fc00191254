"""`trace(model, input_shape)`: one run on shapes alone, and all it shows.

The model's own `forward` runs once with a `ShapeValue` in the place of the
image: no tensor is made and nothing is computed, so Inception v4 takes about
10 ms. Modules are called without their hooks, and their mode is put back.
"""

import threading
from collections.abc import Iterable
from functools import cached_property
from math import prod
from typing import NamedTuple

import torch
from torch import nn

from inception_edu.cost.rules import RULES, Result, ShapeError, text
from inception_edu.cost.shapes import ShapeValue, Span, walk

KEEPS_EVAL = (
    nn.modules.batchnorm._NormBase,
    nn.modules.dropout._DropoutNd,
)
LOCK = threading.RLock()
ACTIVE = threading.local()
MODULE_CALL = nn.Module.__call__


class Op(NamedTuple):
    """One operation of a trace.

    `index` is its place in `Trace.ops`; `path` names the module that ran it
    ("" is the model itself). Shapes hold the batch; `kernel`, `stride`,
    `padding`, `dilation` are per axis or None. `params` counts a shared weight
    where it is used first. `activation_bytes` is the new memory of the output: 0
    for views and in-place operations. `receptive_field` is `(height, width)`
    in input pixels, None where the operation left the grid. `inputs` are the
    indices of the operations it reads.
    """

    index: int
    path: str
    kind: str
    kernel: tuple | None
    stride: tuple | None
    padding: tuple | None
    dilation: tuple | None
    groups: int
    in_shapes: tuple
    out_shape: tuple
    params: int
    macs: int
    activation_bytes: int
    receptive_field: tuple | None
    inputs: tuple
    known: bool = True

    @property
    def flops(self):
        """2 x MACs: a multiply and an add."""
        return 2 * self.macs


class Row(NamedTuple):
    """Operations of one module, added up; `out_shape` is the last one's."""

    path: str
    out_shape: tuple
    params: int
    macs: int
    activation_bytes: int
    receptive_field: tuple | None
    ops: tuple


class Trace:
    """Every operation of a model in the order it runs, with what it costs.

    `ops[0]` and on are the inputs. Totals are sums over `ops`: 1 MAC is one
    multiply-add of a convolution, linear or matmul weight; bias, norm,
    activation and pooling count 0; FLOPs = 2 x MACs.
    """

    def __init__(self, name, input_shapes, ops, params_built, outputs):
        self.name, self.input_shapes, self.ops = name, input_shapes, ops
        self.params_built = params_built
        self.outputs = tuple(value.op for value in outputs)
        self.output_shapes = [tuple(value.shape) for value in outputs]

    @property
    def input_shape(self):
        return self.input_shapes[0]

    @property
    def output_shape(self):
        return self.output_shapes[0] if self.output_shapes else ()

    @cached_property
    def params(self):
        """Parameters that this run used; `params_built` counts all there are."""
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

    @property
    def receptive_field(self):
        """(height, width) of the last grid before it is pooled away or left."""
        grids = [op for op in self.ops if len(op.out_shape) == 4]
        wide = [op for op in grids if max(op.out_shape[2:]) > 1]
        last = (wide or grids)[-1:]
        return last[0].receptive_field if last else None

    @property
    def unknown(self):
        """Operations without a rule: right in shape, not counted in MACs."""
        return [op for op in self.ops if not op.known]

    def by_module(self, depth=1):
        """One `Row` a module at that depth, in the order of its first operation."""
        groups = {}
        for op in self.ops:
            if op.kind == "input":
                continue
            parts = op.path.split(".") if op.path else [f"({op.kind})"]
            groups.setdefault(".".join(parts[:depth]), []).append(op)
        return [
            Row(
                path,
                ops[-1].out_shape,
                sum(op.params for op in ops),
                sum(op.macs for op in ops),
                sum(op.activation_bytes for op in ops),
                ops[-1].receptive_field,
                tuple(ops),
            )
            for path, ops in groups.items()
        ]

    def table(self, depth=1):
        """A pandas DataFrame of `by_module`: output, parameters, MACs, field."""
        import pandas

        return pandas.DataFrame(
            {
                "module": row.path,
                "output": text(row.out_shape[1:]),
                "parameters": row.params,
                "MACs": row.macs,
                "activations (KB)": round(row.activation_bytes / 1000),
                "receptive field": text(row.receptive_field or "-"),
            }
            for row in self.by_module(depth)
        )

    def __repr__(self):
        shapes = ", ".join(text(shape) for shape in self.input_shapes)
        line = (
            f"<Trace {self.name} on {shapes}: {self.params:,} parameters, "
            f"{self.macs:,} MACs, {len(self.ops)} operations"
        )
        if self.unknown:
            names = sorted({op.kind for op in self.unknown})
            line += f"; no rule for {', '.join(names)} (counted as 0 MACs)"
        return line + ">"


class Tracer:
    """Collects operations while a model runs."""

    def __init__(self, model):
        self.paths = {module: name for name, module in model.named_modules()}
        self.parameters = {}  # id -> (parameter, its path), shared ones once
        for module, path in self.paths.items():
            for name, parameter in module._parameters.items():
                if parameter is not None and id(parameter) not in self.parameters:
                    place = f"{path}.{name}" if path else name
                    self.parameters[id(parameter)] = parameter, place
        self.device = torch.device("cpu")
        for parameter, _ in self.parameters.values():
            if isinstance(parameter, nn.UninitializedParameter):
                raise ValueError(
                    "the model has lazy layers without weights; run it once on a "
                    "real input, then trace it"
                )
            self.device = parameter.device
        self.ops, self.path, self.counted = [], "", set()

    def start(self, shape, dtype):
        field = None
        if len(shape) == 4:
            field = (Span(2, 0, 0, 1), Span(3, 0, 0, 1))
        self.record(Result("input", tuple(shape), field), (), {})
        return ShapeValue(self, shape, len(self.ops) - 1, field, dtype)

    def error(self, message):
        place = f"in {self.path}: " if self.path else ""
        return ShapeError(place + message)

    def enter(self, module, args, kwargs):
        before, self.path = self.path, self.paths[module]
        try:
            return module.forward(*args, **kwargs)
        except Exception as problem:
            if not hasattr(problem, "module_path"):
                problem.module_path = self.path
                problem.add_note(f"raised in module {self.path or '(the model)'}")
            raise
        finally:
            for parameter in module._parameters.values():
                if parameter is not None and id(parameter) not in self.counted:
                    self.own(parameter)
            self.path = before

    def own(self, parameter):
        """A parameter no operation was given, such as a ViT's class token."""
        path = self.parameters[id(parameter)][1]
        result = Result("parameter", tuple(parameter.shape), view=True)
        self.record(result, (parameter,), {}, path=path)

    def call(self, function, args, kwargs):
        name = function.__name__
        bare = name.strip("_")
        if bare == "setitem":
            return None
        if bare in ("get", "set"):  # a property of Tensor
            raise self.error("the model reads a tensor property a trace cannot give")
        rule = RULES.get(bare)
        in_place = name.endswith("_") and not name.startswith("__")
        in_place = in_place or name.startswith("__i") or kwargs.get("inplace") is True
        if rule is None:
            return self.fall_back(function, bare, args, kwargs)
        try:
            if getattr(rule, "wants_function", False):
                result = rule(function, *args, **kwargs)
            else:
                result = rule(*args, **kwargs)
        except ShapeError as problem:
            raise self.error(str(problem)) from None
        return self.record(result, args, kwargs, in_place)

    def fall_back(self, function, name, args, kwargs):
        """Run one unknown operation on the meta device, and remember that."""

        def swap(tree):
            if type(tree) is ShapeValue:
                return torch.empty(tree.shape, dtype=tree.dtype, device="meta")
            if isinstance(tree, torch.Tensor):
                return tree.to("meta")
            if type(tree) in (list, tuple):
                return type(tree)(swap(item) for item in tree)
            if type(tree) is dict:
                return {key: swap(item) for key, item in tree.items()}
            return tree

        try:
            answer = function(*swap(args), **swap(kwargs))
        except Exception as problem:
            shapes = ", ".join(
                text(v.shape) for v in walk(args, kwargs) if type(v) is ShapeValue
            )
            raise self.error(
                f"no rule for the operation {name} on {shapes}, and torch cannot "
                f"tell its shape either ({problem})"
            ) from problem
        if isinstance(answer, torch.Tensor):
            result = Result(name, tuple(answer.shape))
        elif isinstance(answer, (list, tuple)):
            shapes = [
                tuple(a.shape) if isinstance(a, torch.Tensor) else None for a in answer
            ]
            result = Result(name, shapes, [None] * len(shapes), several=True)
        else:
            return answer
        return self.record(result, args, kwargs, known=False)

    def record(self, result, args, kwargs, in_place=False, path=None, known=True):
        values, params = [], 0
        for leaf in walk(args, kwargs):
            if type(leaf) is ShapeValue:
                values.append(leaf)
            elif id(leaf) in self.parameters and id(leaf) not in self.counted:
                self.counted.add(id(leaf))
                params += leaf.numel()
        shape, field = result.shape, result.field
        first_shape, first_field = (
            (shape[0], field[0]) if result.several else (shape, field)
        )
        dtype = values[0].dtype if values else torch.float32
        index = len(self.ops)
        new_memory = not (result.view or in_place)
        written = shape if result.several else [shape]
        self.ops.append(
            Op(
                index,
                self.path if path is None else path,
                result.kind,
                result.kernel,
                result.stride,
                result.padding,
                result.dilation,
                result.groups,
                tuple(tuple(value.shape) for value in values),
                tuple(first_shape),
                params,
                result.macs,
                sum(prod(s) for s in written if s is not None) * dtype.itemsize
                if new_memory and result.kind != "input"
                else 0,
                tuple(span.high - span.low + 1 for span in first_field)
                if first_field
                else None,
                tuple(value.op for value in values),
                known,
            )
        )
        if not result.several:
            return ShapeValue(self, shape, index, field, dtype)
        return tuple(
            None if s is None else ShapeValue(self, s, index, f, dtype)
            for s, f in zip(shape, field, strict=True)
        )


def call_module(module, *args, **kwargs):
    """Stands in for `nn.Module.__call__` while a trace runs in this thread."""
    tracer = getattr(ACTIVE, "tracer", None)
    if tracer is None or module not in tracer.paths:
        return MODULE_CALL(module, *args, **kwargs)
    return tracer.enter(module, args, kwargs)


def checked(shape):
    """The shape as a tuple of positive whole numbers, or a ValueError."""
    example = "pass something like (1, 3, 224, 224)"
    if not isinstance(shape, Iterable) or isinstance(shape, (str, bytes)):
        raise ValueError(f"input_shape={shape!r} is not a shape; {example}")
    sizes = tuple(shape)
    if not sizes or any(
        isinstance(n, bool) or not hasattr(n, "__index__") or n < 1 for n in sizes
    ):
        raise ValueError(
            f"input_shape={sizes} must hold whole numbers of at least 1; {example}"
        )
    return tuple(n.__index__() for n in sizes)


def trace(model, input_shape, *more_shapes, aux=False, dtype=torch.float32):
    """A `Trace` of `model` on inputs of these shapes, computed on shapes alone.

    Takes any `nn.Module`, on any device, and leaves it as it was; several
    inputs are several shapes. The model runs as in eval mode; `aux=True`
    counts what runs only in training too, such as auxiliary heads. `dtype` is
    the element type of the inputs. Raises ValueError for what is not a shape,
    TypeError for what is not a module, ShapeError with the module's path where
    shapes do not fit; the model's own errors come through with a note of the
    path. Operations without a rule are in `Trace.unknown`.
    """
    if not isinstance(model, nn.Module):
        hint = "; call it first" if isinstance(model, type) else ""
        raise TypeError(f"trace takes an nn.Module, got {model!r}{hint}")
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    shapes = [checked(shape) for shape in (input_shape, *more_shapes)]
    tracer = Tracer(model)
    modes = [(vars(module), module.training) for module in tracer.paths]
    with LOCK, torch.no_grad():
        try:
            for module in tracer.paths:  # past __setattr__, which is slow
                vars(module)["training"] = aux and not isinstance(module, KEEPS_EVAL)
            nn.Module.__call__ = call_module
            ACTIVE.tracer = tracer
            inputs = [tracer.start(shape, dtype) for shape in shapes]
            answer = model(*inputs)
        finally:
            ACTIVE.tracer = None
            nn.Module.__call__ = MODULE_CALL
            for attributes, mode in modes:
                attributes["training"] = mode
    name = getattr(model, "name", None) or type(model).__name__
    built = sum(p.numel() for p, _ in tracer.parameters.values())
    return Trace(name, shapes, tuple(tracer.ops), built, list(leaves(answer)))


def leaves(answer):
    """Every value in what a model returns: tensors, tuples, dicts, dataclasses."""
    if type(answer) is ShapeValue:
        yield answer
    elif isinstance(answer, dict):
        for item in answer.values():
            yield from leaves(item)
    elif isinstance(answer, (list, tuple)):
        for item in answer:
            yield from leaves(item)
    elif hasattr(answer, "__dataclass_fields__"):
        yield from leaves(vars(answer))
