"""`trace(model, input_shape)`: one run of the model on shapes alone.

The model's own `forward` runs once with a `ShapeValue` in the place of the image:
nothing is computed, so Inception v4 takes about 5 ms. While it runs, every call of
a module and of a torch function leads to the `Tracer`, which writes down an `Op`
and answers with the next `ShapeValue`.
"""

import gc
import sys
import threading
from collections.abc import Iterable
from contextlib import contextmanager, nullcontext
from math import prod

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from inception_edu.cost.meta import (
    AtenCalls,
    field_after,
    map_leaves,
    run_on_meta,
    tensors_in,
)
from inception_edu.cost.restore import Snapshot
from inception_edu.cost.result import Op, Trace
from inception_edu.cost.rules import PRODUCTS, RULES, Result, convolve
from inception_edu.cost.shapes import (
    ACTIVE,
    ShapeError,
    ShapeValue,
    Span,
    flatten_arguments,
    shape_value,
)
from inception_edu.text import dims

KEEPS_EVAL = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)
LOCK = threading.RLock()
MODULE_CALL = nn.Module._call_impl
LAZY = nn.parameter.UninitializedTensorMixin  # its metaclass is C's: quick to ask
FREE = RULES.keys() - PRODUCTS.keys() | {"get", "view", "reshape", "arange", "zeros"}
SCRIPTED = (torch.jit.ScriptFunction, torch._C.ScriptMethod)


class Tracer:
    """Writes an `Op` for every torch function that the model calls."""

    def __init__(self, model):
        self.device, self.path, self.ops = torch.device("cpu"), "", []
        self.field = self.window = None  # the last receptive field, and its extent
        self.paths = {}  # module -> path
        self.visit(model, "")
        # Shapes by id, so that shared ones count once; read here, since a parameter
        # that is asked while the model runs tells `EveryCall`.
        self.parameters, self.counted = {}, set()
        self.alive = []  # what is known by id must not go
        for module in self.paths:
            for parameter in module._parameters.values():
                if parameter is not None and id(parameter) not in self.parameters:
                    if isinstance(parameter, LAZY):
                        raise ValueError(
                            "the model has lazy layers without weights; run it once "
                            "on a real input, then trace it"
                        )
                    self.parameters[id(parameter)] = parameter.shape
                    self.alive.append(parameter)
        self.built = sum([shape.numel() for shape in self.parameters.values()])
        if self.alive:
            self.device = self.alive[0].device
        self.written = {}  # id of a real tensor that was written to -> its ShapeValue
        self.shortcuts = {} if hooks_of_all() else SHORTCUTS
        self.snapshot = Snapshot(self.paths)

    def visit(self, module, path):
        """Every module below, once, in the order of `named_modules`."""
        self.paths[module] = path
        for name, child in module._modules.items():
            if child is None or child in self.paths:
                continue
            if name == "_orig_mod":  # what torch.compile wraps keeps its place
                self.visit(child, path)
            else:
                self.visit(child, f"{path}.{name}" if path else name)

    def error(self, message):
        place = f"in {self.path}: " if self.path else ""
        return ShapeError(place + message)

    # ---- operations -------------------------------------------------------------

    def input(self, shape, dtype):
        field = None
        if len(shape) == 4:
            field = (Span(2, 0, 0, 1), Span(3, 0, 0, 1))
        self.add_op(Result("input", shape, field, view=True), ())
        return shape_value(shape, len(self.ops) - 1, field, dtype, self.device)

    def add_op(self, result, values, counts=(0, 0), new_bytes=0, known=True, path=None):
        """Append the `Op` of a result that was made from `values`."""
        kind, shape, field, macs, kernel, stride, padding, dilation, groups, _ = result
        if len(values) == 1:  # most there are
            x = values[0]
            in_shapes, inputs = (x.sizes,), (source(x),)
        else:
            in_shapes = tuple([value.sizes for value in values])
            inputs = tuple([source(value) for value in values])
        path = self.path if path is None else path
        seen = self.extent(field)
        op = Op(
            len(self.ops), path, kind, kernel, stride, padding, dilation, groups,
            in_shapes, shape, counts[0], macs, new_bytes, seen, inputs, known,
            counts[1],
        )  # fmt: skip
        self.ops.append(op)

    def record(self, result, values, counts=(0, 0), in_place=False):
        """The `Op` of a rule's result, and the `ShapeValue` that it gives."""
        x = values[0]
        if in_place:
            self.add_op(result, values, counts)
            self.overwrite(x, len(self.ops) - 1, result.field)
            return x
        shape, dtype, base, new_bytes = result.shape, x.dtype, None, 0
        if result.view:
            base = x if x.base is None else x.base
        else:
            new_bytes = prod(shape) * dtype.itemsize
        self.add_op(result, values, counts, new_bytes)
        index = len(self.ops) - 1
        return shape_value(shape, index, result.field, dtype, self.device, base)

    def record_same(self, kind, x, counts=(0, 0), in_place=False):
        """`record`, for what leaves its one input's shape and field: most there are."""
        ops, sizes, dtype = self.ops, x.sizes, x.dtype
        index, inputs = len(ops), (source(x),)
        if in_place:
            new_bytes = 0
            self.overwrite(x, index, x.field)
        else:
            new_bytes = prod(sizes) * dtype.itemsize
            x = shape_value(sizes, index, x.field, dtype, self.device)
        op = Op(
            index, self.path, kind, None, None, None, None, 1, (sizes,), sizes,
            counts[0], 0, new_bytes, self.extent(x.field), inputs, True, counts[1],
        )  # fmt: skip
        ops.append(op)
        return x

    def extent(self, field):
        """Height and width of a field in input pixels; the last answer is kept."""
        if field is not self.field:
            self.field = field
            self.window = field and tuple([s.high - s.low + 1 for s in field])
        return self.window

    def overwrite(self, value, index, field=None):
        """`value`, and what it is a view of, now come from operation `index`."""
        value.op, value.field = index, field
        if value.base is not None:
            value.base.op = index

    def count(self, *parameters):
        """`(params, weights)` of an operation: those new to the run, and all."""
        params = weights = 0
        for parameter in parameters:
            if parameter is not None:
                own = id(parameter)
                shape = self.parameters.get(own)
                if shape is None:  # made while the model ran
                    shape = self.parameters[own] = parameter.shape
                    self.alive.append(parameter)
                weights += shape.numel()
                if own not in self.counted:
                    self.counted.add(own)
                    params += shape.numel()
        return params, weights

    def used_parameters(self, leaves):
        """The parameters among a call's arguments."""
        return [
            leaf
            for leaf in leaves
            if type(leaf) is nn.Parameter or id(leaf) in self.parameters
        ]

    # ---- calls of torch functions -----------------------------------------------

    def call(self, function, args, kwargs):
        """The answer to a torch function that was given a `ShapeValue`."""
        name = getattr(function, "__name__", "")
        if name in ("__get__", "__set__") or isinstance(function, SCRIPTED):
            # A property such as `device`, or code without Python: what is an
            # operation in it comes back by `ShapeValue.__torch_dispatch__`.
            with torch._C.DisableTorchFunction():
                return function(*args, **kwargs)
        if self.written:
            args, kwargs = map_leaves(self.current, (args, kwargs))
        if "input" in kwargs:  # torch's name for what comes first
            kwargs = dict(kwargs)
            args = (kwargs.pop("input"), *args)
        rule = RULES.get(name.strip("_"))
        if rule is None or "out" in kwargs:
            return self.ask_torch(function, args, kwargs)
        result = self.apply(rule, args, kwargs)
        if result is None:
            return self.ask_torch(function, args, kwargs)
        leaves = flatten_arguments(args, kwargs)
        values = [leaf for leaf in leaves if type(leaf) is ShapeValue]
        in_place = kwargs.get("inplace") is True or changes_its_input(name)
        if in_place and type(args[0]) is not ShapeValue:
            return self.ask_torch(function, args, kwargs)
        counts = self.count(*self.used_parameters(leaves))
        return self.record(result, values, counts, in_place)

    def apply(self, rule, args, kwargs):
        """A rule's result; None where the call has another form than the rule."""
        try:
            return rule(*args, **kwargs)
        except ShapeError as problem:
            error = self.error(str(problem))
            error.reads = sources_of(args, kwargs)
            raise error from None
        except TypeError:  # arguments by a name that the rule does not know
            return None

    def current(self, leaf):
        """What stands for a real tensor since a `ShapeValue` was written into it."""
        value = self.written.get(id(leaf))
        if value is None and self.is_written(leaf):
            base = self.written[id(leaf._base)]
            value = self.stand_in(leaf, base.op, base)
        return leaf if value is None else value

    def is_written(self, leaf):
        if id(leaf) in self.written:
            return True
        is_real = isinstance(leaf, torch.Tensor) and type(leaf) is not ShapeValue
        return is_real and leaf._base is not None and id(leaf._base) in self.written

    def stand_in(self, real, index, base=None):
        """A `ShapeValue` in the place of a real tensor from now on."""
        value = shape_value(
            tuple(real.shape), index, None, real.dtype, self.device, base
        )
        self.written[id(real)] = value
        self.alive.append(real)
        return value

    def ask_torch(self, function, args, kwargs):
        """The answer of a function without a rule, from torch's meta device."""
        packet = getattr(function, "_overloadpacket", function)
        name = packet.__name__.strip("_")
        leaves = flatten_arguments(args, kwargs)
        values = [leaf for leaf in leaves if type(leaf) is ShapeValue]
        try:
            answer = run_on_meta(function, name, args, kwargs)
        except Exception as problem:
            try:  # where a real index or mask tells the shape
                answer = run_on_meta(function, name, args, kwargs, keep_indices=True)
            except Exception:
                raise self.refusal(name, values, problem) from problem
        tree, calls, stand_ins, sources = answer
        made = tensors_in(tree)
        changed = [sources[id(meta)] for meta in made if id(meta) in sources]
        written = any(call._schema.is_mutable for call in calls.calls)
        if name == "setitem":
            changed = [args[0]]
        elif not made or (len(changed) == len(made) and not written):
            return map_leaves(lambda leaf: sources.get(id(leaf), leaf), tree)
        shape = tuple(made[0].shape if made else changed[0].shape)
        storages = {storage_of(meta): sources[id(meta)] for meta in stand_ins}
        bases = {id(meta): storages.get(storage_of(meta)) for meta in made}
        fresh = [meta for meta in made if bases[id(meta)] is None]
        new_bytes = sum(meta.numel() * meta.dtype.itemsize for meta in fresh)
        field = field_after(name, calls, values, args, kwargs, shape)
        kind = "cat" if name.endswith("stack") and "cat" in calls.names else name
        result = Result(kind, shape, field, calls.macs)
        counts = self.count(*self.used_parameters(leaves))
        self.add_op(result, values, counts, new_bytes, calls.known)
        if changed and written:
            self.write(changed[0], field)
        index = len(self.ops) - 1

        def to_value(leaf):
            if id(leaf) in sources:
                return self.current(sources[id(leaf)])
            if id(leaf) not in bases:
                return leaf
            base, sizes = self.current(bases[id(leaf)]), tuple(leaf.shape)
            base = base if getattr(base, "base", None) is None else base.base
            return shape_value(
                sizes, index, field if sizes == shape else None, leaf.dtype,
                self.device, base if type(base) is ShapeValue else None,
            )  # fmt: skip

        return map_leaves(to_value, tree)

    def write(self, tensor, field):
        """`tensor` was changed in place by the last operation."""
        index = len(self.ops) - 1
        if type(tensor) is ShapeValue:
            self.overwrite(tensor, index, field)
        elif tensor._base is None:
            self.stand_in(tensor, index)
        else:
            self.stand_in(tensor, index, self.stand_in(tensor._base, index))

    def refusal(self, name, values, problem):
        shapes = ", ".join(dims(value.sizes) for value in values)
        if isinstance(problem, NotImplementedError) or "meta" in str(problem):
            return self.error(
                "the model looks at values, and a trace has only shapes "
                f"({name} of {shapes})"
            )
        return self.error(f"{name} does not take {shapes}: {problem}")

    def without_input(self, function, args, kwargs):
        """What the model computes from weights alone: a position bias, say.

        The run does it all the same, so its products and parameters count.
        """
        name = function.__name__
        if changes_its_input(name) or name == "__setitem__" or "out" in kwargs:
            for tensor in (kwargs.get("out"), *args[:1]):
                if isinstance(tensor, torch.Tensor):
                    self.snapshot.before_change(tensor)
            return function(*args, **kwargs)
        bare = name.strip("_")
        rule = PRODUCTS.get(bare)
        result = rule and self.apply(rule, args, kwargs)
        calls = nullcontext() if result or bare in FREE else AtenCalls()
        with calls:
            answer = function(*args, **kwargs)
        made = [a for a in flatten_arguments((answer,)) if isinstance(a, torch.Tensor)]
        if not made:  # a size, a type: nothing is computed
            return answer
        if result is None:
            macs = getattr(calls, "macs", 0)
            result = Result(bare, tuple(made[0].shape), None, macs)
        used = self.used_parameters(flatten_arguments(args, kwargs))
        if result.macs:
            new_bytes = prod(result.shape) * made[0].dtype.itemsize
            self.add_op(result, (), self.count(*used), new_bytes)
            return answer
        for parameter in used:
            if id(parameter) not in self.counted:
                self.add_parameter(parameter, self.names().get(id(parameter), ""))
        return answer

    def names(self):
        """The path of every parameter, by id."""
        return {
            id(parameter): f"{path}.{name}" if path else name
            for module, path in self.paths.items()
            for name, parameter in module._parameters.items()
        }

    def add_parameter(self, parameter, path):
        counts = self.count(parameter)
        shape = tuple(self.parameters[id(parameter)])
        self.add_op(Result("parameter", shape), (), counts, path=path)

    # ---- calls of modules ----------------------------------------------------------

    def enter(self, module, args, kwargs):
        """Run a module, with its hooks; what it computes gets its path."""
        before, self.path = self.path, self.path_of(module)
        own = module.__dict__
        try:
            shortcut = self.shortcuts.get(getattr(type(module), "forward", None))
            if shortcut and len(args) == 1 and not (kwargs or is_changed(own)):
                answer = shortcut(self, module, args[0])
                if answer is not None:
                    if shortcut is run_sequence:
                        self.count_rest(module)
                    return answer
            if "_orig_mod" in module._modules:  # what torch.compile wraps
                return module._modules["_orig_mod"](*args, **kwargs)
            answer = MODULE_CALL(module, *args, **kwargs)
            self.count_rest(module)
            return answer
        except Exception as problem:
            if not hasattr(problem, "module_path"):
                problem.module_path = self.path
                problem.add_note(f"raised in module {self.path or '(the model)'}")
                problem.given = sources_of(args, kwargs)
            raise
        finally:
            self.path = before

    def path_of(self, module):
        path = self.paths.get(module)
        if path is None:  # made while the model ran
            for parent, place in list(self.paths.items()):
                for name, child in parent._modules.items():
                    if child is module:
                        self.visit(module, f"{place}.{name}" if place else name)
                        return self.paths[module]
            name = type(module).__name__
            path = f"{self.path}.{name}" if self.path else name
            self.visit(module, path)
        return path

    def count_rest(self, module):
        """The parameters no operation was given, such as a ViT's class token."""
        own = module._parameters
        if isinstance(module, torch.jit.ScriptModule):
            own = dict(module.named_parameters())
        for name, parameter in own.items():
            if parameter is not None and id(parameter) not in self.counted:
                path = f"{self.path}.{name}" if self.path else name
                self.add_parameter(parameter, path)


def storage_of(tensor):
    return tensor.untyped_storage()._cdata


def source(value):
    """The operation that wrote a value last, through what it is a view of as well."""
    return value.op if value.base is None else max(value.op, value.base.op)


def changes_its_input(name):
    """Whether torch's name of a function says that it works in place."""
    return name.startswith("__i") if name.startswith("__") else name.endswith("_")


class EveryCall(TorchFunctionMode):
    """Shows the tracer every torch call, those without a `ShapeValue` too."""

    def __init__(self, tracer):
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, tracer = kwargs or {}, self.tracer
        if ShapeValue in types:
            return tracer.call(function, args, kwargs)
        if tracer.written and any(
            map(tracer.is_written, flatten_arguments(args, kwargs))
        ):
            return tracer.call(function, args, kwargs)
        return tracer.without_input(function, args, kwargs)


def hooks_of_all():
    """Hooks that torch calls for every module there is."""
    every = nn.modules.module
    return every._global_forward_hooks or every._global_forward_pre_hooks


# ---- the layers that networks are made of, without the way through torch ---------


def is_changed(own):
    """Whether a module has hooks, or a forward of its own in its `__dict__`."""
    return own["_forward_hooks"] or own["_forward_pre_hooks"] or "forward" in own


def run_sequence(tracer, module, x):
    home, paths = tracer.path, tracer.paths
    for child in module._modules.values():
        shortcut = tracer.shortcuts.get(getattr(type(child), "forward", None))
        if shortcut and child in paths:
            if shortcut is run_sequence:
                x = tracer.enter(child, (x,), NOTHING)
                continue
            own = child.__dict__
            if not (
                own["_forward_hooks"] or own["_forward_pre_hooks"] or "forward" in own
            ):
                tracer.path = paths[child]  # an error names it; `enter` puts it back
                answer = shortcut(tracer, child, x)
                if answer is not None:
                    x = answer
                    continue
        tracer.path = home
        x = child(x)
    return x


def run_convolution(tracer, module, x):
    if type(x) is not ShapeValue or type(module) is not nn.Conv2d:
        return None
    own = module._parameters
    if own.keys() != AFFINE:  # others are found behind `forward`
        return None
    weight, bias = own["weight"], own["bias"]
    if module.padding_mode != "zeros" or type(module.padding) is str:
        return None
    try:
        result = convolve(
            x.sizes, x.field, tracer.parameters.get(id(weight)) or weight.shape,
            module.stride, module.padding, module.dilation, module.groups,
        )  # fmt: skip
    except ShapeError as problem:
        raise tracer.error(str(problem)) from None
    return tracer.record(result, (x,), tracer.count(weight, bias))


def run_norm(tracer, module, x):
    if type(module) is not nn.BatchNorm2d or type(x) is not ShapeValue:
        return None
    own, sizes = module._parameters, x.sizes
    if own.keys() != AFFINE or len(sizes) != 4 or sizes[1] != module.num_features:
        return None  # torch and the rule say what is wrong
    return tracer.record_same("batch_norm", x, tracer.count(own["weight"], own["bias"]))


def run_relu(tracer, module, x):
    if type(x) is not ShapeValue or module._parameters:
        return None
    return tracer.record_same("relu", x, in_place=module.inplace)


AFFINE = {"weight", "bias"}  # what a leaf below counts itself
NOTHING = {}
SHORTCUTS = {
    nn.Sequential.forward: run_sequence,
    nn.Conv2d.forward: run_convolution,
    nn.BatchNorm2d.forward: run_norm,
    nn.ReLU.forward: run_relu,
}


# ---- the run -------------------------------------------------------------------------


def call_module(module, *args, **kwargs):
    """Stands in for `nn.Module._call_impl` while a trace runs in this thread.

    `__call__` leads there; itself it would be slow to change, since Python then
    asks every subclass of `nn.Module` that there is, in torchvision and all.
    """
    tracer = getattr(ACTIVE, "tracer", None)
    if tracer is None:
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


def no_compiling():
    """Functions that torch.compile made run as the Python that they came from."""
    if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
        return torch.compiler.set_stance("force_eager")
    return nullcontext()


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

    Takes any `nn.Module`, on any device, hooks included, and leaves it as it was;
    layers that its forward makes stay, as after a real call. Several inputs are
    several shapes. The model runs as in eval mode; `aux=True` counts what runs only
    in training too, such as auxiliary heads. `dtype` is the element type of the
    inputs. Raises ValueError for what is not a shape, TypeError for what is not a
    module, ShapeError with the module's path where shapes do not fit; the model's
    own errors come through with a note of the path. Operations whose MACs nobody
    has a formula for are in `Trace.unknown`.
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
    with LOCK, torch.no_grad(), no_collection(), no_compiling():
        return run(model, shapes, aux, dtype)


def run(model, shapes, aux, dtype):
    """The `Trace` of one call of the model, which is put back afterwards."""
    tracer, random = Tracer(model), torch.get_rng_state()
    outer = getattr(ACTIVE, "tracer", None)
    try:
        for module in tracer.paths:  # past __setattr__: it is slow
            own = module.__dict__
            own["training"] = aux and not isinstance(module, KEEPS_EVAL)
            own["_compiled_call_impl"] = None  # by `Module.compile`
        nn.Module._call_impl = call_module
        ACTIVE.tracer = tracer
        inputs = [tracer.input(shape, dtype) for shape in shapes]
        with EveryCall(tracer):
            answer = model(*inputs)
    except Exception as problem:  # a diagram is drawn up to here
        problem.trace = Trace(
            name_of(model), shapes, tuple(tracer.ops), tracer.built, []
        )
        raise
    finally:
        ACTIVE.tracer = outer
        nn.Module._call_impl = MODULE_CALL if outer is None else call_module
        grown = tracer.snapshot.restore()
        torch.set_rng_state(random)
    built = tracer.built
    if grown:
        built = sum(parameter.numel() for parameter in model.parameters())
    outputs = [tracer.current(value) for value in leaves_of(answer)]
    outputs = [value for value in outputs if type(value) is ShapeValue]
    return Trace(name_of(model), shapes, tuple(tracer.ops), built, outputs)


def name_of(model):
    return getattr(model, "name", None) or type(model).__name__


def sources_of(args, kwargs):
    """The operations whose outputs are among these arguments."""
    leaves = flatten_arguments(args, kwargs)
    return tuple([leaf.op for leaf in leaves if type(leaf) is ShapeValue])


def leaves_of(answer):
    """Every value in what a model returns: tensors, tuples, dicts, dataclasses."""
    if isinstance(answer, torch.Tensor):
        yield answer
    elif isinstance(answer, dict):
        for item in answer.values():
            yield from leaves_of(item)
    elif isinstance(answer, (list, tuple)):
        for item in answer:
            yield from leaves_of(item)
    elif hasattr(answer, "__dataclass_fields__"):
        yield from leaves_of(vars(answer))
