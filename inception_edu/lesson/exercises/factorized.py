"""Lesson 3: factorized convolutions, grid reduction, batch normalization.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 3 and 5;
Batch Normalization, arXiv 1502.03167, algorithms 1 and 2.
"""

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise, formulas
from inception_edu.lesson.recorder import noise

saving = Exercise(
    name="saving",
    lesson=3,
    call="saving(n)",
    task=(
        "The share of the cost that 1 x n followed by n x 1 saves against one n x n "
        "convolution, with equal widths: 0.25 for a quarter."
    ),
    right=lambda n: 1 - 2 / n,
    cases=tuple(Case((n,)) for n in (3, 5, 7, 4, 9, 13, 1)),
    mistakes=formulas(
        "n",
        {
            "this is what is left, not what is saved": "2/n",
            "return a share, not per cent: 0.25, not 25": "100*(1 - 2/n)",
            "there are two convolutions, 1 x n and n x 1": "1 - 1/n",
            "a 1 x n has n weights per pair of channels, an n x n has n * n": (
                ("1 - 2/n**2", "1 - 1/n**2")
            ),
            "this is how many times cheaper it is, not the share saved": "n/2",
            "this is the number of weights saved; divide by those of n x n": (
                "n*n - 2*n"
            ),
            "the difference is divided by the n x n, not by the thin ones": (
                "(n*n - 2*n)/(2*n)"
            ),
            "the second convolution comes on top of the first: n + n": "1 - n*n/n**2",
            "the sign is the other way round: a saving is positive": "2/n - 1",
            "do not round": ("round(1 - 2/n, 2)", "round(1 - 2/n)", "1 - 2//n"),
        },
    ),
)


def two_steps(first, second):
    """A reference of two convolutions one after the other."""
    return lambda x, net, *args: net(net(x, first), second)


factorize_5x5 = ModuleExercise(
    name="factorize_5x5",
    lesson=3,
    call="factorize_5x5(in_channels, out_channels)",
    task=(
        "Figure 1: two 3x3 convolutions in the place of one 5x5, the first already "
        "out_channels wide, a ReLU after each; the grid stays."
    ),
    layers=lambda i, o: {"first 3x3": (o, i, 3, 3), "second 3x3": (o, o, 3, 3)},
    right=two_steps("first 3x3", "second 3x3"),
    mistakes={
        "the first 3x3 already makes out_channels, and the second keeps them": (
            lambda x, net, i, o: net(net(x, (i, i, 3, 3)), (o, i, 3, 3))
        ),
        "one 3x3 sees 3x3 pixels only: a second one follows it": (
            lambda x, net, i, o: net(x, "first 3x3")
        ),
        "this is the 5x5 itself: put two 3x3 in its place": (
            lambda x, net, i, o: net(x, (o, i, 5, 5))
        ),
        "two 3x3 see 5x5 already: the third is one too many": (
            lambda x, net, i, o: net(
                net(net(x, "first 3x3"), "second 3x3"), (o, o, 3, 3)
            )
        ),
        "the second 3x3 reads the first; they are not side by side": (
            lambda x, net, i, o: net(x, "first 3x3") + net(x, (o, i, 3, 3))
        ),
    },
    cases=(
        Case((6, 10), "6, 10", (2, 6, 9, 7)),
        Case((7, 3), "7, 3", (3, 7, 6, 11)),
    ),
)


def pair(x, net, i, o, n, *, swapped=False, turned=False):
    """1 x n, then n x 1; the keywords make the known mistakes."""
    pads = [(0, n // 2), (n // 2, 0)]
    first, second = ("nx1", "1xn") if turned else ("1xn", "nx1")
    one, other = pads[::-1] if swapped or turned else pads
    return net(net(x, first, 1, one), second, 1, other)


def thin_pair(first, second):
    """Two layers one after the other, by shapes that depend on i, o and n."""

    def run(x, net, i, o, n):
        return net(net(x, first(i, o, n)), second(i, o, n))

    return run


def side_by_side(x, net, i, o, n):
    return torch.cat([net(x, (None, i, 1, n)), net(x, (None, i, n, 1))], 1)


asymmetric = ModuleExercise(
    name="asymmetric",
    lesson=3,
    call="asymmetric(in_channels, out_channels, n)",
    task=(
        "Figure 3 and 6: a 1 x n convolution to out_channels, then an n x 1, a ReLU "
        "after each; n is odd and the grid stays."
    ),
    layers=lambda i, o, n: {"1xn": (o, i, 1, n), "nx1": (o, o, n, 1)},
    right=pair,
    mistakes={
        "the 1 x n already makes out_channels, and the n x 1 keeps them": thin_pair(
            lambda i, o, n: (i, i, 1, n), lambda i, o, n: (o, i, n, 1)
        ),
        "the 1 x n, `kernel_size=(1, n)`, comes first here, then the n x 1": [
            thin_pair(lambda i, o, n: (o, i, n, 1), lambda i, o, n: (o, o, 1, n)),
            thin_pair(lambda i, o, n: (i, i, n, 1), lambda i, o, n: (o, i, 1, n)),
        ],
        "both are 1 x n: the second has `kernel_size=(n, 1)`": thin_pair(
            lambda i, o, n: (o, i, 1, n), lambda i, o, n: (o, o, 1, n)
        ),
        "both are n x n: use `kernel_size=(1, n)` and `(n, 1)`": thin_pair(
            lambda i, o, n: (o, i, n, n), lambda i, o, n: (o, o, n, n)
        ),
        "this is the n x n itself: put a 1 x n and an n x 1 in its place": (
            lambda x, net, i, o, n: net(x, (o, i, n, n))
        ),
        "an n x 1 follows the 1 x n": lambda x, net, i, o, n: net(x, "1xn"),
        "one after the other, not side by side: concatenating both is the expanded "
        "filter bank of the 8x8 modules, which sees no n x n": [
            side_by_side,
            lambda x, net, i, o, n: net(x, "1xn") + net(x, (o, i, n, 1)),
        ],
        "the paddings are swapped: the 1 x n loses columns, so (0, n // 2); the n x 1 "
        "loses rows, so (n // 2, 0)": {"swapped": True},
    },
    cases=(
        Case((6, 8, 7), "6, 8, 7", (2, 6, 9, 9)),
        Case((6, 4, 3), "6, 4, 3", (3, 6, 5, 8)),
        Case((5, 5, 3), "5, 5, 3", (2, 5, 5, 5)),
        Case((3, 4, 5), "3, 4, 5", (2, 3, 9, 7)),
    ),
)


def max_pool(x, padding=0):
    return F.max_pool2d(x, 3, 2, padding)


def reduction(x, net, i, o, *, pool=max_pool, padding=0, stride=2):
    return {
        "convolution": lambda: net(x, "3x3", stride, padding),
        "pool": lambda: pool(x),
    }


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
    branches=("convolution", "pool"),
    right=reduction,
    mistakes={
        "without padding 35 becomes 17, with it 18: `padding=0` in both branches": {
            "padding": 1,
            "pool": lambda x: max_pool(x, 1),
        },
        "both branches have stride 2": {
            "stride": 1,
            "pool": lambda x: F.max_pool2d(x, 3, 1),
        },
        "pooling before the convolution squeezes everything through the pool, the "
        "bottleneck that section 5 avoids: put them side by side": [
            lambda x, net, i, o: net(max_pool(x), "3x3"),
            lambda x, net, i, o: net(max_pool(x), "3x3", 1, 0),
            lambda x, net, i, o: net(F.max_pool2d(x, 2), "3x3"),
        ],
        "convolving at full size and pooling after costs four times as much: put "
        "them side by side, with stride 2": [
            lambda x, net, i, o: max_pool(net(x, "3x3")),
            lambda x, net, i, o: max_pool(net(x, "3x3", 1, 0)),
        ],
        "the pool stands beside the convolution, not after it: both read the input": (
            lambda x, net, i, o: max_pool(net(x, "3x3", 2, 0))
        ),
        "the convolution stands beside the pool, not after it: both read the input": (
            lambda x, net, i, o: net(max_pool(x), "3x3", 2, 0)
        ),
        "the pool is a max pool": {"pool": lambda x: F.avg_pool2d(x, 3, 2)},
        "the pool's window is 3x3, with stride 2": {
            "pool": lambda x: F.max_pool2d(x, 2)
        },
        "a max pool of the input stands beside the convolution": {
            "pool": lambda x: x[:, :, 1:-1:2, 1:-1:2]
        },
        "no convolution follows the pool": lambda x, net, i, o: {
            "convolution": lambda: net(x, "3x3", 2, 0),
            "pool": lambda: net(max_pool(x), (None, i, 1, 1)),
        },
    },
    cases=(
        Case((4, 6), "4, 6", (2, 4, 35, 17)),
        Case((5, 5), "5, 5", (3, 5, 9, 13)),
        Case((3, 7), "3, 7", (2, 3, 11, 11)),
    ),
)


def along(values):
    return values[:, None, None]


def normalize(
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
    update=None,
    batch_statistics=None,
    root=True,
    affine=True,
    replace=False,
):
    """Batch normalization by hand; the keywords make the known mistakes."""
    mean, var = along(running_mean), along(running_var)
    if training if batch_statistics is None else batch_statistics:
        mean = x.mean(dims, keepdim=True)
        var = x.var(dims, unbiased=unbiased, keepdim=True)
    inside = (var + eps).sqrt() if root else var + eps
    scale = var.sqrt() + eps if outside else inside
    y = (x - mean) / scale
    if affine:
        y = y * along(gamma) + along(beta)
    if not (training if update is None else update):
        return y, running_mean, running_var
    share = 1 - momentum if reverse else momentum
    kept = 0 if replace else 1 - share
    share = 1 if replace else share
    now = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=running_unbiased)
    return (
        y,
        kept * running_mean + share * now[0],
        kept * running_var + share * now[1],
    )


def norm_case(seed, shape, training, momentum, eps):
    n, c, h, w = shape
    x = 3 * noise(seed, *shape) + noise(seed + 1, c, 1, 1)
    state = (noise(seed + 4, c), noise(seed + 5, c).abs() + 0.5)
    args = (x, noise(seed + 2, c), noise(seed + 3, c), *state, training, momentum, eps)
    mode = "training" if training else "not training"
    return Case(args, f"x of {n}x{c}x{h}x{w}, {mode}, momentum {momentum}, eps {eps}")


batch_norm = Exercise(
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
    right=normalize,
    cases=(
        norm_case(1, (4, 3, 2, 2), True, 0.1, 1e-3),
        norm_case(2, (2, 5, 3, 4), True, 0.25, 0.1),
        norm_case(3, (4, 3, 2, 2), False, 0.1, 0.05),
        norm_case(4, (3, 3, 3, 3), True, 0.003, 0.01),
    ),
    mistakes={
        "in training y is normalized with the biased variance: divide by the number "
        "of values, `unbiased=False`": {"unbiased": True},
        "running_var takes the unbiased variance: divide by the number of values "
        "minus 1": {"running_unbiased": False},
        "the two variances are swapped: y takes the biased, running_var the unbiased": {
            "unbiased": True,
            "running_unbiased": False,
        },
        "eps belongs inside the square root: sqrt(var + eps)": {"outside": True},
        "divide by the standard deviation, the root of the variance": {"root": False},
        "one mean per channel, over batch, height and width: dimensions (0, 2, 3); "
        "yours is one per image and channel (instance normalization)": {"dims": (2, 3)},
        "one mean per channel, over batch, height and width: dimensions (0, 2, 3); "
        "yours is one per image (layer normalization)": {"dims": (1, 2, 3)},
        "one mean per channel, over batch, height and width: dimensions (0, 2, 3)": [
            {"dims": (0,)},
            {"dims": (0, 1, 2, 3)},
        ],
        "momentum is the share of the new value in torch: (1 - momentum) * old + "
        "momentum * new": {"reverse": True},
        "the running statistics average old and new: (1 - momentum) * old + "
        "momentum * new": {"replace": True},
        "in training the running statistics move too: (1 - momentum) * old + "
        "momentum * new": {"update": False},
        "outside training the running statistics normalize, not the batch's": {
            "batch_statistics": True
        },
        "in training the batch's statistics normalize, not the running ones": {
            "batch_statistics": False
        },
        "outside training the running statistics stay as they are": {"update": True},
        "gamma and beta are missing: y = gamma * normalized + beta": {"affine": False},
        "beta is missing: y = gamma * normalized + beta": (
            lambda x, gamma, beta, *rest: normalize(x, gamma, 0 * beta, *rest)
        ),
        "gamma is missing: y = gamma * normalized + beta": (
            lambda x, gamma, beta, *rest: normalize(x, 0 * gamma + 1, beta, *rest)
        ),
        "gamma and beta are swapped: y = gamma * normalized + beta": (
            lambda x, gamma, beta, *rest: normalize(x, beta, gamma, *rest)
        ),
        "eps is missing: sqrt(var + eps)": lambda *args: normalize(*args[:-1], 0.0),
    },
    tolerance=1e-4,
)

EXERCISES = (saving, factorize_5x5, asymmetric, grid_reduction, batch_norm)
