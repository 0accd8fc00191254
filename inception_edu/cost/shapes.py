"""A tensor that is only a shape, and the receptive field that it carries.

A `ShapeValue` travels through a model's `forward` in place of the image. It is
a real `torch.Tensor` to Python and to torch, but it has no memory: every torch
function that it meets is handed to the tracer, which answers with another one.
"""

import threading
from functools import lru_cache
from typing import NamedTuple

import torch

from inception_edu.text import dims

ACTIVE = threading.local()  # .tracer: the one that runs in this thread


class ShapeError(RuntimeError):
    """Shapes that do not fit, as torch would refuse them when it runs."""


class Span(NamedTuple):
    """What one axis of a value sees of the input, in input pixels.

    `dim` is the axis; its element 0 sees pixels `low` to `high` (padding
    included), element i the same span moved by `i * jump`.
    """

    dim: int
    low: int
    high: int
    jump: int

    def slide(self, kernel, stride, padding, dilation):
        """The span after a window slides over this axis."""
        dim, low, high, jump = self
        low -= padding * jump
        high += (dilation * (kernel - 1) - padding) * jump
        return Span(dim, low, high, jump * stride)

    def moved(self, by):
        """The span of what begins `by` elements later."""
        low, high = self.low + by * self.jump, self.high + by * self.jump
        return self._replace(low=low, high=high)

    def over(self, length):
        """The span of something that reads all `length` elements at once."""
        return self._replace(high=self.high + (length - 1) * self.jump)


@lru_cache(1024)
def join(inputs):
    """The spans of a value made from several: the union of what they see.

    None where those of one are unknown or where their strides differ.
    """
    grids = {spans and tuple([(s.dim, s.jump) for s in spans]) for spans in inputs}
    if len(grids) > 1 or None in grids:
        return None
    return tuple(
        Span(dim, min(s.low for s in axis), max(s.high for s in axis), jump)
        for (dim, jump), axis in zip(*grids, zip(*inputs, strict=True), strict=True)
    )


def active_tracer():
    tracer = getattr(ACTIVE, "tracer", None)
    if tracer is None:
        raise ShapeError("a value of a trace was used after the trace had ended")
    return tracer


class ShapeValue(torch.Tensor):
    """Stands for a tensor without data; what a trace needs to know is kept.

    `sizes` is the shape as a plain tuple; `op` the index of the operation that wrote
    it last; `spans` a `Span` for each axis of the grid, or None where it left the
    grid; `_base` the value that it is a view of, or None, as torch names it.
    """

    __slots__ = ("_base", "device", "dtype", "op", "sizes", "spans")

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return active_tracer().call(function, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        """What went past the Python functions: scripted code, autograd's own."""
        return active_tracer().ask_torch(function, args, kwargs or {})

    @property
    def shape(self):
        return torch.Size(self.sizes)

    @property
    def ndim(self):
        return len(self.sizes)

    def dim(self):
        return len(self.sizes)

    def size(self, dim=None):
        return self.shape if dim is None else self.sizes[dim]

    def __repr__(self):
        return f"ShapeValue({dims(self.sizes)})"

    __format__ = object.__format__


def root_of(tensor):
    """What a tensor is a view of, or itself."""
    return tensor if tensor._base is None else tensor._base


def flatten_arguments(args):
    """Every argument of a call, with those in lists and tuples, in order."""
    found = []
    for value in args:
        if type(value) is tuple or type(value) is list:
            found.extend(flatten_arguments(value))
        else:
            found.append(value)
    return found


def storage_of(tensor):
    """What tells tensors that share their memory, such as views, from others."""
    try:
        return tensor.untyped_storage()._cdata
    except NotImplementedError:  # sparse, or inside torch.func.grad
        return id(tensor)
