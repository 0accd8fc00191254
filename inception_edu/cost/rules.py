"""What the operations of an Inception network do to shapes, and what they cost.

One function a rule, with the arguments of the torch function it stands for; `RULES`
maps the function's name to it. A rule returns an `Op` without its place, or
None for arguments that it leaves to torch. It knows nothing of models: the tracer
adds paths, parameters and edges.

1 MAC = one multiply-add of a convolution, linear or matmul weight. Bias,
normalization, activation and pooling count 0.
"""

from functools import lru_cache, partial
from math import prod

import torch

from inception_edu.cost.result import Op
from inception_edu.cost.shapes import ShapeError, ShapeValue, join
from inception_edu.text import dims


def per_axis(size, axes):
    """A size as a tuple with an entry for each axis."""
    if type(size) is tuple and len(size) == axes:
        return size
    sizes = (size,) if isinstance(size, int) else tuple(size)
    return sizes * axes if len(sizes) == 1 else sizes


# ---- windows: convolutions and pools ------------------------------------------


def slide(sizes, spans, kernel, stride, padding, dilation, ceil_mode=False):
    """Grid and spans after a window slides over the last axes."""
    first = len(sizes) - len(kernel)
    before = sizes[first:]
    if max(kernel) == max(stride) == 1 and not any(padding):
        return before, spans  # a 1x1 leaves the grid as it is
    if min(stride) < 1:
        raise ShapeError(f"a window with stride {dims(stride)} stays where it is")
    grid = []
    for n, k, s, p, d in zip(before, kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        out = room // s + 1
        if ceil_mode and room % s and out * s < n + p:  # none may start in padding
            out += 1
        if out < 1:
            raise ShapeError(
                f"a {dims(kernel)} window (dilation {dims(dilation)}) does not fit "
                f"a {dims(before)} grid with padding {dims(padding)}"
            )
        grid.append(out)
    return tuple(grid), slide_spans(spans, first, kernel, stride, padding, dilation)


def slide_spans(spans, first, kernel, stride, padding, dilation):
    """The spans after a window slides over the axes from `first` on."""
    return spans and tuple(
        [
            span.slide(kernel[axis], stride[axis], padding[axis], dilation[axis])
            if (axis := span.dim - first) >= 0
            else span
            for span in spans
        ]
    )


def check_size(expected, found, what, sizes, more=""):
    """Refuse an input whose channels or features are not those of the weight."""
    if expected != found:
        raise ShapeError(
            f"expects {expected} {what} and gets {found} (input {dims(sizes)}{more})"
        )


@lru_cache(1024)  # networks repeat their modules, and are traced again
def convolve(sizes, spans, weight, stride, padding, dilation, groups):
    """A convolution with an entry for each axis; `weight` is that tensor's shape."""
    out_channels, depth, *kernel = weight
    kernel = tuple(kernel)
    axes = len(kernel)
    if len(sizes) not in (axes + 1, axes + 2):
        raise ShapeError(
            f"a {axes}-d convolution takes (N, C, grid), got {dims(sizes)}"
        )
    if sizes[-axes - 1] != depth * groups:
        more = f", weight {dims(weight)}, groups {groups}"
        check_size(depth * groups, sizes[-axes - 1], "input channels", sizes, more)
    grid, spans = slide(sizes, spans, kernel, stride, padding, dilation)
    shape = (*sizes[: -axes - 1], out_channels, *grid)
    macs = prod(shape) * depth * prod(kernel)
    window = kernel, stride, padding, dilation, groups
    return Op("conv", shape, spans, macs, *window)


def convolution(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    sizes, kernel = tuple(x.shape), tuple(weight.shape[2:])
    axes = len(kernel)
    stride, dilation = per_axis(stride, axes), per_axis(dilation, axes)
    if padding == "same":  # the odd pixel of a total is added on one side
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        padding = tuple(t // 2 for t in total)
        grid = [n + t % 2 for n, t in zip(sizes[-axes:], total, strict=True)]
        sizes = (*sizes[:-axes], *grid)
    padding = 0 if padding == "valid" else padding
    spans = x.spans if type(x) is ShapeValue else None
    return convolve(
        sizes, spans, weight.shape, stride, per_axis(padding, axes), dilation, groups
    )


def max_pool(
    axes, x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
    return_indices=False,
):  # fmt: skip
    if return_indices:
        return None
    return pool("max_pool", axes, x, kernel_size, stride, padding, dilation, ceil_mode)


def avg_pool(
    axes, x, kernel_size, stride=None, padding=0, ceil_mode=False, *rest, **others
):
    return pool("avg_pool", axes, x, kernel_size, stride, padding, 1, ceil_mode)


def pool(kind, axes, x, kernel_size, stride, padding, dilation, ceil_mode):
    kernel = per_axis(kernel_size, axes)
    stride = kernel if stride in (None, [], ()) else per_axis(stride, axes)
    padding, dilation = per_axis(padding, axes), per_axis(dilation, axes)
    if any(p > k // 2 for k, p in zip(kernel, padding, strict=True)):
        raise ShapeError(
            f"a pool takes at most half of its {dims(kernel)} window as padding, "
            f"not {dims(padding)}"
        )
    window = kernel, stride, padding, dilation
    grid, spans = slide(x.sizes, x.spans, *window, ceil_mode)
    return Op(kind, (*x.sizes[:-axes], *grid), spans, 0, *window)


def adaptive_pool(kind, axes, x, output_size, return_indices=False):
    if return_indices:
        return None
    first = x.dim() - axes
    before, sizes = x.sizes[first:], per_axis(output_size, axes)
    after = tuple(n if s is None else s for n, s in zip(before, sizes, strict=True))
    if min(after) < 1:
        raise ShapeError(f"a pool to a {dims(after)} grid leaves nothing")
    stride = tuple(max(n // s, 1) for n, s in zip(before, after, strict=True))
    kernel = tuple(
        n - (s - 1) * step if n >= s else 1
        for n, s, step in zip(before, after, stride, strict=True)
    )
    none = (0,) * axes
    spans = slide_spans(x.spans, first, kernel, stride, none, (1,) * axes)
    shape = (*x.sizes[:first], *after)
    return Op(kind, shape, spans, 0, kernel, stride, none)


# ---- products -------------------------------------------------------------------


def without(spans, dim):
    """The spans, unknown when `dim` is one of its axes."""
    return None if spans is None or any(s.dim == dim for s in spans) else spans


def linear(x, weight, bias=None):
    check_size(weight.shape[-1], x.shape[-1], "input features", x.shape)
    shape = (*x.shape[:-1], *weight.shape[:-1])
    spans = without(x.spans, x.dim() - 1) if type(x) is ShapeValue else None
    return Op("linear", shape, spans, prod(shape) * weight.shape[-1])


def matmul(a, b):
    """`a @ b`: one multiply-add for each element of the output and of the sum."""
    a, b = tuple(a.shape), tuple(b.shape)
    left = a if len(a) > 1 else (1, *a)
    right = b if len(b) > 1 else (*b, 1)
    if left[-1] != right[-2]:
        raise ShapeError(f"cannot multiply {dims(a)} by {dims(b)}")
    batch = torch.broadcast_shapes(left[:-2], right[:-2])
    rows, columns = left[-2:-1] * (len(a) > 1), right[-1:] * (len(b) > 1)
    shape = (*batch, *rows, *columns)
    return Op("matmul", shape, None, prod(shape) * left[-1])


# ---- shapes that follow from the first input, or from all -----------------------


def same(kind, x, *args, **kwargs):
    """Element by element on the first input: activations, dropout, ..."""
    if kwargs.get("dtype"):
        return None
    return Op(kind, x.sizes, x.spans)


def batch_norm(x, running_mean, running_var, weight=None, *args, **kwargs):
    for value in (running_mean, running_var, weight):
        if value is not None:
            check_size(value.shape[0], x.sizes[1], "channels", x.sizes)
    return Op("batch_norm", x.sizes, x.spans)


def local_response_norm(x, size, *args, **kwargs):
    """Divided by what the `size` channels around hold (Going deeper, section 5)."""
    return Op("lrn", x.sizes, x.spans, kernel=(size,))


def arithmetic(kind, x, y, *args, **kwargs):
    """Element by element on two inputs, broadcast: additions, products, ..."""
    tensors = [v for v in (x, y) if isinstance(v, torch.Tensor)]
    if len({t.dtype for t in tensors}) > 1 or not x.dtype.is_floating_point:
        return None  # the element type of the result is torch's to say
    shapes = [tuple(t.shape) for t in tensors]
    try:
        shape = shapes[0]
        if shape != shapes[-1]:
            shape = tuple(torch.broadcast_shapes(*shapes))
    except RuntimeError:
        raise ShapeError(
            f"cannot {kind} {' and '.join(map(dims, shapes))}: the grids differ"
        ) from None
    inputs = [
        t.spans for t in tensors if type(t) is ShapeValue and len(t.sizes) == len(shape)
    ]
    numbers = [v for v in (x, y) if type(v) in (int, float)]
    constant = numbers[0] if numbers and kind in ("add", "mul") else None
    spans = join(tuple(inputs)) if inputs else None
    return Op(kind, shape, spans, constant=constant)


def cat(tensors, dim=0, axis=None):
    """Joined along one axis, on which all others must agree."""
    shapes = [shape for t in tensors if (shape := tuple(t.shape)) != (0,)]
    dim = (dim if axis is None else axis) % len(shapes[0])
    if len({t.dtype for t in tensors}) > 1:
        return None
    if len({shape[:dim] + shape[dim + 1 :] for shape in shapes}) > 1:
        raise ShapeError(
            f"cannot concatenate {' and '.join(map(dims, shapes))} along axis {dim}: "
            "all other axes must agree"
        )
    shape = (*shapes[0][:dim], sum(s[dim] for s in shapes), *shapes[0][dim + 1 :])
    inputs = [t.spans for t in tensors if type(t) is ShapeValue]
    return Op("cat", shape, without(join(tuple(inputs)), dim))


def pad(x, pad, mode="constant", value=None):
    if mode != "constant" or len(pad) > 2 * x.dim():
        return None
    shape, last = list(x.sizes), x.dim() - 1
    for place, size in enumerate(pad):  # from the last axis on
        shape[last - place // 2] += size
    before = {last - place: pad[2 * place] for place in range(len(pad) // 2)}
    spans = x.spans and tuple(span.moved(-before.get(span.dim, 0)) for span in x.spans)
    return Op("pad", tuple(shape), spans)


def flatten(x, start_dim=0, end_dim=-1):
    """Axes merged into one; where the grid goes in, the result sees all of it."""
    sizes, axes = x.sizes, len(x.sizes)
    if axes == 0:
        return None
    start, end = start_dim % axes, end_dim % axes
    shape = (*sizes[:start], prod(sizes[start : end + 1]), *sizes[end + 1 :])
    spans = x.spans and tuple(
        span.over(sizes[span.dim])._replace(dim=-1)
        if start <= span.dim <= end
        else span._replace(dim=span.dim - (end - start))
        if span.dim > end
        else span
        for span in x.spans
    )
    return Op("flatten", shape, spans, view=True)


def permute(x, *dims, **others):
    dims = per_axis(dims[0], 1) if len(dims) == 1 else dims
    if others or len(dims) != x.dim():
        return None
    return reordered("permute", x, [d % x.dim() for d in dims])


def transpose(x, dim0, dim1):
    order = list(range(x.dim()))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return reordered("transpose", x, order)


def reordered(kind, x, order):
    spans = x.spans and tuple(
        span._replace(dim=order.index(span.dim)) if span.dim >= 0 else span
        for span in x.spans
    )
    return Op(kind, tuple(x.sizes[i] for i in order), spans, view=True)


RULES = {
    "cat": cat, "concat": cat, "concatenate": cat, "pad": pad, "flatten": flatten,
    "batch_norm": batch_norm, "local_response_norm": local_response_norm,
    "permute": permute, "transpose": transpose, "linear": linear, "matmul": matmul,
    "mm": matmul, "bmm": matmul, "mv": matmul, "dot": matmul,
    "rmatmul": lambda b, a: matmul(a, b),
}  # fmt: skip
for axes in (1, 2, 3):
    RULES[f"conv{axes}d"] = convolution
    RULES[f"max_pool{axes}d"] = partial(max_pool, axes)
    RULES[f"avg_pool{axes}d"] = partial(avg_pool, axes)
    for kind in ("max_pool", "avg_pool"):
        RULES[f"adaptive_{kind}{axes}d"] = partial(adaptive_pool, kind, axes)
ON_ONE_INPUT = (
    "relu relu6 leaky_relu elu gelu silu mish sigmoid tanh hardswish hardsigmoid "
    "hardtanh softmax log_softmax dropout dropout2d layer_norm group_norm "
    "instance_norm contiguous clone detach cpu cuda"
)
for name in ON_ONE_INPUT.split():
    RULES[name] = partial(same, name)
for name in ("add", "sub", "mul", "div", "truediv"):
    RULES[name] = partial(arithmetic, name)
    RULES[f"r{name}"] = RULES[f"i{name}"] = RULES[name]  # 2 + x, x += y
