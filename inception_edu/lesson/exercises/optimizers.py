"""Lesson 4: RMSProp as torch and TensorFlow write it, averaging, clipping.

Rethinking the Inception Architecture, arXiv 1512.00567, section 8;
`torch.optim.RMSprop`; TensorFlow's ApplyRMSProp.
"""

import math

import torch

from inception_edu.lesson.exercise import Case, exercise
from inception_edu.lesson.recorder import noise


def step_case(seed, numbers, *moments):
    """One step from a square, and a buffer, that earlier steps have left behind."""
    start, gradient, square, *buffer = (noise(seed + k, 4) for k in range(4))
    names = ("rate", "decay", *moments, "eps")
    label = ", ".join(f"{n} {v}" for n, v in zip(names, numbers, strict=True))
    state = (start, gradient, square**2, *(buffer if moments else ()))
    return Case((*state, *numbers), f"4 weights, {label}")


@exercise(
    step_case(1, (0.045, 0.9, 0.01)),
    step_case(5, (0.045, 0.9, 1.0)),
    step_case(9, (0.1, 0.98, 0.1)),
    parts=("parameter", "square"),
    tolerance=1e-5,
    lesson=4,
)
def rmsprop_step(parameter, gradient, square, learning_rate, decay, eps):
    """(new parameter, new square) after one step of RMSProp as torch writes it;
    square is the moving average of the squared gradient, zeros at first."""
    new = decay * square + (1 - decay) * gradient**2
    root = new.sqrt() + eps
    return parameter - learning_rate * gradient / root, new


@exercise(
    step_case(1, (0.045, 0.9, 0.9, 1.0), "momentum"),
    step_case(5, (0.04, 0.9, 0.8, 1.0), "momentum"),
    step_case(9, (0.1, 0.6, 0.3, 0.1), "momentum"),
    parts=("parameter", "square", "buffer"),
    tolerance=1e-5,
    lesson=4,
)
def rmsprop_tf_step(
    parameter, gradient, square, buffer, learning_rate, decay, momentum, eps
):
    """(new parameter, new square, new buffer) after one step of RMSProp as TensorFlow
    writes it: eps inside the root, the rate inside the buffer."""
    new = decay * square + (1 - decay) * gradient**2
    step = learning_rate * gradient / (new + eps).sqrt()
    change = momentum * buffer + step
    return parameter - change, new, change


@exercise(
    Case((noise(1, 4), noise(2, 4), 0.9), "4 weights, decay 0.9"),
    Case((noise(3, 2, 3), noise(4, 2, 3), 0.99), "2x3 weights, decay 0.99"),
    Case((noise(5, 3), noise(6, 3), 0.3), "3 weights, decay 0.3"),
    lesson=4,
)
def ema_update(average, weights, decay):
    """The new exponential moving average of one tensor of weights, as a new tensor."""
    return decay * average + (1 - decay) * weights


@exercise(
    Case(([4 * noise(1, 3), 4 * noise(2, 2, 2)], 2.0), "two large gradients, 2.0"),
    Case(([0.3 * noise(3, 3)], 2.0), "one small gradient, 2.0"),
    Case(([5 * noise(4, 3), 0.6 * noise(5, 4)], 1.3), "a large, a small one, 1.3"),
    Case(([torch.zeros(3)], 2.0), "a gradient of zeros, 2.0"),
    tolerance=2e-6,
    lesson=4,
)
def clip(gradients, max_norm):
    """New gradients (a list of tensors) whose norm, taken over all of them together,
    is at most max_norm; unchanged where it already is."""
    norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
    factor = max_norm / norm if norm > max_norm else 1.0
    return [g * factor for g in gradients]
