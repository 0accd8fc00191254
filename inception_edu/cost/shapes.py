"""A value that is only a shape, and the receptive field it carries.

`ShapeValue` travels through a model's `forward` in the place of a tensor: every
torch function it meets is handed to the tracer, which answers with another
`ShapeValue`. Nothing is allocated and nothing is computed.
"""

from math import prod
from typing import NamedTuple

import torch

new_tuple = tuple.__new__  # a `NamedTuple` without the way through its own


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
        return new_tuple(Span, (dim, low, high, jump * stride))

    def whole(self, length):
        """The span of something that reads all `length` elements at once."""
        return self._replace(high=self.high + (length - 1) * self.jump)


def join(fields):
    """The field of a value made from several: the union of what they see.

    None where one of them is unknown or where they walk at different strides.
    """
    first, *rest = fields
    for other in rest:
        if first is None or other is None or len(first) != len(other):
            return None
        both = []
        for (dim, low, high, jump), (axis, least, most, step) in zip(
            first, other, strict=True
        ):
            if dim != axis or jump != step:
                return None
            ends = low if low < least else least, high if high > most else most
            both.append(new_tuple(Span, (dim, *ends, jump)))
        first = tuple(both)
    return first


class Length(int):
    """A size that the model's own code read: `of` is the value and its axis.

    A comparison or a remainder is remembered with its answer, any other use with
    the size, so that a replay at another size knows whether the model would do the
    same.
    """

    def note(self, name, other, answer):
        value, dim = self.of
        value.tracer.guards.append((value, dim, name, other, answer))

    def pin(self):
        self.note("__eq__", int.__pos__(self), True)


def compared(name):
    plain = getattr(int, name)

    def method(self, other):
        answer = plain(self, other)
        if type(other) is Length:
            self.note(name, other.of, answer)
        else:
            self.note(name, other, answer)
        return answer

    return method


def pinned(name):
    plain = getattr(int, name)

    def method(self, *args):
        self.pin()
        return plain(self, *args)

    return method


COMPARED = ("lt", "le", "gt", "ge", "eq", "ne", "mod", "floordiv")
PINNED = ("add", "radd", "sub", "rsub", "mul", "rmul", "rfloordiv", "rmod")
PINNED += ("divmod", "truediv", "rtruediv", "pow", "rpow", "neg", "abs", "int")
PINNED += ("index", "float", "bool", "hash", "lshift", "rshift", "and", "or")
for names, make in ((COMPARED, compared), (PINNED, pinned)):
    for _name in names:
        setattr(Length, f"__{_name}__", make(f"__{_name}__"))


class ShapeValue:
    """Stands for a tensor of `shape`; `op` is the operation that made it.

    `sizes` is the shape as a plain tuple, for the rules.
    """

    __slots__ = ("dtype", "field", "op", "sizes", "tracer")

    def __init__(self, tracer, sizes, op, field=None, dtype=torch.float32):
        self.tracer, self.sizes, self.op = tracer, sizes, op
        self.field, self.dtype = field, dtype

    @property
    def shape(self):
        tracer = self.tracer
        if tracer.in_rule:
            return self.sizes
        lengths = []
        for dim, size in enumerate(self.sizes):
            length = Length(size)
            length.of = self, dim
            lengths.append(length)
        return torch.Size(lengths)

    @property
    def device(self):
        return self.tracer.device

    # Models ask `isinstance(x, torch.Tensor)`; the honest answer for them is yes.
    __class__ = property(lambda self: torch.Tensor)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        first = next(v for v in walk(args, kwargs) if type(v) is ShapeValue)
        return first.tracer.call(function, args, kwargs)

    requires_grad = is_cuda = is_mps = is_nested = is_sparse = is_quantized = False
    is_meta = is_leaf = False
    layout = torch.strided
    grad = grad_fn = None

    @property
    def ndim(self):
        return len(self.sizes)

    @property
    def data(self):
        return self

    T = property(lambda self: self.tracer.call(torch.Tensor.t, (self,), {}))
    mT = property(lambda self: self.tracer.call(torch.transpose, (self, -2, -1), {}))

    def dim(self):
        return len(self.sizes)

    ndimension = dim

    def size(self, dim=None):
        return self.shape if dim is None else self.shape[dim]

    def numel(self):
        return prod(self.shape)

    nelement = numel

    def is_floating_point(self):
        return self.dtype.is_floating_point

    def is_contiguous(self, *args, **kwargs):
        return True

    def element_size(self):
        return self.dtype.itemsize

    def get_device(self):
        return -1

    def stride(self, dim=None):
        strides = [prod(self.shape[i + 1 :]) for i in range(len(self.shape))]
        return tuple(strides) if dim is None else strides[dim]

    def __len__(self):  # Python wants a plain number: pinned
        return int(self.shape[0])

    def __iter__(self):
        return iter(self.unbind(0))

    def __getattr__(self, name):
        method = getattr(torch.Tensor, name)
        if not callable(method):
            raise self.tracer.error(f"a trace cannot give a tensor's .{name}")
        return lambda *args, **kwargs: self.tracer.call(method, (self, *args), kwargs)

    def __repr__(self):
        return f"ShapeValue({'x'.join(map(str, self.sizes))})"

    def no_data(self, *args):
        raise self.tracer.error(
            "the model looks at values, and a trace has only shapes "
            f"(a {self!r} was asked for a number or a truth value)"
        )

    __bool__ = __int__ = __float__ = __index__ = item = tolist = numpy = no_data


class Fixed:
    """Stands for a real tensor among recorded arguments: its shape, no memory."""

    __slots__ = ("shape",)
    __class__ = property(lambda self: torch.Tensor)
    sizes = property(lambda self: self.shape)
    field = None

    def __init__(self, shape):
        self.shape = shape

    def dim(self):
        return len(self.shape)

    def numel(self):
        return prod(self.shape)


def light(tree):
    """The arguments of a call with `Fixed` in the place of real tensors."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind([light(item) for item in tree])
    if kind is dict:
        return {name: light(item) for name, item in tree.items()}
    if kind is not ShapeValue and isinstance(tree, torch.Tensor):
        return Fixed(tuple(tree.shape))
    return tree


def operator(name):
    method = getattr(torch.Tensor, name)

    def apply(self, *args, **kwargs):
        return self.tracer.call(method, (self, *args), kwargs)

    return apply


OPERATORS = (
    "add radd iadd sub rsub isub mul rmul imul truediv rtruediv itruediv "
    "floordiv rfloordiv mod rmod pow rpow matmul rmatmul neg pos abs getitem setitem "
    "eq ne lt le gt ge and or xor invert"
)
for _name in OPERATORS.split():
    setattr(ShapeValue, f"__{_name}__", operator(f"__{_name}__"))
ShapeValue.__hash__ = object.__hash__


NESTED = (list, tuple, torch.Size)


def walk(args, kwargs):
    """Every argument of a call, with those in lists, tuples and slices, in order."""
    found = []
    for value in (*args, *kwargs.values()) if kwargs else args:
        if type(value) in NESTED:
            found.extend(walk(value, ()))
        elif type(value) is slice:
            found += value.start, value.stop, value.step
        else:
            found.append(value)
    return found
