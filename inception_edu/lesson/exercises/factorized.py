"""Lesson 3: factorized convolutions, grid reduction, batch normalization.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 3 and 5;
Batch Normalization, arXiv 1502.03167, algorithms 1 and 2.
"""

from torch.nn import functional as F

from inception_edu.lesson.compare_modules import module_exercise
from inception_edu.lesson.exercise import Case, exercise
from inception_edu.lesson.recorder import noise


@exercise(*(Case((n,)) for n in (3, 5, 7, 4, 9, 13, 1)), lesson=3)
def saving(n):
    """The share of the cost that 1 x n followed by n x 1 saves against one n x n
    convolution, with equal widths: 0.25 for a quarter."""
    return 1 - 2 / n


@module_exercise(
    Case((6, 10), image=(2, 6, 9, 7)),
    Case((7, 3), image=(3, 7, 6, 11)),
    lesson=3,
)
def factorize_5x5(x, conv, in_channels, out_channels):
    """Figure 1: two 3x3 convolutions in place of one 5x5, the first already
    out_channels wide, a ReLU after each; the grid stays."""
    y = conv(x, "first 3x3", out_channels, 3)
    return conv(y, "second 3x3", out_channels, 3)


@module_exercise(
    Case((6, 8, 7), image=(2, 6, 9, 9)),
    Case((6, 4, 3), image=(3, 6, 5, 8)),
    Case((5, 5, 3), image=(2, 5, 5, 5)),
    Case((3, 4, 5), image=(2, 3, 9, 7)),
    lesson=3,
)
def asymmetric(x, conv, in_channels, out_channels, n):
    """Figure 3 and 6: a 1 x n convolution to out_channels, then an n x 1, a ReLU
    after each; n is odd and the grid stays."""
    y = conv(x, "1xn", out_channels, (1, n))
    return conv(y, "nx1", out_channels, (n, 1))


@module_exercise(
    Case((4, 6), image=(2, 4, 35, 17)),
    Case((5, 5), image=(3, 5, 9, 13)),
    Case((3, 7), image=(2, 3, 11, 11)),
    lesson=3,
)
def grid_reduction(x, conv, in_channels, conv_channels):
    """Section 5, in its simplest form: a 3x3 convolution of stride 2 with ReLU beside
    a 3x3 max pool of stride 2, neither padded, concatenated in that order."""
    convolved = conv(x, "3x3", conv_channels, 3, 2, 0)
    pooled = F.max_pool2d(x, 3, 2, 0)
    return conv.join({"convolution": convolved, "pool": pooled})


def norm_case(seed, shape, training, momentum, eps):
    n, c, h, w = shape
    x = 3 * noise(seed, *shape) + noise(seed + 1, c, 1, 1)
    state = (noise(seed + 4, c), noise(seed + 5, c).abs() + 0.5)
    args = (x, noise(seed + 2, c), noise(seed + 3, c), *state, training, momentum, eps)
    mode = "training" if training else "not training"
    return Case(args, f"x of {n}x{c}x{h}x{w}, {mode}, momentum {momentum}, eps {eps}")


@exercise(
    norm_case(1, (4, 3, 2, 2), True, 0.1, 1e-3),
    norm_case(2, (2, 5, 3, 4), True, 0.25, 0.1),
    norm_case(3, (4, 3, 2, 2), False, 0.1, 0.05),
    norm_case(4, (3, 3, 3, 3), True, 0.003, 0.01),
    parts=("y", "running_mean", "running_var"),
    differentiable=True,
    tolerance=1e-4,
    lesson=3,
)
def batch_norm(x, gamma, beta, running_mean, running_var, training, momentum, eps):
    """(y, new running_mean, new running_var) for x of shape (N, C, H, W), as torch's
    BatchNorm2d computes them."""
    mean, var = running_mean[:, None, None], running_var[:, None, None]
    if training:
        mean = x.mean((0, 2, 3), keepdim=True)
        var = x.var((0, 2, 3), keepdim=True, unbiased=False)
    y = (x - mean) / (var + eps).sqrt()
    y = y * gamma[:, None, None] + beta[:, None, None]
    old, new = (1 - momentum, momentum) if training else (1, 0)
    running_mean = old * running_mean + new * x.mean((0, 2, 3))
    running_var = old * running_var + new * x.var((0, 2, 3), unbiased=True)
    return y, running_mean, running_var
