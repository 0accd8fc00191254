"""The `Tracer`: one run of a model on shapes alone, written down as operations.

The model's own `forward` runs once with a `ShapeValue` in place of the image:
nothing is computed, so Inception v4 takes about 5 ms. While it runs, every call of
a module and of a torch function leads to the `Tracer`, which writes down an `Op`
and answers with the next `ShapeValue`.
"""

from math import prod

import torch
from torch import nn
from torch.utils._pytree import tree_map

from inception_edu.cost.meta import AtenCalls, MetaRun, is_on_meta
from inception_edu.cost.restore import Snapshot
from inception_edu.cost.result import PLACE, Op
from inception_edu.cost.rules import RULES
from inception_edu.cost.shapes import (
    ShapeError,
    ShapeValue,
    Span,
    flatten_arguments,
    root_of,
    storage_of,
)
from inception_edu.cost.shortcuts import SHORTCUTS
from inception_edu.modules import is_bare, refuse_lazy
from inception_edu.text import dims

MODULE_CALL = nn.Module._call_impl
WITHOUT_MEMORY = torch.Tensor._make_wrapper_subclass
KEEPS_EVAL = (nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd)
LAZY = nn.modules.lazy.LazyModuleMixin
SETTERS = {"__setitem__", "__set__"}  # of values, and of attributes such as `data`
SET_DATA = torch.Tensor.data.__set__
SCRIPT = torch.jit.ScriptModule
SCRIPTED = (torch.jit.ScriptFunction, torch._C.ScriptMethod)
in_transform = torch._C._functorch.peek_interpreter_stack


class Tracer:
    """Writes an `Op` for every torch function that the model calls."""

    def __init__(self, model, aux):
        self.model, self.aux = model, aux
        self.ops, self.paths = [], {}  # `paths`: of every module
        self.path, self.device = "", torch.device("cpu")
        # Shapes and sizes by id, so that shared ones count once; read at the start,
        # since asking a parameter while the model runs would be seen as a call.
        self.parameters, self.uncounted, self.built = {}, {}, 0
        self.alive = []  # what is known by id must not go
        self.written = {}  # storage of real tensors written to -> a ShapeValue
        self.snapshot = Snapshot()
        every = nn.modules.module  # hooks that torch calls for every module there is
        hooked = every._global_forward_hooks or every._global_forward_pre_hooks
        self.shortcuts = {} if hooked else SHORTCUTS

    def begin(self, shapes, dtype):
        """Read the whole model, and set its mode: the inputs as values."""
        self.visit(self.model, "")
        self.snapshot.begin()
        self.built = sum(self.uncounted.values())
        if self.alive:
            self.device = self.alive[0].device
        return [self.input(shape, dtype) for shape in shapes]

    def visit(self, module, path):
        """Note a module, its parameters, and once every module below."""
        self.paths[module] = path
        if isinstance(module, LAZY):
            refuse_lazy(self.model)
        self.snapshot.keep_module(module)
        own = vars(module)  # past __setattr__: it is slow
        own["training"] = self.aux and not isinstance(module, KEEPS_EVAL)
        if isinstance(module, SCRIPT):
            kind = getattr(nn, module.original_name, nn.Module)  # what was scripted
            self.snapshot.set_mode(
                module, self.aux and not issubclass(kind, KEEPS_EVAL)
            )
        if "_compiled_call_impl" in own:  # by `Module.compile`
            own["_compiled_call_impl"] = None
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
        spans = (Span(2, 0, 0, 1), Span(3, 0, 0, 1)) if len(shape) == 4 else None
        self.add_op(Op("input", shape, spans), ())
        return self.value(shape, spans, dtype)

    def add_op(self, op, values, params=0, new_bytes=0, path=None):
        """Append an operation that was made from `values`, with where it ran."""
        if len(values) == 1:  # most there are
            in_shapes, inputs = (values[0].sizes,), (source(values[0]),)
        else:
            in_shapes = tuple([value.sizes for value in values])
            inputs = tuple([source(value) for value in values])
        path = self.path if path is None else path
        place = len(self.ops), path, in_shapes, inputs, params, new_bytes
        self.ops.append(Op._make(op[:PLACE] + place))

    def answer(self, op, values, params=0, in_place=False):
        """Append a rule's operation: the `ShapeValue` that it gives."""
        x = values[0]
        if in_place:
            self.add_op(op, values, params)
            self.overwrite(x, op.spans)
            return x
        new_bytes = 0 if op.view else prod(op.out_shape) * x.dtype.itemsize
        self.add_op(op, values, params, new_bytes)
        base = root_of(x) if op.view else None
        return self.value(op.out_shape, op.spans, x.dtype, base)

    def value(self, sizes, spans, dtype, base=None):
        """What the last operation gave, as a `ShapeValue`."""
        if dtype is torch.float32:  # torch's own default: half the time
            value = WITHOUT_MEMORY(ShapeValue, sizes)
        else:
            value = WITHOUT_MEMORY(ShapeValue, sizes, dtype=dtype)
        value.sizes, value.spans, value._base = sizes, spans, base
        value.op, value.dtype, value.device = len(self.ops) - 1, dtype, self.device
        return value

    def overwrite(self, value, spans):
        """`value`, and what it is a view of, now come from the last operation."""
        value.op, value.spans = len(self.ops) - 1, spans
        root_of(value).op = value.op

    def count(self, *parameters):
        """The elements of those that are new to the run."""
        elements = 0
        for parameter in parameters:
            if parameter is not None:
                if id(parameter) not in self.parameters:  # made while the model ran
                    self.add_parameter(parameter)
                elements += self.uncounted.pop(id(parameter), 0)
        return elements

    def count_alone(self, parameter):
        """Count a parameter in an `Op` of its own, if no operation has used it."""
        params = self.count(parameter)
        if params:
            named = self.model.named_parameters()
            path = next((name for name, own in named if own is parameter), self.path)
            op = Op("parameter", tuple(self.parameters[id(parameter)]))
            self.add_op(op, (), params, path=path.replace("_orig_mod.", ""))

    def used_parameters(self, leaves):
        """The parameters among a call's arguments."""
        known = self.parameters
        return [v for v in leaves if type(v) is nn.Parameter or id(v) in known]

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
        op = self.apply_rule(name.strip("_"), args, kwargs)
        in_place = kwargs.get("inplace") is True or changes_its_input(name)
        if op is None or (in_place and type(args[0]) is not ShapeValue):
            return self.ask_torch(function, args, kwargs)
        leaves = flatten_arguments((*args, *kwargs.values()))
        values = [leaf for leaf in leaves if type(leaf) is ShapeValue]
        params = self.count(*self.used_parameters(leaves))
        return self.answer(op, values, params, in_place)

    def apply_rule(self, name, args, kwargs):
        """A rule's `Op`; None where there is no rule for such a call."""
        if name not in RULES or "out" in kwargs:
            return None
        try:
            return RULES[name](*args, **kwargs)
        except ShapeError as problem:
            error = self.error(str(problem))
            error.reads = sources_of(args, kwargs)
            raise error from None
        except TypeError:  # arguments by a name that the rule does not know
            return None

    def ask_torch(self, function, args, kwargs):
        """The answer of a function without a rule, from torch's meta device."""
        name = getattr(function, "_overloadpacket", function).__name__.strip("_")
        leaves = flatten_arguments((*args, *kwargs.values()))
        out = kwargs.get("out")  # is only written to
        values = [v for v in leaves if type(v) is ShapeValue and v is not out]
        run = self.run_on_meta(function, name, args, kwargs, values)
        changed = args[0] if name == "setitem" else run.changed
        shape = spans = None
        if changed is not None or run.new:  # else a size, or the input as it is
            shape = tuple(run.made[0].shape if run.made else changed.shape)
            base = None if changed is None else changed._base
            if name in ("copy", "setitem") and base is not None:
                name, shape = "setitem", tuple(base.shape)  # `x[0].copy_(y)`
            spans = run.spans_after(values, shape)
            params = self.count(*self.used_parameters(leaves))
            self.add_op(run.op(name, shape, spans), values, params, run.new_bytes)
        if changed is not None:
            self.write(changed, spans)

        def as_value(leaf):
            if id(leaf) in run.given:
                return self.current(run.given[id(leaf)])
            if not is_on_meta(leaf):
                return leaf
            owner = self.current(run.owners.get(storage_of(leaf)))
            base = root_of(owner) if type(owner) is ShapeValue else None
            sizes = tuple(leaf.shape)
            on_grid = spans if sizes == shape else None
            return self.value(sizes, on_grid, leaf.dtype, base)

        return tree_map(as_value, run.answer)

    def run_on_meta(self, function, name, args, kwargs, values):
        try:
            return MetaRun(function, name, args, kwargs)
        except Exception as problem:
            try:  # where a real index or mask tells the shape
                return MetaRun(function, name, args, kwargs, keep_indices=True)
            except Exception:
                raise self.refusal(name, values, problem) from problem

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

    # ---- real tensors ---------------------------------------------------------------

    def current(self, leaf):
        """What stands for a real tensor since a `ShapeValue` was written into it."""
        if isinstance(leaf, torch.Tensor) and type(leaf) is not ShapeValue:
            whole, sizes = self.written.get(storage_of(leaf)), tuple(leaf.shape)
            if whole is not None and sizes == whole.sizes:
                return whole
            if whole is not None:
                leaf = self.value(sizes, None, leaf.dtype, whole)
                leaf.op = whole.op
        return leaf

    def write(self, tensor, spans):
        """`tensor` was changed in place by the last operation."""
        if type(tensor) is ShapeValue:
            self.overwrite(tensor, spans)
        else:
            real = root_of(tensor)
            self.stand_in(real, self.value(tuple(real.shape), None, real.dtype))

    def stand_in(self, real, value):
        """`value` is what a real tensor holds from now on."""
        self.written[storage_of(real)] = value
        self.alive += real, real.detach()  # which keeps its memory, too

    def call_without_input(self, function, args, kwargs):
        """The answer to a torch function that was given real tensors alone."""
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
        return self.compute(function, name, args, kwargs)

    def compute(self, function, name, args, kwargs):
        """What the model computes from weights alone: a position bias, say.

        The run does it all the same, so its products and parameters count.
        """
        before = len(self.ops)
        with AtenCalls() as calls:
            answer = function(*args, **kwargs)
        made = [a for a in flatten_arguments((answer,)) if isinstance(a, torch.Tensor)]
        if not made:  # a size, a type: nothing is computed
            return answer
        used = self.used_parameters(flatten_arguments((*args, *kwargs.values())))
        if calls.macs and len(self.ops) == before:  # else a ShapeValue was inside
            op = Op(name.strip("_"), tuple(made[0].shape), macs=calls.macs)
            new_bytes = made[0].numel() * made[0].dtype.itemsize
            self.add_op(op, (), self.count(*used), new_bytes)
        for parameter in used:
            if id(parameter) in self.uncounted:  # not one that is made just now
                self.count_alone(parameter)
        return answer

    # ---- calls of modules ----------------------------------------------------------

    def enter(self, module, args, kwargs):
        """Run a module, with its hooks; what it computes gets its path."""
        before, self.path = self.path, self.paths.get(module)
        if self.path is None:
            self.path = self.add_module(module, before)
        try:
            return self.run_module(module, args, kwargs)
        except Exception as problem:
            if not hasattr(problem, "module_path"):
                problem.module_path = self.path
                problem.add_note(f"raised in module {self.path or '(the model)'}")
                problem.given = sources_of(args, kwargs)
            raise
        finally:
            self.path = before

    def run_module(self, module, args, kwargs):
        """The answer of a module, by a shortcut if there is one."""
        shortcut = self.shortcuts.get(getattr(type(module), "forward", None))
        plain = shortcut and len(args) == 1 and not kwargs and is_bare(module)
        if plain and not in_transform():
            answer = shortcut(self, module, args[0])
            if answer is not None:
                return answer
        if "_orig_mod" in module._modules:  # what torch.compile wraps
            return module._modules["_orig_mod"](*args, **kwargs)
        answer = MODULE_CALL(module, *args, **kwargs)
        self.count_rest(module)
        return answer

    def add_module(self, module, above):
        """The path of a module that was made while the model ran."""
        names = {child: name for name, child in self.model.named_modules()}
        name = f"{above}.{type(module).__name__}".strip(".")
        self.visit(module, names.get(module, name))
        return self.paths[module]

    def count_rest(self, module):
        """The parameters no operation was given, such as a ViT's class token."""
        own = module._parameters.values()
        if isinstance(module, SCRIPT):
            own = module.parameters()
        for parameter in own:
            if isinstance(parameter, nn.Parameter):
                self.count_alone(parameter)


def source(value):
    """The operation that wrote a value last, through what it is a view of as well."""
    return value.op if value._base is None else max(value.op, value._base.op)


def changes_its_input(name):
    """Whether torch's name of a function says that it works in place."""
    return name.startswith("__i") if name.startswith("__") else name.endswith("_")


def sources_of(args, kwargs):
    """The operations whose outputs are among these arguments."""
    leaves = flatten_arguments((*args, *kwargs.values()))
    return tuple([leaf.op for leaf in leaves if type(leaf) is ShapeValue])
