"""Lesson 3: factorized convolutions, grid reduction, batch normalization.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 3 and 5;
Batch Normalization, arXiv 1502.03167, algorithms 1 and 2.
"""

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise, known_mistakes
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
    mistakes=known_mistakes("saving", globals()),
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
    mistakes=known_mistakes("factorize_5x5", globals()),
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
    mistakes=known_mistakes("asymmetric", globals()),
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
    mistakes=known_mistakes("grid_reduction", globals()),
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
    mistakes=known_mistakes("batch_norm", globals()),
    tolerance=1e-4,
)

EXERCISES = (saving, factorize_5x5, asymmetric, grid_reduction, batch_norm)
