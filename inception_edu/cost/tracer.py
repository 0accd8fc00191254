"""The `Tracer`: one run of a model on shapes alone, written down as operations.

The model's own `forward` runs once with a `ShapeValue` in the place of the image:
nothing is computed, so Inception v4 takes about 5 ms. While it runs, every call of
a module and of a torch function leads to the `Tracer`, which writes down an `Op`
and answers with the next `ShapeValue`.
"""

from contextlib import nullcontext
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
from inception_edu.cost.result import Op
from inception_edu.cost.rules import PRODUCTS, RULES, Result
from inception_edu.cost.shapes import (
    ShapeError,
    ShapeValue,
    Span,
    flatten_arguments,
    shape_value,
)
from inception_edu.cost.shortcuts import SHORTCUTS, is_changed, run_sequence
from inception_edu.text import dims

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
        kind, shape, field, macs, kernel, stride, padding, dilation, groups = result[:9]
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
            counts[1], result.constant,
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


def sources_of(args, kwargs):
    """The operations whose outputs are among these arguments."""
    leaves = flatten_arguments(args, kwargs)
    return tuple([leaf.op for leaf in leaves if type(leaf) is ShapeValue])
