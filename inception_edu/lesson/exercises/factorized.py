"""Lesson 3: factorized convolutions, grid reduction, batch normalisation.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 3 and 5;
Batch Normalization, arXiv 1502.03167, algorithms 1 and 2.
"""

import torch
from torch.nn import functional as F

from inception_edu.lesson.checking import Case, FunctionExercise
from inception_edu.lesson.structures import Build, ModuleExercise, noise, relu

saving = FunctionExercise(
    name="saving",
    lesson=3,
    call="saving(n)",
    task=(
        "The share of the cost that 1 x n followed by n x 1 saves against one n x n "
        "convolution, with equal widths: 0.25 for a quarter."
    ),
    right=lambda n: 1 - 2 / n,
    cases=(Case((3,)), Case((5,)), Case((7,)), Case((2,)), Case((1,))),
    mistakes={
        "this is what is left, not what is saved": lambda n: 2 / n,
        "return a share, not per cent: 0.25, not 25": lambda n: 100 * (1 - 2 / n),
        "there are two convolutions, 1 x n and n x 1": lambda n: 1 - 1 / n,
        "1 x n has n weights for a pair of channels, n x n has n * n of them": (
            lambda n: 1 - 2 / n**2
        ),
        "that many times cheaper is another thing: 1 - small / large": lambda n: n / 2,
    },
)


def two_steps(first, second, between=relu, after=relu):
    """A reference of two convolutions one after the other."""

    def run(x, conv, *args):
        return after(conv(between(conv(x, first)), second))

    return run


def linear(x):
    """No activation at all."""
    return x


factorize_5x5 = ModuleExercise(
    name="factorize_5x5",
    lesson=3,
    call="factorize_5x5(in_channels, out_channels)",
    task=(
        "Figure 1: two 3x3 convolutions in the place of one 5x5, the first already "
        "out_channels wide, a ReLU after each; the grid stays."
    ),
    layers=lambda i, o: {"first 3x3": (o, i, 3, 3), "second 3x3": (o, o, 3, 3)},
    missing={
        "second 3x3": "one 3x3 sees 3x3 pixels only: a second one must follow it",
        "first 3x3": "the first 3x3 reads in_channels and makes out_channels",
    },
    plans={
        "two of them is right, not yet the width of the first: it already makes "
        "out_channels, and the second keeps them": lambda shapes, i, o: (
            shapes == [(i, i, 3, 3), (o, i, 3, 3)]
        ),
    },
    reference=two_steps("first 3x3", "second 3x3"),
    mistakes={
        "the ReLU between the two is forgotten: with it the paper has 77.2 % top-1, "
        "without it 76.2 % (figure 2)": two_steps("first 3x3", "second 3x3", linear),
        "the last ReLU is forgotten": two_steps(
            "first 3x3", "second 3x3", after=linear
        ),
        "both ReLUs are forgotten": two_steps(
            "first 3x3", "second 3x3", linear, linear
        ),
    },
    cases=(
        Build((16, 32), (2, 16, 9, 9), "16, 32"),
        Build((7, 3), (1, 7, 6, 11), "7, 3"),
    ),
)


def side_by_side(x, conv, *args):
    """1 x n beside n x 1 where the widths allow it: the expanded bank."""
    return torch.cat([relu(conv(x, "1xn")), relu(conv(x, "nx1"))], 1)


def swapped_padding(x, conv, i, o, n):
    """Rows padded where columns are lost: the shape heals, the border is blind."""
    wide = relu(conv(x, "1xn", 1, (n // 2, 0)))
    return relu(conv(wide, "nx1", 1, (0, n // 2)))


SIDE_BY_SIDE = (
    "one after the other, not side by side: concatenating both is the expanded "
    "filter bank of the 8x8 modules, which sees no n x n"
)
TURNED = (
    "the other way round: the 1 x n, kernel_size=(1, n), comes first here, then the "
    "n x 1"
)

asymmetric = ModuleExercise(
    name="asymmetric",
    lesson=3,
    call="asymmetric(in_channels, out_channels, n)",
    task=(
        "Figure 3 and 6: a 1 x n convolution to out_channels, then an n x 1, a ReLU "
        "after each; n is odd and the grid stays."
    ),
    layers=lambda i, o, n: {"1xn": (o, i, 1, n), "nx1": (o, o, n, 1)},
    missing={
        "1xn": "kernel_size=(1, n) is one high and n wide; it comes first",
        "nx1": "the n x 1, kernel_size=(n, 1), reads what the 1 x n wrote, "
        "out_channels and not in_channels: one after the other",
    },
    plans={
        "order and kernels are right, the width is not: the 1 x n already makes "
        "out_channels, and the n x 1 keeps them": lambda shapes, i, o, n: (
            shapes == [(i, i, 1, n), (o, i, n, 1)]
        ),
        TURNED: lambda shapes, i, o, n: (
            [shape[2:] for shape in shapes] == [(n, 1), (1, n)]
        ),
        SIDE_BY_SIDE: lambda shapes, i, o, n: (
            len(shapes) == 2
            and all(inputs == i and width < o for width, inputs, *_ in shapes)
        ),
    },
    reference=two_steps("1xn", "nx1"),
    mistakes={
        "the ReLU between the two is forgotten": two_steps("1xn", "nx1", linear),
        "the last ReLU is forgotten": two_steps("1xn", "nx1", after=linear),
        "both ReLUs are forgotten": two_steps("1xn", "nx1", linear, linear),
        SIDE_BY_SIDE: side_by_side,
        TURNED: two_steps("nx1", "1xn"),
        "the paddings are swapped, which the shape does not show: the 1 x n loses "
        "columns, so (0, n // 2); the n x 1 loses rows, so (n // 2, 0)": (
            swapped_padding
        ),
    },
    cases=(
        Build((16, 24, 7), (2, 16, 9, 9), "16, 24, 7"),
        Build((6, 4, 3), (1, 6, 5, 8), "6, 4, 3"),
        Build((5, 5, 3), (1, 5, 5, 5), "5, 5, 3"),
    ),
)


def reduction(x, conv, pool=None, after=relu, padding=0):
    pooled = F.max_pool2d(x, 3, 2, padding) if pool is None else pool(x)
    return torch.cat([after(conv(x, "3x3", 2, padding)), pooled], 1)


grid_reduction = ModuleExercise(
    name="grid_reduction",
    lesson=3,
    call="grid_reduction(in_channels, conv_channels)",
    task=(
        "Section 5, in its simplest form: a 3x3 convolution of stride 2 with ReLU "
        "beside a 3x3 max pool of stride 2, neither padded, concatenated in that "
        "order."
    ),
    layers=lambda i, o: {"3x3": (o, i, 3, 3)},
    missing={"3x3": "the convolution is a 3x3 from in_channels to conv_channels"},
    reference=lambda x, conv, i, o: reduction(x, conv),
    mistakes={
        "the ReLU is forgotten": lambda x, conv, i, o: reduction(x, conv, after=linear),
        "without padding 35 becomes 17, with it 18: padding=0 in both branches": (
            lambda x, conv, i, o: reduction(x, conv, padding=1)
        ),
        "pooling first and convolving after squeezes everything through the pool, "
        "the bottleneck that section 5 avoids: side by side": (
            lambda x, conv, i, o: relu(conv(F.max_pool2d(x, 3, 2), "3x3"))
        ),
        "convolving at full size and pooling after costs four times as much: both "
        "side by side, with stride 2": (
            lambda x, conv, i, o: F.max_pool2d(relu(conv(x, "3x3")), 3, 2)
        ),
        "the pool stands beside the convolution, not after it: both read the input; "
        "one after the other the grid halves twice": (
            lambda x, conv, i, o: F.max_pool2d(relu(conv(x, "3x3", 2, 0)), 3, 2)
        ),
        "the convolution stands beside the pool, not after it: both read the input; "
        "one after the other the grid halves twice": (
            lambda x, conv, i, o: relu(conv(F.max_pool2d(x, 3, 2), "3x3", 2, 0))
        ),
        "the pooled input is forgotten: its channels go along": (
            lambda x, conv, i, o: relu(conv(x, "3x3", 2, 0))
        ),
        "the pool is a max pool": lambda x, conv, i, o: reduction(
            x, conv, lambda y: F.avg_pool2d(y, 3, 2)
        ),
        "the pool's window is 3x3, with stride 2": lambda x, conv, i, o: reduction(
            x, conv, lambda y: F.max_pool2d(y, 2)
        ),
    },
    order="both branches are there, in another order: convolution, pool",
    cases=(
        Build((6, 10), (2, 6, 35, 35), "6, 10"),
        Build((5, 5), (1, 5, 9, 13), "5, 5"),
    ),
)


def normalise(
    x,
    gamma,
    beta,
    running_mean,
    running_var,
    training,
    momentum,
    eps,
    *,
    dims=(0, 2, 3),
    unbiased=False,
    running_unbiased=True,
    outside=False,
    reverse=False,
    always_update=False,
    never_update=False,
    always_batch=False,
    root=True,
    affine=True,
):
    """Batch normalisation by hand; the switches make the known mistakes."""

    def column(values):
        return values[:, None, None]

    mean, var = running_mean, running_var
    if training or always_batch:
        mean = x.mean(dims) if len(dims) == 3 else x.mean(dims, keepdim=True)
        var = x.var(dims, unbiased=unbiased, keepdim=len(dims) != 3)
    if len(dims) == 3:
        shown_mean, shown_var = column(mean), column(var)
    else:
        shown_mean, shown_var = mean, var
    if outside:
        scale = shown_var.sqrt() + eps
    else:
        scale = (shown_var + eps).sqrt() if root else shown_var + eps
    y = (x - shown_mean) / scale
    if affine:
        y = y * column(gamma) + column(beta)
    if never_update or not (training or always_update):
        return y, running_mean, running_var
    share = 1 - momentum if reverse else momentum
    now = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=running_unbiased)
    return (
        y,
        (1 - share) * running_mean + share * now[0],
        (1 - share) * running_var + share * now[1],
    )


def wrong_norm(**switches):
    return lambda *args: normalise(*args, **switches)


def norm_case(seed, shape, training, momentum, eps):
    n, c, h, w = shape
    x = 3 * noise(seed, *shape) + noise(seed + 1, c, 1, 1)
    state = (noise(seed + 4, c), noise(seed + 5, c).abs() + 0.5)
    args = (x, noise(seed + 2, c), noise(seed + 3, c), *state, training, momentum, eps)
    mode = "training" if training else "not training"
    return Case(args, f"x of {n}x{c}x{h}x{w}, {mode}, momentum {momentum}, eps {eps}")


batch_norm = FunctionExercise(
    name="batch_norm",
    lesson=3,
    call=(
        "batch_norm(x, gamma, beta, running_mean, running_var, training, momentum, eps)"
    ),
    task=(
        "(y, new running_mean, new running_var) for x of shape (N, C, H, W), as "
        "torch's BatchNorm2d computes them."
    ),
    parts=("y", "running_mean", "running_var"),
    right=normalise,
    cases=(
        norm_case(1, (4, 3, 2, 2), True, 0.1, 1e-3),
        norm_case(2, (2, 5, 3, 4), True, 0.25, 0.1),
        norm_case(3, (4, 3, 2, 2), False, 0.1, 1e-3),
        norm_case(4, (3, 3, 3, 3), True, 0.003, 1e-3),
    ),
    mistakes={
        "in training y is normalised with the biased variance: divide by the number "
        "of values, unbiased=False": wrong_norm(unbiased=True),
        "running_var takes the unbiased variance: divide by the number of values "
        "minus 1": wrong_norm(running_unbiased=False),
        "eps belongs inside the square root: sqrt(var + eps)": wrong_norm(outside=True),
        "divide by the standard deviation, the root of the variance": wrong_norm(
            root=False
        ),
        "one mean a channel, over batch, height and width: dimensions (0, 2, 3); "
        "yours is one an image and channel (instance normalisation)": wrong_norm(
            dims=(2, 3)
        ),
        "one mean a channel, over batch, height and width: dimensions (0, 2, 3); "
        "yours is one an image (layer normalisation)": wrong_norm(dims=(1, 2, 3)),
        "momentum is the share of the new value in torch: (1 - momentum) * old + "
        "momentum * new": wrong_norm(reverse=True),
        "in training the running statistics move too: (1 - momentum) * old + "
        "momentum * new": wrong_norm(never_update=True),
        "outside training the running statistics normalise, not the batch's": (
            wrong_norm(always_batch=True)
        ),
        "outside training the running statistics stay as they are": wrong_norm(
            always_update=True
        ),
        "gamma and beta are forgotten: y = gamma * normalised + beta": wrong_norm(
            affine=False
        ),
    },
    tolerance=1e-4,
)

EXERCISES = (saving, factorize_5x5, asymmetric, grid_reduction, batch_norm)
