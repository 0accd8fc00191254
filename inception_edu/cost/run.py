"""`trace(model, input_shape)`: what a `Tracer` writes down while the model runs once.

Meanwhile every call of a module and of a torch function leads to the tracer. Afterwards
the model is as it was.
"""

import gc
import operator
import sys
import threading
from collections.abc import Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from inception_edu.cost.result import Trace
from inception_edu.cost.shapes import ACTIVE, ShapeValue, flatten_arguments
from inception_edu.cost.tracer import MODULE_CALL, Tracer
from inception_edu.modules import unwrapped
from inception_edu.text import printable

LOCK = threading.RLock()


def call_module(module, *args, **kwargs):
    """Stands in for `nn.Module._call_impl` while a trace runs in this thread.

    `__call__` leads there; itself it would be slow to change, since Python then
    asks every subclass of `nn.Module` that there is, in torchvision and all.
    """
    tracer = getattr(ACTIVE, "tracer", None)
    if tracer is None:
        return MODULE_CALL(module, *args, **kwargs)
    return tracer.enter(module, args, kwargs)


class EveryCall(TorchFunctionMode):
    """Shows the tracer every torch call, those without a `ShapeValue` too."""

    def __init__(self, tracer):
        super().__init__()
        self.tracer = tracer

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, tracer = kwargs or {}, self.tracer
        has_shapes = ShapeValue in types
        if tracer.written and not has_shapes:
            leaves = flatten_arguments((*args, *kwargs.values()))
            has_shapes = any(type(tracer.current(a)) is ShapeValue for a in leaves)
        call = tracer.call if has_shapes else tracer.call_without_input
        return call(function, args, kwargs)


@contextmanager
def no_collection():
    """Thousands of small values are made, none of them garbage."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def no_compiling():
    """Functions that torch.compile made run as the Python that they came from."""
    if "torch._dynamo" not in sys.modules:
        return nullcontext()
    if hasattr(torch.compiler, "set_stance"):  # torch 2.6 and later
        return torch.compiler.set_stance("force_eager")
    return torch._dynamo.config.patch(disable=True)


def checked(shape):
    """The shape as a tuple of positive whole numbers, or a ValueError."""
    if isinstance(shape, torch.Tensor):
        sizes = tuple(shape.shape)
        raise ValueError(f"input_shape is a tensor; pass its shape, {sizes}")
    try:
        sizes = tuple(operator.index(n) for n in shape)
    except TypeError:
        sizes = ()
    if not sizes or min(sizes) < 1:
        raise ValueError(
            f"input_shape={shape!r} must hold whole numbers of at least 1; pass "
            "something like (1, 3, 224, 224)"
        )
    return sizes


def own_shape(model):
    """One image of the size that a network says is its own, or a ValueError."""
    size = getattr(model, "input_size", None)
    if size is None:
        raise ValueError(
            f"a {type(model).__name__} does not say its input shape; pass something "
            "like input_shape=(1, 192, 28, 28)"
        )
    return (1, 3, size, size)


def trace(
    model: nn.Module,
    input_shape: Sequence[int],
    *more_shapes: Sequence[int],
    aux: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Trace:
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
            f"trace runs a model's Python, which a {type(model).__name__} no longer "
            "has; trace the model that it was made of"
        )
    model = unwrapped(model)
    shapes = [checked(shape) for shape in (input_shape, *more_shapes)]
    with LOCK, torch.no_grad(), no_collection(), no_compiling():
        return run(model, shapes, aux, dtype)


def run(model, shapes, aux, dtype):
    """The `Trace` of one call of the model, which is put back afterwards."""
    tracer, random = Tracer(model, aux), torch.get_rng_state()
    outer = getattr(ACTIVE, "tracer", None)
    try:
        nn.Module._call_impl = call_module
        ACTIVE.tracer = tracer
        inputs = tracer.begin(shapes, dtype)
        with EveryCall(tracer):
            answer = model(*inputs)
        if tracer.snapshot.made:
            tracer.built = sum(map(torch.numel, model.parameters()))
    except Exception as problem:  # a diagram is drawn up to here
        if tracer.ops:
            problem.trace = Trace(
                name_of(model), shapes, tuple(tracer.ops), tracer.built, []
            )
        raise
    finally:
        ACTIVE.tracer = outer
        nn.Module._call_impl = MODULE_CALL if outer is None else call_module
        tracer.snapshot.restore()
        torch.set_rng_state(random)
    if hasattr(answer, "__dataclass_fields__"):
        answer = vars(answer)
    outputs = [tracer.current(value) for value in tree_leaves(answer)]
    outputs = [value for value in outputs if type(value) is ShapeValue]
    return Trace(name_of(model), shapes, tuple(tracer.ops), tracer.built, outputs)


def name_of(model):
    return printable(str(getattr(model, "name", None) or type(model).__name__))
