"""Lesson 4: RMSProp as torch and TensorFlow write it, averaging, clipping.

Rethinking the Inception Architecture, arXiv 1512.00567, section 8;
`torch.optim.RMSprop`; TensorFlow's ApplyRMSProp.
"""

import math

import torch

from inception_edu.lesson.exercise import Case, Exercise, known_mistakes
from inception_edu.lesson.recorder import noise


def walk(step, parameter, gradients, learning_rate, decay, eps):
    """Several steps in a row, from a square average of zeros."""
    square = torch.zeros_like(parameter)
    for gradient in gradients:
        parameter, square = step(parameter, gradient, square, learning_rate, decay, eps)
    return parameter, square


def after_root(square, eps):
    return square.sqrt() + eps


def inside_root(square, eps):
    return (square + eps).sqrt()


def averaged(square, gradient, decay):
    return decay * square + (1 - decay) * gradient**2


def added_up(square, gradient, decay):
    return square + gradient**2


def rmsprop(
    parameter, gradient, square, rate, decay, eps, *,
    average=averaged, root=after_root, sign=1, old=False,
):  # fmt: skip
    """One step of torch's RMSProp; the keywords make the known mistakes."""
    new = average(square, gradient, decay)
    step = rate * gradient / root(square if old else new, eps)
    return parameter - sign * step, new


def steps_case(seed, steps, learning_rate, decay, eps, size=3):
    start = noise(seed, size)
    gradients = [noise(seed + 1 + k, size) for k in range(steps)]
    label = f"{steps} steps, rate {learning_rate}, decay {decay}, eps {eps}"
    return Case((start, gradients, learning_rate, decay, eps), label)


rmsprop_step = Exercise(
    name="rmsprop_step",
    lesson=4,
    call="rmsprop_step(parameter, gradient, square, learning_rate, decay, eps)",
    task=(
        "(new parameter, new square) after one step of RMSProp as torch writes it; "
        "square is the moving average of the squared gradient, zeros at first."
    ),
    parts=("parameter", "square"),
    drive=walk,
    right=rmsprop,
    tolerance=1e-5,
    cases=(
        steps_case(1, 1, 0.045, 0.9, 0.01),
        steps_case(2, 5, 0.045, 0.9, 1.0),
        steps_case(3, 4, 0.1, 0.98, 0.1, size=4),
    ),
    mistakes=known_mistakes("rmsprop_step", globals()),
)


def walk_tf(step, parameter, gradients, rates, decay, momentum, eps):
    """Several steps with a falling rate, from a square average of ones."""
    square, buffer = torch.ones_like(parameter), torch.zeros_like(parameter)
    for gradient, rate in zip(gradients, rates, strict=True):
        parameter, square, buffer = step(
            parameter, gradient, square, buffer, rate, decay, momentum, eps
        )
    return parameter, square, buffer


def tf_step(
    w, g, square, buffer, rate, decay, momentum, eps, *,
    root=inside_root, average=averaged, late=False, share=1, kept=1, old=False,
):  # fmt: skip
    """One step of TensorFlow's RMSProp; the keywords make the known mistakes."""
    new = average(square, g, decay)
    step = g / root(square if old else new, eps) * (1 if late else rate)
    buffer = kept * momentum * buffer + (1 - momentum if share == "rest" else 1) * step
    return w - (rate if late else 1) * buffer, new, buffer


def tf_past_buffer(w, g, square, buffer, rate, decay, momentum, eps):
    past = momentum * buffer
    new, square, buffer = tf_step(w, g, square, buffer, rate, decay, momentum, eps)
    return new + past, square, buffer


def tf_uphill(w, *rest):
    new, square, buffer = tf_step(w, *rest)
    return 2 * w - new, square, buffer


def tf_nesterov(w, g, square, buffer, rate, decay, momentum, eps):
    _, square, after = tf_step(w, g, square, buffer, rate, decay, momentum, eps)
    step = after - momentum * buffer
    return w - (momentum * after + step), square, after


def tf_case(seed, rates, decay, momentum, eps):
    start = noise(seed, 3)
    gradients = [2 * noise(seed + 1 + k, 3) for k in range(len(rates))]
    label = f"{len(rates)} steps, momentum {momentum}, eps {eps}"
    return Case((start, gradients, rates, decay, momentum, eps), label)


rmsprop_tf_step = Exercise(
    name="rmsprop_tf_step",
    lesson=4,
    call=(
        "rmsprop_tf_step(parameter, gradient, square, buffer, learning_rate, decay, "
        "momentum, eps)"
    ),
    task=(
        "(new parameter, new square, new buffer) after one step of RMSProp as "
        "TensorFlow writes it: eps inside the root, the rate inside the buffer."
    ),
    parts=("parameter", "square", "buffer"),
    drive=walk_tf,
    right=tf_step,
    tolerance=1e-5,
    cases=(
        tf_case(1, (0.045,), 0.9, 0.9, 1.0),
        tf_case(2, (0.045, 0.04, 0.01, 0.02), 0.9, 0.8, 1.0),
        tf_case(3, (0.1, 0.05), 0.6, 0.3, 0.1),
    ),
    mistakes=known_mistakes("rmsprop_tf_step", globals()),
)


ema_update = Exercise(
    name="ema_update",
    lesson=4,
    call="ema_update(average, weights, decay)",
    task=(
        "The new exponential moving average of one tensor of weights, as a new tensor."
    ),
    right=lambda average, weights, decay: decay * average + (1 - decay) * weights,
    cases=(
        Case((noise(1, 4), noise(2, 4), 0.9), "4 weights, decay 0.9"),
        Case((noise(3, 2, 3), noise(4, 2, 3), 0.99), "2x3 weights, decay 0.99"),
        Case((noise(5, 3), noise(6, 3), 0.3), "3 weights, decay 0.3"),
    ),
    mistakes=known_mistakes("ema_update", globals()),
)


def total_norm(gradients):
    return math.sqrt(sum(float((g**2).sum()) for g in gradients))


def scaled(gradients, factor):
    return [g * factor for g in gradients]


def clip_by_norm(gradients, max_norm, *, norm=total_norm, always=False, target=None):
    size = norm(gradients)
    target = max_norm if target is None else target
    return scaled(gradients, target / size if size > max_norm or always else 1.0)


clip = Exercise(
    name="clip",
    lesson=4,
    call="clip(gradients, max_norm)",
    task=(
        "New gradients (a list of tensors) whose norm, taken over all of them "
        "together, is at most max_norm; unchanged where it already is."
    ),
    right=clip_by_norm,
    tolerance=2e-6,
    cases=(
        Case(([4 * noise(1, 3), 4 * noise(2, 2, 2)], 2.0), "two large gradients, 2.0"),
        Case(([0.3 * noise(3, 3)], 2.0), "one small gradient, 2.0"),
        Case(([5 * noise(4, 3), 0.6 * noise(5, 4)], 1.3), "a large, a small one, 1.3"),
        Case(([torch.zeros(3)], 2.0), "a gradient of zeros, 2.0"),
    ),
    mistakes=known_mistakes("clip", globals()),
)

EXERCISES = (rmsprop_step, rmsprop_tf_step, ema_update, clip)
