"""`trace(model, input_shape)`: one run on shapes alone, and all it shows.

The model's own `forward` runs once with a `ShapeValue` in the place of the
image: no tensor is made and nothing is computed, so Inception v4 takes about
5 ms. Modules are called without their hooks, and their mode is put back.
"""

import gc
import threading
import weakref
from collections.abc import Iterable
from contextlib import contextmanager
from functools import cached_property
from math import prod
from typing import NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from inception_edu.cost.conventions import total
from inception_edu.cost.rules import (
    PRODUCTS,
    RULES,
    Result,
    ShapeError,
    convolve,
    text,
)
from inception_edu.cost.shapes import (
    Length,
    ShapeValue,
    Span,
    light,
    new_tuple,
    walk,
)

KEEPS_EVAL = (
    nn.modules.batchnorm._NormBase,
    nn.modules.dropout._DropoutNd,
)
LOCK = threading.RLock()
ACTIVE = threading.local()
MODULE_CALL = nn.Module._call_impl
LAZY = nn.parameter.UninitializedTensorMixin  # its metaclass is C's: quick to ask


class Op(NamedTuple):
    """One operation of a trace.

    `index` is its place in `Trace.ops`; `path` names the module that ran it
    ("" is the model itself). Shapes hold the batch; `kernel`, `stride`,
    `padding`, `dilation` are per axis or None. `params` counts a shared weight
    where it is used first, `weights` wherever it is used. `activation_bytes` is
    the new memory of the output: 0 for views and in-place operations.
    `receptive_field` is `(height, width)` in input pixels, None where the
    operation left the grid. `inputs` are the indices of the operations it reads.
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
    weights: int = 0

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

    def __init__(
        self, name, input_shapes, ops, params_built, outputs, modules, recording
    ):
        self.name, self.input_shapes, self.ops = name, input_shapes, ops
        self.params_built, self.modules = params_built, modules  # path -> type
        self.recording = recording
        self.outputs = tuple(value.op for value in outputs)
        self.output_shapes = [value.sizes for value in outputs]

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

    def at(self, input_shape, *more_shapes):
        """The `Trace` of the same model at another image or batch size.

        The recorded operations are worked out again without running the model,
        in about 2 ms for Inception v4. A model that would do otherwise at that
        size, since it looks at it, is traced anew. Raises as `trace` does.
        """
        shapes = [checked(shape) for shape in (input_shape, *more_shapes)]
        try:
            with no_collection():
                ops, outputs = self.recording.replay(shapes, self.ops)
        except Exception:  # whatever it was, the model itself tells it in words
            model = self.recording.model()
            if model is None:
                raise ValueError(
                    f"{self.name} may do otherwise at {text(shapes[0])}, and the "
                    "model is gone; trace it again at that size"
                ) from None
            return trace(model, *shapes, **self.recording.options)
        built, modules = self.params_built, self.modules
        return Trace(self.name, shapes, ops, built, outputs, modules, self.recording)

    def count(self, convention="macs"):
        """The total as one of `cost.CONVENTIONS` has it: "fvcore", "thop", ...

        Other tools print other numbers for the same network; this one says which
        tool would print what, to the unit on the networks of the family. Raises
        ValueError for a name that is none of them.
        """
        return total(self, convention)

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


class Recorder:
    """Makes an `Op` and a `ShapeValue` of what a rule answers."""

    def __init__(self, device):
        self.device, self.path, self.in_rule = device, "", False
        self.ops, self.tape, self.guards = [], [], []
        self.last_field = self.last_window = None

    def start(self, shape, dtype):
        field = None
        if len(shape) == 4:
            field = (Span(2, 0, 0, 1), Span(3, 0, 0, 1))
        return self.record(Result("input", shape, field), (), dtype=dtype)

    def window(self, field):
        """Height and width in input pixels; the last answer is kept."""
        if field is not self.last_field:
            self.last_field = field
            self.last_window = field and tuple(
                [span.high - span.low + 1 for span in field]
            )
        return self.last_window

    def record(
        self,
        result,
        values,
        counts=(0, 0),
        in_place=False,
        path=None,
        known=True,
        step=None,
        dtype=torch.float32,
    ):
        """Append the `Op`; `step` is the rule and its arguments, for a replay."""
        (
            kind, shape, field, macs, kernel, stride, padding, dilation, groups, view,
            several, new_dtype,
        ) = result  # fmt: skip
        if len(values) == 1:  # most there is
            x = values[0]
            dtype, in_shapes, inputs = x.dtype, (x.sizes,), (x.op,)
        else:
            if values:
                dtype = values[0].dtype
            in_shapes = tuple([value.sizes for value in values])
            inputs = tuple([value.op for value in values])
        if new_dtype is not None:
            dtype = new_dtype
        ops = self.ops
        index = len(ops)
        first, first_field = (shape[0], field[0]) if several else (shape, field)
        if view or in_place or kind == "input":
            new_bytes = 0
        elif several:
            new_bytes = sum(prod(s) for s in shape if s is not None) * dtype.itemsize
        else:
            new_bytes = prod(shape) * dtype.itemsize
        ops.append(
            new_tuple(
                Op,
                (
                    index,
                    self.path if path is None else path,
                    kind,
                    kernel,
                    stride,
                    padding,
                    dilation,
                    groups,
                    in_shapes,
                    first,
                    counts[0],
                    macs,
                    new_bytes,
                    self.window(first_field),
                    inputs,
                    known,
                    counts[1],
                ),
            )
        )
        if several:
            made = tuple(
                None if s is None else ShapeValue(self, s, index, f, dtype)
                for s, f in zip(shape, field, strict=True)
            )
        else:
            made = ShapeValue(self, shape, index, field, dtype)
        self.tape.append((step, values, in_place, made))
        return made

    def keep(self, kind, x, counts=(0, 0), in_place=False, path=None):
        """`record`, for what leaves its one input's shape and field: most there is."""
        ops, sizes, field, dtype = self.ops, x.sizes, x.field, x.dtype
        index = len(ops)
        ops.append(
            new_tuple(
                Op,
                (
                    index,
                    self.path if path is None else path,
                    kind,
                    *UNKNOWN_WINDOW,
                    (sizes,),
                    sizes,
                    counts[0],
                    0,
                    0 if in_place else prod(sizes) * dtype.itemsize,
                    self.window(field),
                    (x.op,),
                    True,
                    counts[1],
                ),
            )
        )
        made = ShapeValue(self, sizes, index, field, dtype)
        self.tape.append((SAME, (x,), in_place, made))
        return made


SAME = object()  # the step of `keep`
UNKNOWN_WINDOW = (None, None, None, None, 1)  # kernel, stride, padding, ..., groups


class Tracer(Recorder):
    """Collects operations while a model runs."""

    def __init__(self, model):
        super().__init__(torch.device("cpu"))
        self.paths = {}  # module -> path
        self.visit(model, "")
        # Shapes by id, so that shared ones count once; read here, since a parameter
        # that is asked while the model runs tells `Aside`.
        self.parameters = shapes = {}
        self.counted = set()
        some = None
        for module in self.paths:
            for parameter in module._parameters.values():
                if parameter is None or id(parameter) in shapes:
                    continue
                if isinstance(parameter, LAZY):
                    raise ValueError(
                        "the model has lazy layers without weights; run it once on a "
                        "real input, then trace it"
                    )
                shapes[id(parameter)] = parameter.shape
                some = parameter
        self.built = sum([shape.numel() for shape in shapes.values()])
        if some is not None:
            self.device = some.device

    def visit(self, module, path):
        """Every module below, once, in the order of `named_modules`."""
        self.paths[module] = path
        prefix = f"{path}." if path else ""
        for name, child in module._modules.items():
            if child is None or child in self.paths:
                continue
            if child._modules:
                self.visit(child, prefix + name)
            else:
                self.paths[child] = prefix + name

    def error(self, message):
        place = f"in {self.path}: " if self.path else ""
        return ShapeError(place + message)

    def enter(self, module, args, kwargs):
        before, self.path = self.path, self.paths[module]
        try:
            shortcut = SHORTCUTS.get(type(module).forward)
            if shortcut and len(args) == 1 and "forward" not in module.__dict__:
                answer = shortcut(self, module, args[0])
                if answer is not None:
                    if shortcut is run_sequence:
                        self.own_rest(module)
                    return answer
            answer = module.forward(*args, **kwargs)
            self.own_rest(module)
            return answer
        except Exception as problem:
            if not hasattr(problem, "module_path"):
                problem.module_path = self.path
                problem.add_note(f"raised in module {self.path or '(the model)'}")
            raise
        finally:
            self.path = before

    @cached_property
    def names(self):
        """The path of every parameter, by id."""
        return {
            id(parameter): f"{path}.{name}" if path else name
            for module, path in self.paths.items()
            for name, parameter in module._parameters.items()
        }

    def aside(self, function, args, kwargs):
        """What the model computes without its input: products and parameters."""
        used = [leaf for leaf in walk(args, kwargs) if id(leaf) in self.parameters]
        name = function.__name__.strip("_")
        if name in PRODUCTS:
            rule, args, kwargs = RULES[name], light(args), light(kwargs)
            result, counts = self.apply(rule, args, kwargs), self.count(*used)
            self.record(result, (), counts, step=(rule, args, kwargs))
            return
        for parameter in used:
            if id(parameter) not in self.counted:
                self.own(parameter, self.names[id(parameter)])

    def own(self, parameter, path):
        shape = self.parameters.get(id(parameter)) or parameter.shape
        result = Result("parameter", tuple(shape), view=True)
        self.record(result, (), self.count(parameter), path=path)

    def own_rest(self, module):
        """The parameters no operation was given, such as a ViT's class token."""
        for name, parameter in module._parameters.items():
            if parameter is not None and id(parameter) not in self.counted:
                self.own(parameter, f"{self.path}.{name}" if self.path else name)

    def count(self, *parameters):
        """`(params, weights)` of an operation: those new to the run, and all."""
        params = weights = 0
        for parameter in parameters:
            if parameter is not None:
                own = id(parameter)
                size = (self.parameters.get(own) or parameter.shape).numel()
                weights += size
                if own not in self.counted:
                    self.counted.add(own)
                    params += size
        return params, weights

    def call(self, function, args, kwargs):
        name = function.__name__
        bare = name.strip("_")
        if bare == "setitem":
            return None
        if bare in ("get", "set"):  # a property of Tensor
            raise self.error("the model reads a tensor property a trace cannot give")
        rule = RULES.get(bare)
        if "input" in kwargs:  # torch's name for what comes first
            kwargs = dict(kwargs)
            args = (kwargs.pop("input"), *args)
        in_place = name.endswith("_") and not name.startswith("__")
        in_place = in_place or name.startswith("__i") or kwargs.get("inplace") is True
        values, used = [], []
        for leaf in walk(args, kwargs):
            kind = type(leaf)
            if kind is ShapeValue:
                values.append(leaf)
            elif kind is Length:
                leaf.pin()
            elif id(leaf) in self.parameters:
                used.append(leaf)
        counts = self.count(*used)
        if rule is None:
            return self.fall_back(function, bare, args, kwargs, values, counts)
        if getattr(rule, "wants_function", False):
            args = (function, *args)
        result = self.apply(rule, args, kwargs)
        step = rule, light(args), light(kwargs)
        return self.record(result, values, counts, in_place, step=step)

    def apply(self, rule, args, kwargs):
        """The rule's answer; inside it, shapes are plain and reads go unseen."""
        self.in_rule = True
        try:
            return rule(*args, **kwargs)
        except ShapeError as problem:
            raise self.error(str(problem)) from None
        finally:
            self.in_rule = False

    def fall_back(self, function, name, args, kwargs, values, counts):
        """Run one unknown operation on the meta device, and remember that."""

        def swap(tree):
            if type(tree) is ShapeValue:
                return torch.empty(tree.sizes, dtype=tree.dtype, device="meta")
            if isinstance(tree, torch.Tensor):
                return tree.to("meta")
            if type(tree) in (list, tuple):
                return type(tree)(swap(item) for item in tree)
            if type(tree) is dict:
                return {key: swap(item) for key, item in tree.items()}
            return tree

        self.in_rule = True
        try:
            answer = function(*swap(args), **swap(kwargs))
        except Exception as problem:
            shapes = ", ".join(text(value.sizes) for value in values)
            raise self.error(
                f"no rule for the operation {name} on {shapes}, and torch cannot "
                f"tell its shape either ({problem})"
            ) from problem
        finally:
            self.in_rule = False
        if isinstance(answer, torch.Tensor):
            result = Result(name, tuple(answer.shape), dtype=answer.dtype)
        elif isinstance(answer, (list, tuple)):
            shapes = [
                tuple(a.shape) if isinstance(a, torch.Tensor) else None for a in answer
            ]
            result = Result(name, shapes, [None] * len(shapes), several=True)
        else:
            return answer
        return self.record(result, values, counts, known=False)


class Aside(TorchFunctionMode):
    """Shows the tracer every torch call, those without a `ShapeValue` too.

    A position bias made of a table, or by a small network of its own, is computed
    from weights alone: the run does it all the same, so it counts.
    """

    def __init__(self, tracer):
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if ShapeValue in types:
            return self.tracer.call(function, args, kwargs)
        answer = function(*args, **kwargs)
        if not self.tracer.in_rule:
            made = answer if isinstance(answer, tuple) else (answer,)
            if any(isinstance(part, torch.Tensor) for part in made):  # not a size
                self.tracer.aside(function, args, kwargs)
        return answer


def lose_model():
    """Stands for the model of a trace that came from elsewhere."""


class Recording:
    """What a replay needs: each operation's rule and arguments, and the guards.

    A guard is a comparison that the model's own code made with a size, and how
    it ended. The model itself is held weakly: a trace keeps no weights alive.
    """

    def __init__(self, tape, guards, outputs, model, options):
        self.tape, self.guards, self.outputs = tape, guards, outputs
        self.model, self.options = weakref.ref(model), options

    def __getstate__(self):  # a copy in another process: what it costs, no replay
        return dict.fromkeys(("tape", "guards", "outputs")) | {
            "model": lose_model,
            "options": self.options,
        }

    def replay(self, shapes, ops):
        """`(ops, outputs)` at other input shapes; raises where it cannot say."""
        recorder, now = Recorder(torch.device("cpu")), {}
        recorder.in_rule = True

        def swap(tree):
            kind = type(tree)
            if kind is ShapeValue:
                return now[id(tree)]
            if kind is list or kind is tuple:
                return kind([swap(item) for item in tree])
            return tree

        shapes = iter(shapes)
        for op, (step, values, in_place, made) in zip(ops, self.tape, strict=True):
            if op.kind == "input":
                now[id(made)] = recorder.start(next(shapes), made.dtype)
                continue
            if step is SAME:
                counts = op.params, op.weights
                x = now[id(values[0])]
                now[id(made)] = recorder.keep(op.kind, x, counts, in_place, op.path)
                continue
            if step is None and op.kind != "parameter":
                raise LookupError(f"no rule for {op.kind}")
            if step is None:
                result = Result("parameter", made.sizes, view=True)
            else:
                rule, args, kwargs = step
                if rule is convolve:
                    result = convolve(now[id(values[0])], *args)
                else:
                    args = [swap(arg) for arg in args]
                    kwargs = {name: swap(arg) for name, arg in kwargs.items()}
                    result = rule(*args, **kwargs)
            counts = op.params, op.weights
            new = recorder.record(
                result, [now[id(v)] for v in values], counts, in_place, op.path
            )
            if type(made) is tuple:
                now |= {id(old): n for old, n in zip(made, new, strict=True) if old}
            else:
                now[id(made)] = new
        if next(shapes, None) is not None:
            raise LookupError("another number of inputs")
        for value, dim, name, other, answer in self.guards:
            if type(other) is tuple:
                other = now[id(other[0])].sizes[other[1]]
            if getattr(now[id(value)].sizes[dim], name)(other) != answer:
                raise LookupError("the model looks at its sizes")
        return tuple(recorder.ops), [now[id(value)] for value in self.outputs]


# ---- the layers that networks are made of, without the way through torch ---------


def run_sequence(tracer, module, x):
    home, paths = tracer.path, tracer.paths
    for child in module._modules.values():
        shortcut = LEAVES.get(type(child).forward)
        if shortcut and child in paths and "forward" not in child.__dict__:
            tracer.path = paths[child]  # an error names it; `enter` puts it back
            answer = shortcut(tracer, child, x)
            if answer is not None:
                x = answer
                continue
        tracer.path = home
        x = tracer.enter(child, (x,), NOTHING) if child in paths else child(x)
    return x


def run_convolution(tracer, module, x):
    if type(x) is not ShapeValue or type(module) is not nn.Conv2d:
        return None
    if module._parameters.keys() != AFFINE:  # others are found behind `forward`
        return None
    weight, bias = module._parameters["weight"], module._parameters["bias"]
    if module.padding_mode != "zeros" or type(module.padding) is str:
        return None
    args = (
        tracer.parameters.get(id(weight)) or weight.shape,
        module.stride, module.padding, module.dilation, module.groups,
    )  # fmt: skip
    try:
        result = convolve(x, *args)
    except ShapeError as problem:
        raise tracer.error(str(problem)) from None
    counts = tracer.count(weight, bias)
    return tracer.record(result, (x,), counts, step=(convolve, args, None))


def run_norm(tracer, module, x):
    if type(module) is not nn.BatchNorm2d or type(x) is not ShapeValue:
        return None
    if module._parameters.keys() != AFFINE:
        return None
    sizes = x.sizes
    if len(sizes) != 4 or sizes[1] != module.num_features:
        return None  # torch and the rule say what is wrong
    weight, bias = module._parameters["weight"], module._parameters["bias"]
    return tracer.keep("batch_norm", x, tracer.count(weight, bias))


def run_relu(tracer, module, x):
    if type(x) is not ShapeValue or module._parameters:
        return None
    return tracer.keep("relu", x, in_place=module.inplace)


NOTHING = {}
AFFINE = {"weight", "bias"}  # what a leaf below counts itself
LEAVES = {
    nn.Conv2d.forward: run_convolution,
    nn.BatchNorm2d.forward: run_norm,
    nn.ReLU.forward: run_relu,
}
SHORTCUTS = {nn.Sequential.forward: run_sequence, **LEAVES}


def call_module(module, *args, **kwargs):
    """Stands in for `nn.Module._call_impl` while a trace runs in this thread.

    `__call__` leads there; itself it would be slow to change, since Python then
    asks every subclass of `nn.Module` that there is, in torchvision and all.
    """
    tracer = getattr(ACTIVE, "tracer", None)
    if tracer is None or module not in tracer.paths:
        return MODULE_CALL(module, *args, **kwargs)
    return tracer.enter(module, args, kwargs)


@contextmanager
def no_collection():
    """Without garbage collection: thousands of small values are made, none is
    garbage, and a large process would be searched for it again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def checked(shape):
    """The shape as a tuple of positive whole numbers, or a ValueError."""
    example = "pass something like (1, 3, 224, 224)"
    if isinstance(shape, torch.Tensor):
        sizes = tuple(shape.shape)
        raise ValueError(f"input_shape is a tensor; pass its shape, {sizes}")
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
        if isinstance(model, str):
            hint = f"; create_model({model!r}) makes one of a name"
        raise TypeError(f"trace takes an nn.Module, got {model!r}{hint}")
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError(
            f"trace runs a model's Python, which a {type(model).__name__} has no more; "
            "trace the model that it was made of"
        )
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    shapes = [checked(shape) for shape in (input_shape, *more_shapes)]
    tracer = Tracer(model)
    changes = []  # attributes, name, value for the run, value before
    for module in tracer.paths:
        own, compiled = module.__dict__, module._compiled_call_impl
        wanted = aux and not isinstance(module, KEEPS_EVAL)
        if module.training != wanted:
            changes.append((own, "training", wanted, module.training))
        if compiled is not None:  # by `Module.compile`
            changes.append((own, "_compiled_call_impl", None, compiled))
    with LOCK, torch.no_grad(), no_collection():
        try:
            for attributes, name, value, _ in changes:  # past __setattr__: it is slow
                attributes[name] = value
            nn.Module._call_impl = call_module
            ACTIVE.tracer = tracer
            inputs = [tracer.start(shape, dtype) for shape in shapes]
            with Aside(tracer):
                answer = model(*inputs)
        finally:
            ACTIVE.tracer = None
            nn.Module._call_impl = MODULE_CALL
            for attributes, name, _, value in changes:
                attributes[name] = value
    name = getattr(model, "name", None) or type(model).__name__
    outputs, ops = list(leaves(answer)), tuple(tracer.ops)
    options = {"aux": aux, "dtype": dtype}
    modules = {path: type(module) for module, path in tracer.paths.items()}
    recording = Recording(tracer.tape, tracer.guards, outputs, model, options)
    # Values hold their tracer: it lets go of the model, and of them.
    tracer.paths = tracer.parameters = tracer.ops = tracer.tape = None
    return Trace(name, shapes, ops, tracer.built, outputs, modules, recording)


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
