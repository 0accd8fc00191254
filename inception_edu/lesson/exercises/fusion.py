"""Lesson 6: batch norm folded into a convolution, parallel 1x1 merged."""

import torch

from inception_edu.lesson.exercise import Case, exercise
from inception_edu.lesson.recorder import noise


def fold_case(seed, outputs, inputs, with_bias, eps):
    args = (
        noise(seed, outputs, inputs, 3, 3),
        noise(seed + 1, outputs) if with_bias else None,
        noise(seed + 2, outputs),
        noise(seed + 3, outputs).abs() + 0.1,
        noise(seed + 4, outputs),
        noise(seed + 5, outputs),
        eps,
    )
    bias = "with bias" if with_bias else "bias None"
    return Case(args, f"3x3 {inputs}->{outputs}, {bias}, eps {eps}")


@exercise(
    fold_case(1, 4, 3, False, 1e-2),
    fold_case(2, 5, 5, True, 0.1),
    fold_case(3, 2, 6, True, 0.05),
    parts=("weight", "bias"),
    tolerance=1e-5,
    lesson=6,
)
def fold_batch_norm(weight, bias, mean, var, gamma, beta, eps):
    """(weight, bias) of one convolution that gives what the convolution followed by
    its batch norm gives in eval mode; bias may be None."""
    old = torch.zeros_like(mean) if bias is None else bias
    factor = gamma / (var + eps).sqrt()
    return weight * factor[:, None, None, None], (old - mean) * factor + beta


def siblings_case(seed, inputs, outputs):
    weights = [noise(seed + k, o, inputs, 1, 1) for k, o in enumerate(outputs)]
    biases = [noise(seed + 50 + k, o) for k, o in enumerate(outputs)]
    return Case((weights, biases), f"1x1 from {inputs} to {outputs} channels")


@exercise(
    siblings_case(1, 6, (2, 3, 4)),
    siblings_case(2, 4, (4, 4)),
    siblings_case(3, 3, (5, 2, 1, 6)),
    parts=("weight", "bias"),
    lesson=6,
)
def merge_siblings(weights, biases):
    """(weight, bias) of one 1x1 convolution that gives the outputs of several, which
    all read the same input, one after the other along the channels."""
    return torch.cat(weights, 0), torch.cat(biases, 0)
