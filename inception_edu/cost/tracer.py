"""The `Tracer`: one run of a model on shapes alone, written down as operations.

The model's own `forward` runs once with a `ShapeValue` in place of the image:
nothing is computed, so Inception v4 takes about 5 ms. While it runs, every call of
a module and of a torch function leads to the `Tracer`, which writes down an `Op`
and answers with the next `ShapeValue`.
"""

from functools import lru_cache
from math import prod

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

from inception_edu.cost.meta import AtenCalls, field_after, run_on_meta
from inception_edu.cost.restore import Snapshot
from inception_edu.cost.result import Op
from inception_edu.cost.rules import RULES, Result
from inception_edu.cost.shapes import (
    ShapeError,
    ShapeValue,
    Span,
    flatten_arguments,
    storage_of,
)
from inception_edu.cost.shortcuts import SHORTCUTS, run_sequence
from inception_edu.modules import is_bare, refuse_lazy
from inception_edu.text import dims

MODULE_CALL = nn.Module._call_impl
WITHOUT_MEMORY = torch.Tensor._make_wrapper_subclass
KEEPS_EVAL = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)
LAZY = nn.modules.lazy.LazyModuleMixin
KINDS = {"scaled_dot_product_attention": "attention"}
SETTERS = {"__setitem__", "__set__"}  # of values, and of attributes such as `data`
in_transform = torch._C._functorch.peek_interpreter_stack
SET_DATA = torch.Tensor.data.__set__
SCRIPTED = (torch.jit.ScriptFunction, torch._C.ScriptMethod)


class Tracer:
    """Writes an `Op` for every torch function that the model calls."""

    def __init__(self, model, aux):
        self.model, self.device, self.path = model, torch.device("cpu"), ""
        self.ops, self.paths = [], {}  # `paths`: of every module
        # Shapes and sizes by id, so that shared ones count once; read here, since a
        # parameter that is asked while the model runs tells `EveryCall`.
        self.parameters, self.uncounted = {}, {}
        self.alive = []  # what is known by id must not go
        self.mode, self.snapshot = aux, Snapshot()
        self.written = {}  # storage of real tensors written to -> a ShapeValue
        every = nn.modules.module  # hooks that torch calls for every module there is
        hooked = every._global_forward_hooks or every._global_forward_pre_hooks
        self.shortcuts = {} if hooked else SHORTCUTS

    def begin(self):
        """Note the whole model, and set its mode."""
        self.visit(self.model, "")
        self.snapshot.begin()
        self.built = sum(self.uncounted.values())
        if self.alive:
            self.device = self.alive[0].device

    def visit(self, module, path):
        """Note a module, its parameters, and once every module below."""
        self.paths[module] = path
        if isinstance(module, LAZY):
            refuse_lazy(self.model)
        self.snapshot.keep_module(module)
        own = module.__dict__
        own["training"] = self.mode and not isinstance(module, KEEPS_EVAL)
        own["_compiled_call_impl"] = None  # by `Module.compile`
        for parameter in module._parameters.values():
            if parameter is not None and id(parameter) not in self.parameters:
                self.add_parameter(parameter)
        above = path and path + "."
        for name, child in module._modules.items():
            if child is not None and child not in self.paths:
                # What torch.compile wraps keeps its place.
                self.visit(child, path if name == "_orig_mod" else above + name)

    def add_parameter(self, parameter):
        shape = self.parameters[id(parameter)] = parameter.shape
        self.uncounted[id(parameter)] = shape.numel()
        self.alive.append(parameter)

    def error(self, message):
        place = f"in {self.path}: " if self.path else ""
        return ShapeError(place + message)

    # ---- operations -------------------------------------------------------------

    def input(self, shape, dtype):
        field = None
        if len(shape) == 4:
            field = (Span(2, 0, 0, 1), Span(3, 0, 0, 1))
        self.add_op(Result("input", shape, field), ())
        return self.value(shape, field, dtype)

    def add_op(self, result, values, params=0, new_bytes=0, known=True, path=None):
        """Append the `Op` of a result that was made from `values`."""
        if len(values) == 1:  # most there are
            in_shapes, inputs = (values[0].sizes,), (source(values[0]),)
        else:
            in_shapes = tuple([value.sizes for value in values])
            inputs = tuple([source(value) for value in values])
        op = Op(
            len(self.ops),
            self.path if path is None else path,
            result.kind,
            result.out_shape,
            extent(result.field),
            result.macs,
            result.kernel,
            result.stride,
            result.padding,
            result.dilation,
            result.groups,
            result.constant,
            in_shapes,
            inputs,
            params,
            new_bytes,
            known,
        )
        self.ops.append(op)

    def record(self, result, values, params=0, in_place=False):
        """The `Op` of a rule's result, and the `ShapeValue` that it gives."""
        x, shape, field, base = values[0], result.out_shape, result.field, None
        if in_place:
            self.add_op(result, values, params)
            self.overwrite(x, field)
            return x
        new_bytes = 0 if result.view else prod(shape) * x.dtype.itemsize
        if result.view:
            base = x if x.base is None else x.base
        self.add_op(result, values, params, new_bytes)
        return self.value(shape, field, x.dtype, base)

    def value(self, sizes, field, dtype, base=None):
        """What the last operation gave, as a `ShapeValue`."""
        if dtype is torch.float32:  # torch's own default: half the time
            value = WITHOUT_MEMORY(ShapeValue, sizes)
        else:
            value = WITHOUT_MEMORY(ShapeValue, sizes, dtype=dtype)
        value.sizes, value.field, value.base = sizes, field, base
        value.op, value.dtype, value.device = len(self.ops) - 1, dtype, self.device
        return value

    def overwrite(self, value, field):
        """`value`, and what it is a view of, now come from the last operation."""
        value.op, value.field = len(self.ops) - 1, field
        if value.base is not None:
            value.base.op = value.op

    def count(self, *parameters):
        """The elements of those that are new to the run."""
        elements = 0
        for parameter in parameters:
            if parameter is not None:
                if id(parameter) not in self.parameters:  # made while the model ran
                    self.add_parameter(parameter)
                elements += self.uncounted.pop(id(parameter), 0)
        return elements

    def used_parameters(self, leaves):
        """The parameters among a call's arguments."""
        own = self.parameters
        return [v for v in leaves if type(v) is nn.Parameter or id(v) in own]

    # ---- calls of torch functions -----------------------------------------------

    def call(self, function, args, kwargs):
        """The answer to a torch function that was given a `ShapeValue`."""
        name = getattr(function, "__name__", "")
        past_python = isinstance(function, SCRIPTED) or in_transform() is not None
        if past_python or name in ("__get__", "__set__"):
            # A property such as `device`, scripted code, a call in torch.func.grad:
            # what is an operation in it comes back by `ShapeValue.__torch_dispatch__`.
            with torch._C.DisableTorchFunction():
                return function(*args, **kwargs)
        if self.written:
            args, kwargs = tree_map(self.current, (args, kwargs))
        rule, result = RULES.get(name.strip("_")), None
        if rule is not None and "out" not in kwargs:
            result = self.apply(rule, args, kwargs)
        in_place = kwargs.get("inplace") is True or changes_its_input(name)
        if result is None or (in_place and type(args[0]) is not ShapeValue):
            return self.ask_torch(function, args, kwargs)
        leaves = flatten_arguments((*args, *kwargs.values()))
        values = [leaf for leaf in leaves if type(leaf) is ShapeValue]
        params = self.count(*self.used_parameters(leaves))
        return self.record(result, values, params, in_place)

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
        if isinstance(leaf, torch.Tensor) and type(leaf) is not ShapeValue:
            base, sizes = self.written.get(storage_of(leaf)), tuple(leaf.shape)
            if base is not None and sizes == base.sizes:
                return base
            if base is not None:
                leaf = self.value(sizes, None, leaf.dtype, base)
                leaf.op = base.op
        return leaf

    def ask_torch(self, function, args, kwargs):
        """The answer of a function without a rule, from torch's meta device."""
        name = getattr(function, "_overloadpacket", function).__name__.strip("_")
        out = kwargs.get("out")  # is only written to
        leaves = flatten_arguments((*args, *kwargs.values()))
        values = [v for v in leaves if type(v) is ShapeValue and v is not out]
        try:
            answer, calls, pairs = run_on_meta(function, name, args, kwargs)
        except Exception as problem:
            try:  # where a real index or mask tells the shape
                answer, calls, pairs = run_on_meta(function, name, args, kwargs, True)
            except Exception:
                raise self.refusal(name, values, problem) from problem
        given = {id(meta): tensor for meta, tensor in pairs}
        owners = {storage_of(meta): tensor for meta, tensor in pairs}
        made = [leaf for leaf in tree_leaves(answer) if is_on_meta(leaf)]
        changed = [given[id(meta)] for meta in made if id(meta) in given]
        written = any(call._schema.is_mutable for call in calls.calls)
        if name == "setitem":
            changed = [args[0]]
        elif not made or (len(changed) == len(made) and not written):
            return tree_map(lambda leaf: given.get(id(leaf), leaf), answer)
        shape = tuple(made[0].shape if made else changed[0].shape)
        whole = changed[0]._base if changed else None
        if whole is not None and name in ("copy", "setitem"):  # `x[:, :8].copy_(y)`
            name, shape = "setitem", tuple(whole.shape)
        field = field_after(calls, values, shape)
        fresh = [meta for meta in made if storage_of(meta) not in owners]
        new_bytes = sum(meta.numel() * meta.dtype.itemsize for meta in fresh)
        kind = "cat" if name.endswith("stack") and "cat" in calls.names else name
        params = self.count(*self.used_parameters(leaves))
        result = Result(KINDS.get(kind, kind), shape, field, calls.macs)
        self.add_op(result, values, params, new_bytes, calls.known)
        if changed and written:
            self.write(changed[0], field)

        def to_value(leaf):
            if id(leaf) in given:
                return self.current(given[id(leaf)])
            if not is_on_meta(leaf):
                return leaf
            base = self.current(owners.get(storage_of(leaf)))
            base = base if type(base) is ShapeValue else None
            if base is not None and base.base is not None:
                base = base.base
            sizes = tuple(leaf.shape)
            seen = field if sizes == shape else None
            return self.value(sizes, seen, leaf.dtype, base)

        return tree_map(to_value, answer)

    def write(self, tensor, field):
        """`tensor` was changed in place by the last operation."""
        if type(tensor) is ShapeValue:
            self.overwrite(tensor, field)
        else:
            whole = tensor if tensor._base is None else tensor._base
            self.stand_in(whole, self.value(tuple(whole.shape), None, whole.dtype))

    def stand_in(self, real, value):
        """`value` is what a real tensor holds from now on."""
        self.written[storage_of(real)] = value
        self.alive += real, real.detach()  # which keeps its memory, too

    def refusal(self, name, values, problem):
        shapes = ", ".join(dims(value.sizes) or "a number" for value in values)
        if name in ("grad", "backward"):
            return self.error(
                f"{name} finds no gradients, since a trace has only shapes; what "
                "torch.func.grad differentiates can be traced"
            )
        operator, _, _ = str(problem).partition(": ")
        if "::" in operator and "aten" not in operator:
            return self.error(
                f"{operator} does not tell its shapes; give it a function that "
                "does, with torch.library.register_fake"
            )
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
        if function == SET_DATA and type(args[1]) is ShapeValue:
            if args[0].shape == args[1].shape:
                return self.stand_in(*args)
            raise self.error("a trace cannot give `.data` another shape")
        if changes_its_input(name) or name in SETTERS or "out" in kwargs:
            for tensor in (kwargs.get("out"), *args[:1]):
                if isinstance(tensor, torch.Tensor):
                    self.snapshot.before_change(tensor)
            return function(*args, **kwargs)
        before = len(self.ops)
        with AtenCalls() as calls:
            answer = function(*args, **kwargs)
        made = [a for a in flatten_arguments((answer,)) if isinstance(a, torch.Tensor)]
        if not made:  # a size, a type: nothing is computed
            return answer
        used = self.used_parameters(flatten_arguments((*args, *kwargs.values())))
        if calls.macs and len(self.ops) == before:  # else a ShapeValue was inside
            result = Result(name.strip("_"), tuple(made[0].shape), None, calls.macs)
            new_bytes = prod(result.out_shape) * made[0].dtype.itemsize
            self.add_op(result, (), self.count(*used), new_bytes)
            return answer
        for parameter in used:
            named = self.model.named_parameters()
            path = next((name for name, own in named if own is parameter), "")
            self.use(parameter, path.replace("_orig_mod.", ""))
        return answer

    def use(self, parameter, path):
        """Count a parameter that no operation was given, unless one was before."""
        params = self.count(parameter)
        if params:
            shape = tuple(self.parameters[id(parameter)])
            self.add_op(Result("parameter", shape), (), params, path=path)

    # ---- calls of modules ----------------------------------------------------------

    def enter(self, module, args, kwargs):
        """Run a module, with its hooks; what it computes gets its path."""
        before, self.path = self.path, self.paths.get(module)
        if self.path is None:
            self.path = self.add_module(module, before)
        try:
            shortcut = self.shortcuts.get(getattr(type(module), "forward", None))
            plain = shortcut and len(args) == 1 and not kwargs and is_bare(module)
            if plain and not in_transform():
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

    def add_module(self, module, above):
        """The path of a module that was made while the model ran."""
        names = {child: name for name, child in self.model.named_modules()}
        name = f"{above}.{type(module).__name__}".strip(".")
        self.visit(module, names.get(module, name))
        return self.paths[module]

    def count_rest(self, module):
        """The parameters no operation was given, such as a ViT's class token."""
        own = module._parameters
        if isinstance(module, torch.jit.ScriptModule):
            own = dict(module.named_parameters())
        for name, parameter in own.items():
            if isinstance(parameter, nn.Parameter):
                self.use(parameter, f"{self.path}.{name}" if self.path else name)


@lru_cache(1024)
def extent(field):
    """How many pixels a receptive field has along each axis."""
    return field and tuple([span.high - span.low + 1 for span in field])


def is_on_meta(leaf):
    return isinstance(leaf, torch.Tensor) and leaf.is_meta


def source(value):
    """The operation that wrote a value last, through what it is a view of as well."""
    return value.op if value.base is None else max(value.op, value.base.op)


def changes_its_input(name):
    """Whether torch's name of a function says that it works in place."""
    return name.startswith("__i") if name.startswith("__") else name.endswith("_")


def sources_of(args, kwargs):
    """The operations whose outputs are among these arguments."""
    leaves = flatten_arguments((*args, *kwargs.values()))
    return tuple([leaf.op for leaf in leaves if type(leaf) is ShapeValue])
