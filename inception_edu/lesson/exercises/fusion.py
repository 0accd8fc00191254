"""Lesson 6: batch norm folded into a convolution, parallel 1x1 merged."""

import torch

from inception_edu.lesson.exercise import Case, Exercise
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
    mistakes={
        "eps is missing: gamma / sqrt(var + eps)": {
            "factor": lambda var, gamma, eps: gamma / var.sqrt()
        },
        "eps belongs under the root: sqrt(var + eps)": {
            "factor": lambda var, gamma, eps: gamma / (var.sqrt() + eps)
        },
        "divide by the standard deviation, the root of var + eps": {
            "factor": lambda var, gamma, eps: gamma / (var + eps)
        },
        "divide by the root, do not multiply": {
            "factor": lambda var, gamma, eps: gamma * (var + eps).sqrt()
        },
        "gamma is missing: the factor is gamma / sqrt(var + eps)": {
            "factor": lambda var, gamma, eps: 1 / (var + eps).sqrt()
        },
        "the convolution's own bias is missing: (bias - mean) * factor + beta": {
            "shift": lambda old, mean, factor, beta: beta - mean * factor
        },
        "the mean is missing: (bias - mean) * factor + beta": {
            "shift": lambda old, mean, factor, beta: old * factor + beta
        },
        "the mean is scaled too: (bias - mean) * factor + beta": {
            "shift": lambda old, mean, factor, beta: old - mean + beta
        },
        "only the bias is scaled; the mean is too: (bias - mean) * factor + beta": {
            "shift": lambda old, mean, factor, beta: old * factor - mean + beta
        },
        "the old bias is scaled too: (bias - mean) * factor + beta": {
            "shift": lambda old, mean, factor, beta: old - mean * factor + beta
        },
        "the mean is subtracted, not added: (bias - mean) * factor + beta": {
            "shift": lambda old, mean, factor, beta: (old + mean) * factor + beta
        },
        "beta is missing: (bias - mean) * factor + beta": {
            "shift": lambda old, mean, factor, beta: (old - mean) * factor
        },
        "beta is not scaled: (bias - mean) * factor + beta": {
            "shift": lambda old, mean, factor, beta: (old - mean + beta) * factor
        },
        "the weight is scaled by the factor as well": {
            "scale": lambda factor, weight: weight
        },
        "the factor belongs to the output channels, dimension 0 of the weight": [
            {"scale": over_inputs},
            {"scale": lambda factor, weight: weight * factor},
        ],
        "the first value is the weight, the second the bias": (
            lambda *args: fold(*args)[::-1]
        ),
    },
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
    mistakes={
        "join along the output channels, dimension 0: the input is the same": {
            "dim": 1
        },
        "join, do not add: each keeps its own output channels": [
            lambda weights, biases: (sum(weights), sum(biases)),
            lambda weights, biases: (sum(weights), torch.cat(biases)),
            lambda weights, biases: (torch.cat(weights), sum(biases)),
        ],
        "torch.cat joins along a dimension; torch.stack makes a new one": [
            lambda weights, biases: (torch.stack(weights), torch.stack(biases)),
            lambda weights, biases: (torch.stack(weights), torch.cat(biases)),
            lambda weights, biases: (torch.cat(weights), torch.stack(biases)),
        ],
        "the weight comes first, the bias after it": (
            lambda weights, biases: merge(weights, biases)[::-1]
        ),
        "the outputs are in reverse order": {"order": lambda parts: parts[::-1]},
        "weights and biases are in the same order": [
            lambda weights, biases: (
                merge(weights[::-1], biases)[:1] + merge(weights, biases)[1:]
            ),
            lambda weights, biases: (
                merge(weights, biases)[:1] + merge(weights, biases[::-1])[1:]
            ),
        ],
        "all of them are merged, not only the first two": {
            "order": lambda parts: parts[:2]
        },
    },
)


EXERCISES = (fold_batch_norm, merge_siblings)
