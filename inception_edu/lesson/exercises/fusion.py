"""Lesson 6: batch norm folded into a convolution, parallel 1x1 merged."""

import torch

from inception_edu.lesson.exercise import Case, Exercise, known_mistakes
from inception_edu.lesson.module_mistakes import identity
from inception_edu.lesson.recorder import noise


def over_outputs(factor, weight):
    return weight * factor.reshape(-1, *[1] * (weight.dim() - 1))


def over_inputs(factor, weight):
    return weight * factor.reshape(1, -1, *[1] * (weight.dim() - 2))


def fold_bias(bias, mean, factor, beta):
    return (bias - mean) * factor + beta


def fold(
    weight, bias, mean, var, gamma, beta, eps, *,
    factor=lambda var, gamma, eps: gamma / (var + eps).sqrt(),
    scale=over_outputs,
    shift=fold_bias,
):  # fmt: skip
    """Weight and bias with the norm folded in; the keywords make the mistakes."""
    factor = factor(var, gamma, eps)
    old = torch.zeros_like(mean) if bias is None else bias
    return scale(factor, weight), shift(old, mean, factor, beta)


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


fold_batch_norm = Exercise(
    name="fold_batch_norm",
    lesson=6,
    call="fold_batch_norm(weight, bias, mean, var, gamma, beta, eps)",
    task=(
        "(weight, bias) of one convolution that gives what the convolution "
        "followed by its batch norm gives in eval mode; bias may be None."
    ),
    parts=("weight", "bias"),
    right=fold,
    tolerance=1e-5,
    cases=(
        fold_case(1, 4, 3, False, 1e-2),
        fold_case(2, 5, 5, True, 0.1),
        fold_case(3, 2, 6, True, 0.05),
    ),
    mistakes=known_mistakes("fold_batch_norm", globals()),
)


def siblings_case(seed, inputs, outputs):
    weights = [noise(seed + k, o, inputs, 1, 1) for k, o in enumerate(outputs)]
    biases = [noise(seed + 50 + k, o) for k, o in enumerate(outputs)]
    return Case((weights, biases), f"1x1 from {inputs} to {outputs} channels")


def merge(weights, biases, *, order=identity, dim=0):
    return torch.cat(order(weights), dim), torch.cat(order(biases), 0)


merge_siblings = Exercise(
    name="merge_siblings",
    lesson=6,
    call="merge_siblings(weights, biases)",
    task=(
        "(weight, bias) of one 1x1 convolution that gives the outputs of several, "
        "which all read the same input, one after the other along the channels."
    ),
    parts=("weight", "bias"),
    right=merge,
    cases=(
        siblings_case(1, 6, (2, 3, 4)),
        siblings_case(2, 4, (4, 4)),
        siblings_case(3, 3, (5, 2, 1, 6)),
    ),
    mistakes=known_mistakes("merge_siblings", globals()),
)


EXERCISES = (fold_batch_norm, merge_siblings)
