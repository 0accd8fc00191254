"""What each torch operation does to shapes, and what it costs.

One function a rule, with the arguments of the torch function it stands for;
`RULES` maps the function's name to it. A rule answers with a `Result` and knows
nothing of models: the tracer adds paths, parameters and edges.

1 MAC = one multiply-add of a convolution, linear or matmul weight. Bias,
normalisation, activation and pooling count 0.
"""

from math import prod
from typing import NamedTuple

import torch

from inception_edu.cost.shapes import ShapeValue, join, light, new_tuple, walk


class Result(NamedTuple):
    """What a rule answers: kind, output shape(s), cost, window, field."""

    kind: str
    shape: tuple
    field: tuple | None = None
    macs: int = 0
    kernel: tuple | None = None
    stride: tuple | None = None
    padding: tuple | None = None
    dilation: tuple | None = None
    groups: int = 1
    view: bool = False
    several: bool = False  # `shape` and `field` are then lists, one an output
    dtype: torch.dtype | None = None  # None: that of the first input


class ShapeError(RuntimeError):
    """Shapes that do not fit, as torch would refuse them when it runs."""


def text(shape):
    return "x".join(map(str, shape))


def per_axis(size, axes):
    if type(size) is tuple:
        return size
    return (size,) * axes if isinstance(size, int) else tuple(size)


# ---- windows: convolutions and pools ------------------------------------------


def slide(sizes, field, kernel, stride, padding, dilation, ceil_mode=False):
    """Grid and field after a window slides over the last axes."""
    axes = len(kernel)
    first = len(sizes) - axes
    grid, before = [], sizes[first:]
    if max(kernel) == max(stride) == 1 and not any(padding):
        return before, field  # a 1x1 leaves the grid as it is
    if min(stride) < 1:
        raise ShapeError(f"a window with stride {text(stride)} stays where it is")
    for n, k, s, p, d in zip(before, kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        out = room // s + 1
        if ceil_mode and room % s and out * s < n + p:  # none may start in padding
            out += 1
        if out < 1:
            raise ShapeError(
                f"a {text(kernel)} window (dilation {text(dilation)}) does not fit "
                f"a {text(before)} grid with padding {text(padding)}"
            )
        grid.append(out)
    if field is not None:
        moved = []
        for span in field:
            axis = span.dim - first
            if axis >= 0:
                span = span.slide(
                    kernel[axis], stride[axis], padding[axis], dilation[axis]
                )
            moved.append(span)
        field = tuple(moved)
    return tuple(grid), field


def convolve(x, weight, stride, padding, dilation, groups):
    """A convolution with an entry an axis; `weight` is that tensor's shape."""
    before, (out_channels, depth, *kernel) = x.sizes, weight
    kernel = tuple(kernel)
    axes = len(kernel)
    if len(before) not in (axes + 1, axes + 2):
        raise ShapeError(
            f"a {axes}-d convolution takes (N, C, grid), got {text(before)}"
        )
    channels = before[-axes - 1]
    expected = depth * groups
    if channels != expected:
        raise ShapeError(
            f"expects {expected} input channels and gets {channels} "
            f"(input {text(before)}, weight {text(weight)}, groups {groups})"
        )
    grid, field = slide(before, x.field, kernel, stride, padding, dilation)
    shape = (*before[: -axes - 1], out_channels, *grid)
    macs = prod(shape) * depth * prod(kernel)
    return new_tuple(
        Result,
        (
            "conv", shape, field, macs, kernel, stride, padding, dilation, groups,
            False, False, None,
        ),
    )  # fmt: skip


def convolution(axes):
    def rule(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        x = light(x)
        stride, dilation = per_axis(stride, axes), per_axis(dilation, axes)
        if padding != "same":
            padding = (0,) * axes if padding == "valid" else per_axis(padding, axes)
            return convolve(x, weight.shape, stride, padding, dilation, groups)
        total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        padding = tuple(t // 2 for t in total)
        result = convolve(x, weight.shape, stride, padding, dilation, groups)
        grid = x.shape[-axes:]  # what an odd total lacks is added on one side
        shape = (*result.shape[:-axes], *grid)
        macs = result.macs // prod(result.shape) * prod(shape)
        return result._replace(shape=shape, macs=macs)

    return rule


def transposed_convolution(axes):
    def rule(
        x,
        weight,
        bias=None,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        dilation=1,
    ):
        kernel = tuple(weight.shape[2:])
        stride, padding, extra, dilation = (
            per_axis(size, axes) for size in (stride, padding, output_padding, dilation)
        )
        if x.shape[-axes - 1] != weight.shape[0]:
            raise ShapeError(
                f"expects {weight.shape[0]} input channels and gets "
                f"{x.shape[-axes - 1]} (input {text(x.shape)})"
            )
        grid = tuple(
            (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            for n, s, p, d, k, e in zip(
                x.shape[-axes:], stride, padding, dilation, kernel, extra, strict=True
            )
        )
        shape = (*x.shape[: -axes - 1], weight.shape[1] * groups, *grid)
        macs = x.numel() * weight.shape[1] * prod(kernel)
        # Output pixels of one stride see different numbers of input pixels.
        return Result(
            "conv_transpose", shape, None, macs, kernel, stride, padding, dilation,
            groups,
        )  # fmt: skip

    return rule


def pool(kind, axes):
    def rule(
        x,
        kernel_size,
        stride=None,
        padding=0,
        *rest,
        dilation=1,
        ceil_mode=False,
        return_indices=False,
        **others,
    ):
        if kind == "max_pool" and rest:  # max_pool: dilation, ceil_mode, ...
            dilation, ceil_mode, return_indices = (
                *rest,
                *(dilation, ceil_mode, return_indices)[len(rest) :],
            )
        elif rest:  # avg_pool: ceil_mode, count_include_pad, ...
            ceil_mode = rest[0]
        kernel = per_axis(kernel_size, axes)
        stride = kernel if stride in (None, [], ()) else per_axis(stride, axes)
        padding, dilation = per_axis(padding, axes), per_axis(dilation, axes)
        before = x.shape
        if any(p > k // 2 for k, p in zip(kernel, padding, strict=True)):
            raise ShapeError(
                f"a pool takes at most half of its {text(kernel)} window as padding, "
                f"not {text(padding)}"
            )
        grid, field = slide(
            before, x.field, kernel, stride, padding, dilation, ceil_mode
        )
        shape = (*before[:-axes], *grid)
        result = Result(kind, shape, field, 0, kernel, stride, padding, dilation)
        if return_indices:
            return result._replace(
                shape=[shape, shape], field=[field, field], several=True
            )
        return result

    return rule


def adaptive_pool(kind, axes):
    def rule(x, output_size, return_indices=False):
        before = x.shape[-axes:]
        sizes = per_axis(output_size, axes)
        after = tuple(n if s is None else s for n, s in zip(before, sizes, strict=True))
        if min(after) < 1:
            raise ShapeError(f"a pool to a {text(after)} grid leaves nothing")
        stride = tuple(max(n // s, 1) for n, s in zip(before, after, strict=True))
        kernel = tuple(
            n - (s - 1) * step if n >= s else 1
            for n, s, step in zip(before, after, stride, strict=True)
        )
        field = x.field
        if field is not None:
            first = x.dim() - axes
            field = tuple(
                span.slide(kernel[span.dim - first], stride[span.dim - first], 0, 1)
                if span.dim >= first
                else span
                for span in field
            )
        shape = (*x.shape[:-axes], *after)
        return Result(kind, shape, field, 0, kernel, stride, (0,) * axes)

    return rule


# ---- products -------------------------------------------------------------------


def without(field, *dims):
    """The field, unknown when one of its axes is among `dims`."""
    if field is None or any(span.dim in dims for span in field):
        return None
    return field


def linear(x, weight, bias=None):
    if x.shape[-1] != weight.shape[-1]:
        raise ShapeError(
            f"expects {weight.shape[-1]} input features and gets {x.shape[-1]} "
            f"(input {text(x.shape)})"
        )
    shape = (*x.shape[:-1], *weight.shape[:-1])
    macs = prod(shape) * weight.shape[-1]
    return Result("linear", shape, without(x.field, x.dim() - 1), macs)


def product_shape(a, b):
    """Shape of `a @ b` and the length summed over."""
    left = a if len(a) > 1 else (1, *a)
    right = b if len(b) > 1 else (*b, 1)
    if left[-1] != right[-2]:
        raise ShapeError(f"cannot multiply {text(a)} by {text(b)}")
    shape = (*torch.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    if len(a) == 1:
        shape = (*shape[:-2], shape[-1])
    if len(b) == 1:
        shape = shape[:-1]
    return shape, left[-1]


def matmul(a, b=None, *, other=None, mat2=None, **kwargs):
    b = next(value for value in (b, other, mat2) if value is not None)
    shape, depth = product_shape(tuple(a.shape), tuple(b.shape))
    return Result("matmul", shape, None, prod(shape) * depth)


def rmatmul(b, a):
    return matmul(a, b)


def add_matmul(x, a, b, **kwargs):
    return matmul(a, b)


def einsum(equation, *operands):
    operands = operands[0] if isinstance(operands[0], (list, tuple)) else operands
    inputs, _, output = equation.replace(" ", "").partition("->")
    sizes = {}
    for labels, operand in zip(inputs.split(","), operands, strict=True):
        ellipsis = [
            f".{i}" for i in range(operand.dim() - len(labels.replace("...", "")))
        ]
        head, dots, tail = labels.partition("...")
        names = [*head, *ellipsis, *tail] if dots else [*labels]
        for name, size in zip(names, operand.shape, strict=True):
            sizes[name] = max(size, sizes.get(name, 1))
    spread = sorted(name for name in sizes if name.startswith("."))
    if "->" not in equation:
        letters = inputs.replace(",", "").replace(".", "")
        output = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
        output = ("..." if spread else "") + output
    head, dots, tail = output.partition("...")
    names = [*head, *spread, *tail] if dots else [*output]
    shape = tuple(sizes[name] for name in names)
    macs = prod(sizes.values()) if len(operands) > 1 else 0
    return Result("matmul", shape, None, macs)


def attention(query, key, value, *args, **kwargs):
    *batch, length, width = query.shape
    source, depth = key.shape[-2], value.shape[-1]
    macs = prod(batch) * length * source * (width + depth)
    return Result("attention", (*batch, length, depth), None, macs)


def recurrent(kind):
    """Every step reads every weight once: those of the input and of the state."""
    gates = kind == "lstm"

    def rule(x, state, weights, has_biases, num_layers, dropout, training, *rest):
        if not isinstance(state, (list, tuple, torch.Tensor)) or len(rest) != 2:
            raise ShapeError(f"a packed sequence cannot be traced ({kind})")
        bidirectional, batch_first = rest
        del has_biases, num_layers, dropout, training, batch_first
        first = state[0] if gates else state
        width = first.shape[-1] * (2 if bidirectional else 1)
        steps = prod(x.shape[:-1])
        macs = steps * sum(prod(w.shape) for w in weights if w.dim() == 2)
        states = list(state) if gates else [state]
        shapes = [(*x.shape[:-1], width), *(tuple(s.shape) for s in states)]
        return Result(kind, shapes, [None] * len(shapes), macs, several=True)

    return rule


def multi_head_attention(
    query, key, value, embed_dim, num_heads, in_proj_weight, in_proj_bias, bias_k,
    bias_v, add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training=True,
    key_padding_mask=None, need_weights=True, attn_mask=None,
    use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None,
    v_proj_weight=None, static_k=None, static_v=None, average_attn_weights=True,
    is_causal=False,
):  # fmt: skip
    """Projections in, two products per head, projection out (Attention is all
    you need, section 3.2), as torch's functional form lays its arguments out."""
    length, batch = query.shape[0], query.shape[1] if query.dim() == 3 else 1
    source = key.shape[0]
    macs = length * batch * embed_dim * query.shape[-1]
    macs += source * batch * embed_dim * (key.shape[-1] + value.shape[-1])
    attended = source + (bias_k is not None) + bool(add_zero_attn)
    macs += 2 * batch * length * attended * embed_dim
    macs += length * batch * embed_dim * out_proj_weight.shape[0]
    weights = (length, attended) if query.dim() == 2 else (batch, length, attended)
    if not average_attn_weights:
        weights = (*weights[:-2], num_heads, *weights[-2:])
    shapes = [tuple(query.shape), weights if need_weights else None]
    return Result("attention", shapes, [None, None], macs, several=True)


# ---- shapes that follow from the first input, or from all -----------------------


def same(kind):
    """Element by element on the first input: activations, dropout, ..."""

    def rule(x, *args, **kwargs):
        return Result(kind, tuple(x.shape), x.field)

    return rule


def norm(kind):
    def rule(x, *args, **kwargs):
        for value in walk(args, kwargs):
            if (
                kind == "batch_norm"
                and isinstance(value, torch.Tensor)
                and value.dim() == 1
                and value.shape[0] != x.shape[1]
            ):
                raise ShapeError(
                    f"expects {value.shape[0]} channels and gets {x.shape[1]} "
                    f"(input {text(x.shape)})"
                )
        return Result(kind, tuple(x.shape), x.field)

    return rule


def local_response_norm(x, size, *args, **kwargs):
    """Divided by what the `size` channels around hold (Going deeper, section 5)."""
    return Result("lrn", tuple(x.shape), x.field, kernel=(size,))


def broadcast(kind):
    """Element by element on all inputs, broadcast: additions, products, ..."""

    def rule(*args, **kwargs):
        tensors = [a for a in walk(args, kwargs) if isinstance(a, torch.Tensor)]
        try:
            shape = torch.broadcast_shapes(*(tuple(t.shape) for t in tensors))
        except RuntimeError:
            shapes = " and ".join(text(t.shape) for t in tensors)
            raise ShapeError(f"cannot {kind} {shapes}: the grids differ") from None
        fields = [
            t.field for t in tensors if type(t) is ShapeValue and t.dim() == len(shape)
        ]
        field = join(fields) if fields else None
        if kind in COMPARISONS:
            dtype = torch.bool
        else:
            dtypes = [t.dtype for t in tensors if type(t) is ShapeValue]
            dtype = next((d for d in dtypes if d.is_floating_point), None)
            if dtype is None and torch.bool in dtypes and kind not in LOGIC:
                dtype = torch.float32
        return Result(kind, tuple(shape), field, dtype=dtype)

    return rule


def cast(kind):
    """The same in another element type, where the arguments name one."""

    def rule(x, *args, **kwargs):
        dtype = CASTS.get(kind)
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.dtype):
                dtype = value
            elif isinstance(value, torch.Tensor):
                dtype = getattr(value, "dtype", None)
        return Result(kind, tuple(x.shape), x.field, dtype=dtype)

    return rule


def cat(tensors, dim=0, **kwargs):
    dim = kwargs.get("axis", dim)
    shapes = [shape for t in tensors if (shape := tuple(t.shape)) != (0,)]
    dim %= len(shapes[0])
    rest = {shape[:dim] + shape[dim + 1 :] for shape in shapes}
    if len(rest) > 1:
        raise ShapeError(
            f"cannot concatenate {' and '.join(map(text, shapes))} along axis {dim}: "
            "all other axes must agree"
        )
    shape = (*shapes[0][:dim], sum(s[dim] for s in shapes), *shapes[0][dim + 1 :])
    fields = [t.field for t in tensors if type(t) is ShapeValue]
    return Result("cat", shape, without(join(fields), dim))


def stack(tensors, dim=0):
    shape = list(tensors[0].shape)
    shape.insert(dim % (len(shape) + 1), len(tensors))
    return Result("stack", tuple(shape))


def reduced(span, shape, dims, keepdim):
    """The span after a reduction over `dims`; dim -1 is no axis any more."""
    if span.dim in dims:
        span = span.whole(shape[span.dim])
        return span if keepdim else span._replace(dim=-1)
    gone = 0 if keepdim else sum(d < span.dim for d in dims)
    return span._replace(dim=span.dim - gone) if span.dim >= 0 else span


def reduction(kind):
    """Sum, mean, maximum over some axes; over the grid it sees the whole grid."""

    def rule(x, dim=None, keepdim=False, **kwargs):
        dim, keepdim = kwargs.get("axis", dim), kwargs.get("keepdims", keepdim)
        dims = range(x.dim()) if dim is None else per_axis(dim, 1)
        dims = {d % x.dim() for d in dims}
        shape = tuple(
            1 if i in dims else n
            for i, n in enumerate(x.shape)
            if keepdim or i not in dims
        )
        field = None
        if x.field is not None:
            field = tuple(reduced(span, x.shape, dims, keepdim) for span in x.field)
        return Result(kind, shape, field, dtype=kwargs.get("dtype", COUNTS.get(kind)))

    return rule


def spread(kind):
    """Standard deviation or variance: a truth value says which of two it is."""
    plain = reduction(kind)

    def rule(x, dim=None, unbiased=True, keepdim=False, **kwargs):
        if isinstance(dim, bool):
            dim = None
        return plain(x, dim, keepdim, **kwargs)

    return rule


def length(x, p=2, dim=None, keepdim=False, **kwargs):
    return reduction("norm")(x, dim, keepdim, **kwargs)


def pair_reduction(kind):
    """max/min along one axis give values and indices; over all, one value."""
    plain = reduction(kind)

    def rule(x, dim=None, keepdim=False, **kwargs):
        if isinstance(dim, torch.Tensor):
            return broadcast(kind)(x, dim)
        result = plain(x, dim, keepdim, **kwargs)
        if dim is None:
            return result
        return result._replace(
            shape=[result.shape] * 2, field=[result.field] * 2, several=True
        )

    return rule


def pad(x, pad, *args, **kwargs):
    shape, field = list(x.shape), x.field
    for i in range(len(pad) // 2):
        dim = len(shape) - 1 - i
        before, after = pad[2 * i], pad[2 * i + 1]
        shape[dim] += before + after
        if field is not None:
            field = tuple(
                s._replace(low=s.low - before * s.jump, high=s.high - before * s.jump)
                if s.dim == dim
                else s
                for s in field
            )
    return Result("pad", tuple(shape), field)


def interpolate(x, size=None, scale_factor=None, *args, **kwargs):
    axes = x.dim() - 2
    if size is not None:
        grid = per_axis(size, axes)
    else:
        factors = scale_factor
        if isinstance(factors, (int, float)):
            factors = (factors,) * axes
        grid = tuple(int(n * f) for n, f in zip(x.shape[2:], factors, strict=True))
    return Result("interpolate", (*x.shape[:2], *grid))


def embedding(indices, weight, *args, **kwargs):
    return Result("embedding", (*indices.shape, weight.shape[1]))


def flatten(x, start_dim=0, end_dim=-1):
    """Axes merged into one; where the grid goes in, the result sees all of it."""
    axes = x.dim()
    if axes == 0:
        return Result("flatten", (1,), None, view=True)
    start, end = start_dim % axes, end_dim % axes
    shape = (*x.shape[:start], prod(x.shape[start : end + 1]), *x.shape[end + 1 :])
    field = x.field
    if field is not None:
        field = tuple(
            span.whole(x.shape[span.dim])._replace(dim=-1)
            if start <= span.dim <= end
            else span._replace(dim=span.dim - (end - start))
            if span.dim > end
            else span
            for span in field
        )
    return Result("flatten", shape, field, view=True)


def reorder(kind):
    """Axes in another order: permute, transpose, movedim, ..."""

    def rule(function, x, *args, **kwargs):
        # A tensor of axis numbers does the bookkeeping: sizes stay below 2^axes.
        sample = torch.empty(1).expand([i + 2 for i in range(x.dim())])
        order = [n - 2 for n in function(sample, *args, **kwargs).shape]
        field = x.field
        if field is not None:
            field = tuple(
                span._replace(dim=order.index(span.dim)) if span.dim >= 0 else span
                for span in field
            )
        shape = tuple(x.shape[i] for i in order)
        return Result(kind, shape, field, view=True)

    rule.wants_function = True
    return rule


def thin(value):
    """One number spread over the shape: torch's view functions take it."""
    if type(value) is not ShapeValue:
        return value
    return torch.empty(1, dtype=value.dtype).expand(value.shape)


def view(kind):
    """Any other view: torch works the shape out on one number spread thin."""

    def rule(function, *args, **kwargs):
        x = args[0]
        try:
            result = function(*map(thin, args), **kwargs)
        except (RuntimeError, IndexError) as problem:
            raise ShapeError(str(problem)) from None
        if isinstance(result, torch.Tensor):
            shape = tuple(result.shape)
            field = without_change(x, shape)
            return Result(kind, shape, field, view=True)
        shapes = [tuple(part.shape) for part in result]
        fields = [without_change(x, shape) for shape in shapes]
        return Result(kind, shapes, fields, view=True, several=True)

    rule.wants_function = True
    return rule


def without_change(x, shape):
    """The field survives a view that leaves the number and size of its axes."""
    if x.field is None or len(shape) != x.dim():
        return None
    if any(s.dim >= 0 and shape[s.dim] != x.shape[s.dim] for s in x.field):
        return None
    return x.field


def getitem(function, x, index):
    """Slices keep the field and move it; anything else loses it."""
    if any(isinstance(i, torch.Tensor) for i in walk((index,), {})):
        return select_by_tensor(x, index if isinstance(index, tuple) else (index,))
    result = view("slice")(function, x, index)
    items = index if isinstance(index, tuple) else (index,)
    plain = all(isinstance(i, slice) for i in items)
    if x.field is None or not plain:
        return result
    field = []
    for span in x.field:
        if 0 <= span.dim < len(items):
            start, _, step = items[span.dim].indices(x.shape[span.dim])
            move = start * span.jump
            span = span._replace(
                low=span.low + move, high=span.high + move, jump=span.jump * step
            )
        field.append(span)
    return result._replace(field=tuple(field))


getitem.wants_function = True


def select_by_tensor(x, index):
    """x[:, rows, columns]: neighbouring index tensors stand for their axes."""
    tensors = [i for i in index if isinstance(i, torch.Tensor)]
    places = [n for n, i in enumerate(index) if isinstance(i, torch.Tensor)]
    plain = all(i == slice(None) for i in index if not isinstance(i, torch.Tensor))
    if not plain or places != list(range(places[0], places[-1] + 1)):
        raise ShapeError(f"an index mixing tensors and {index!r} cannot be traced")
    if any(getattr(i, "dtype", None) in (torch.bool, torch.uint8) for i in tensors):
        raise ShapeError("a mask as an index: how many it picks depends on the values")
    picked = torch.broadcast_shapes(*(tuple(i.shape) for i in tensors))
    rest = x.shape[places[-1] + 1 :]
    return Result("select", (*x.shape[: places[0]], *picked, *rest))


def repeat(x, *sizes):
    sizes = sizes[0] if len(sizes) == 1 and not isinstance(sizes[0], int) else sizes
    before = (1,) * (len(sizes) - x.dim()) + tuple(x.shape)
    return Result(
        "repeat", tuple(n * times for n, times in zip(before, sizes, strict=True))
    )


def pixel_shuffle(x, factor):
    *batch, channels, height, width = x.shape
    shape = (*batch, channels // factor**2, height * factor, width * factor)
    return Result("pixel_shuffle", shape)


def pixel_unshuffle(x, factor):
    *batch, channels, height, width = x.shape
    shape = (*batch, channels * factor**2, height // factor, width // factor)
    return Result("pixel_unshuffle", shape)


def unfold(function, x, *args, **kwargs):
    """`Tensor.unfold` is a view; `F.unfold` copies the windows of a grid."""
    if function is not torch.nn.functional.unfold:
        return view("unfold")(function, x, *args, **kwargs)
    return patches(x, *args, **kwargs)


unfold.wants_function = True


def patches(x, kernel_size, dilation=1, padding=0, stride=1):
    kernel, stride, padding, dilation = (
        per_axis(size, 2) for size in (kernel_size, stride, padding, dilation)
    )
    grid, _ = slide(x.shape, None, kernel, stride, padding, dilation)
    *batch, channels, _, _ = x.shape
    shape = (*batch, channels * prod(kernel), prod(grid))
    return Result("unfold", shape, None, 0, kernel, stride, padding, dilation)


def fold(x, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Windows added back onto their grid."""
    kernel, stride, padding, dilation = (
        per_axis(size, 2) for size in (kernel_size, stride, padding, dilation)
    )
    *batch, depth, _ = x.shape
    shape = (*batch, depth // prod(kernel), *per_axis(output_size, 2))
    return Result("fold", shape, None, 0, kernel, stride, padding, dilation)


def repeat_interleave(x, repeats, dim=None, **kwargs):
    if not isinstance(repeats, int):
        raise ShapeError("repeat_interleave by a tensor cannot be traced")
    if dim is None:
        return Result("repeat", (x.numel() * repeats,))
    shape = list(x.shape)
    shape[dim] *= repeats
    return Result("repeat", tuple(shape))


def index_select(x, dim, index):
    shape = list(x.shape)
    shape[dim] = index.shape[0]
    return Result("select", tuple(shape))


def gather(x, dim, index, **kwargs):
    return Result("select", tuple(index.shape))


def new_value(function, x, *args, **kwargs):
    """zeros_like, new_zeros, ...: a fresh value that saw nothing."""
    if function.__name__.endswith("_like"):
        return Result("constant", tuple(x.shape))
    size = args[0] if args and not isinstance(args[0], int) else args
    return Result("constant", tuple(kwargs.get("size", size)))


new_value.wants_function = True

COMPARISONS = {"eq", "ne", "lt", "le", "gt", "ge", "isnan"}
COMPARISONS |= {"logical_and", "logical_or", "logical_not"}
LOGIC = {"and", "or", "xor"}
COUNTS = {"argmax": torch.int64, "argmin": torch.int64}
COUNTS |= {"any": torch.bool, "all": torch.bool}
CASTS = {
    "half": torch.float16, "bfloat16": torch.bfloat16, "float": torch.float32,
    "double": torch.float64, "int": torch.int32, "long": torch.int64,
    "bool": torch.bool,
}  # fmt: skip
RULES = {
    "linear": linear,
    "matmul": matmul,
    "rmatmul": rmatmul,
    "mm": matmul,
    "bmm": matmul,
    "addmm": add_matmul,
    "baddbmm": add_matmul,
    "einsum": einsum,
    "scaled_dot_product_attention": attention,
    "multi_head_attention_forward": multi_head_attention,
    "cat": cat,
    "concat": cat,
    "concatenate": cat,
    "stack": stack,
    "pad": pad,
    "interpolate": interpolate,
    "upsample": interpolate,
    "embedding": embedding,
    "flatten": flatten,
    "getitem": getitem,
    "batch_norm": norm("batch_norm"),
    "local_response_norm": local_response_norm,
    "max": pair_reduction("max"),
    "min": pair_reduction("min"),
    "median": pair_reduction("median"),
    "norm": length,
    "linalg_vector_norm": length,
    "std": spread("std"),
    "var": spread("var"),
    "unfold": unfold,
    "fold": fold,
    "repeat_interleave": repeat_interleave,
    "lstm": recurrent("lstm"),
    "gru": recurrent("gru"),
    "rnn_tanh": recurrent("rnn"),
    "rnn_relu": recurrent("rnn"),
    "pixel_unshuffle": pixel_unshuffle,
    "dropout": same("dropout"),
    "repeat": repeat,
    "pixel_shuffle": pixel_shuffle,
    "index_select": index_select,
    "gather": gather,
}
PRODUCTS = {  # those that MACs are counted of
    "linear", "matmul", "rmatmul", "mm", "bmm", "addmm", "baddbmm", "einsum",
    "scaled_dot_product_attention", "multi_head_attention_forward",
}  # fmt: skip
for axes in (1, 2, 3):
    PRODUCTS |= {f"conv{axes}d", f"conv_transpose{axes}d"}
    RULES[f"conv{axes}d"] = convolution(axes)
    RULES[f"conv_transpose{axes}d"] = transposed_convolution(axes)
    for kind in ("max_pool", "avg_pool"):
        RULES[f"{kind}{axes}d"] = pool(kind, axes)
        RULES[f"adaptive_{kind}{axes}d"] = adaptive_pool(kind, axes)
        RULES[f"{kind}{axes}d_with_indices"] = pool(kind, axes)
for names, rule in (
    ("layer_norm group_norm instance_norm rms_norm normalize", norm),
    (
        "relu relu6 leaky_relu elu selu celu gelu silu mish sigmoid logsigmoid tanh "
        "hardswish hardsigmoid hardtanh softplus softmax log_softmax softmin prelu "
        "rrelu channel_shuffle feature_dropout alpha_dropout "
        "dropout1d dropout2d dropout3d "
        "clamp clip exp log log2 log10 sqrt rsqrt abs neg sin cos erf square round "
        "floor ceil sign reciprocal contiguous clone detach "
        "roll cumsum masked_fill nan_to_num threshold tril triu "
        "requires_grad zero fill invert cpu cuda rad2deg flip positive "
        "clamp_min clamp_max logit log1p expm1 tan atan trunc cumprod argsort "
        "softsign tanhshrink hardshrink softshrink",
        same,
    ),
    ("half bfloat16 float double int long bool to type type_as", cast),
    (
        "add sub mul div pow truediv floordiv mod remainder fmod maximum minimum "
        "where eq ne lt le gt ge and or xor logical_and logical_or lerp addcmul "
        "addcdiv true_divide floor_divide multiply divide subtract rsub hypot "
        "atan2 isnan logical_not",
        broadcast,
    ),
    (
        "mean sum amax amin prod all any argmax argmin logsumexp",
        reduction,
    ),
    ("permute transpose swapaxes swapdims movedim moveaxis t adjoint", reorder),
    (
        "view reshape view_as reshape_as unflatten squeeze unsqueeze expand expand_as "
        "chunk split tensor_split unbind narrow select diagonal as_strided "
        "split_with_sizes hsplit vsplit broadcast_to ravel",
        view,
    ),
):
    for name in names.split():
        RULES[name] = rule(name)
for name in ("zeros", "ones", "empty", "full", "rand", "randn"):
    RULES[f"{name}_like"] = new_value
for name in ("zeros", "ones", "empty", "full"):
    RULES[f"new_{name}"] = new_value
for name in ("add", "sub", "mul", "div", "truediv", "floordiv", "mod", "pow"):
    RULES[f"r{name}"] = RULES[f"i{name}"] = RULES[name]  # 2 + x, x += y
