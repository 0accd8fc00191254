"""Lesson 4: RMSProp, label smoothing, BN-auxiliary, averaging, clipping.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 4, 7, 8 and
figure 8; `torch.optim.RMSprop`; TensorFlow's ApplyRMSProp.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.lesson.checking import Case, Failed, FunctionExercise
from inception_edu.lesson.structures import Build, ModuleExercise, noise, relu


def walk(step, parameter, gradients, learning_rate, decay, eps):
    """Several steps in a row, from a square average of zeros."""
    square = torch.zeros_like(parameter)
    for gradient in gradients:
        parameter, square = step(parameter, gradient, square, learning_rate, decay, eps)
    return parameter, square


def rmsprop(parameter, gradient, square, learning_rate, decay, eps):
    square = decay * square + (1 - decay) * gradient**2
    return parameter - learning_rate * gradient / (square.sqrt() + eps), square


def rmsprop_inside(parameter, gradient, square, learning_rate, decay, eps):
    square = decay * square + (1 - decay) * gradient**2
    return parameter - learning_rate * gradient / (square + eps).sqrt(), square


def rmsprop_no_root(parameter, gradient, square, learning_rate, decay, eps):
    square = decay * square + (1 - decay) * gradient**2
    return parameter - learning_rate * gradient / (square + eps), square


def rmsprop_old_average(parameter, gradient, square, learning_rate, decay, eps):
    step = learning_rate * gradient / (square.sqrt() + eps)
    return parameter - step, decay * square + (1 - decay) * gradient**2


def rmsprop_uphill(parameter, gradient, square, learning_rate, decay, eps):
    new, square = rmsprop(parameter, gradient, square, learning_rate, decay, eps)
    return 2 * parameter - new, square


def rmsprop_swapped(parameter, gradient, square, learning_rate, decay, eps):
    return rmsprop(parameter, gradient, square, learning_rate, 1 - decay, eps)


def rmsprop_unsquared(parameter, gradient, square, learning_rate, decay, eps):
    square = decay * square + (1 - decay) * gradient.abs()
    return parameter - learning_rate * gradient / (square.sqrt() + eps), square


def rmsprop_sum(parameter, gradient, square, learning_rate, decay, eps):
    square = square + gradient**2
    return parameter - learning_rate * gradient / (square.sqrt() + eps), square


def rmsprop_sgd(parameter, gradient, square, learning_rate, decay, eps):
    square = decay * square + (1 - decay) * gradient**2
    return parameter - learning_rate * gradient, square


def steps_case(seed, steps, learning_rate, decay, eps, size=3):
    start = noise(seed, size).double()
    gradients = [noise(seed + 1 + k, size).double() for k in range(steps)]
    label = f"{steps} steps, rate {learning_rate}, decay {decay}, eps {eps}"
    return Case((start, gradients, learning_rate, decay, eps), label)


rmsprop_step = FunctionExercise(
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
    cases=(
        steps_case(1, 1, 0.045, 0.9, 1e-8),
        steps_case(2, 5, 0.045, 0.9, 1.0),
        steps_case(3, 4, 0.1, 0.99, 0.001),
    ),
    mistakes={
        "eps inside the root is TensorFlow's way; torch adds it after: "
        "square.sqrt() + eps": rmsprop_inside,
        "divide by the root of the square average": rmsprop_no_root,
        "update the square average first, then divide by the new one": (
            rmsprop_old_average
        ),
        "a step goes downhill: subtract it": rmsprop_uphill,
        "decay is the share of the old average: decay * square + (1 - decay) * new": (
            rmsprop_swapped
        ),
        "the average is of the squared gradient": rmsprop_unsquared,
        "the squares are averaged, not added up (that is Adagrad)": rmsprop_sum,
        "the gradient is not divided by anything (that is SGD)": rmsprop_sgd,
    },
)


def walk_tf(step, parameter, gradients, rates, decay, momentum, eps):
    """Several steps with a falling rate, from a square average of ones."""
    square, buffer = torch.ones_like(parameter), torch.zeros_like(parameter)
    for gradient, rate in zip(gradients, rates, strict=True):
        parameter, square, buffer = step(
            parameter, gradient, square, buffer, rate, decay, momentum, eps
        )
    return parameter, square, buffer


def tf_step(w, g, square, buffer, rate, decay, momentum, eps):
    square = decay * square + (1 - decay) * g**2
    buffer = momentum * buffer + rate * g / (square + eps).sqrt()
    return w - buffer, square, buffer


def tf_step_outside(w, g, square, buffer, rate, decay, momentum, eps):
    square = decay * square + (1 - decay) * g**2
    buffer = momentum * buffer + rate * g / (square.sqrt() + eps)
    return w - buffer, square, buffer


def tf_step_rate_last(w, g, square, buffer, rate, decay, momentum, eps):
    square = decay * square + (1 - decay) * g**2
    buffer = momentum * buffer + g / (square + eps).sqrt()
    return w - rate * buffer, square, buffer


def tf_step_torch(w, g, square, buffer, rate, decay, momentum, eps):
    square = decay * square + (1 - decay) * g**2
    buffer = momentum * buffer + g / (square.sqrt() + eps)
    return w - rate * buffer, square, buffer


def tf_step_small_buffer(w, g, square, buffer, rate, decay, momentum, eps):
    return tf_step(w, g, square, buffer, (1 - momentum) * rate, decay, momentum, eps)


def tf_step_past_buffer(w, g, square, buffer, rate, decay, momentum, eps):
    past = momentum * buffer
    new, square, buffer = tf_step(w, g, square, buffer, rate, decay, momentum, eps)
    return new + past, square, buffer


def tf_step_no_momentum(w, g, square, buffer, rate, decay, momentum, eps):
    return tf_step(w, g, square, buffer, rate, decay, 0.0, eps)


def tf_step_one_before(w, g, square, buffer, rate, decay, momentum, eps):
    return tf_step(w, g, square + 1, buffer, rate, decay, momentum, eps)


def tf_step_one_after(w, g, square, buffer, rate, decay, momentum, eps):
    square = decay * square + (1 - decay) * g**2 + 1
    buffer = momentum * buffer + rate * g / (square + eps).sqrt()
    return w - buffer, square, buffer


def tf_step_from_ones(w, g, square, buffer, rate, decay, momentum, eps):
    return tf_step(w, g, torch.ones_like(square), buffer, rate, decay, momentum, eps)


def tf_case(seed, rates, decay, momentum, eps):
    start = noise(seed, 3).double()
    gradients = [noise(seed + 1 + k, 3).double() for k in range(len(rates))]
    label = f"{len(rates)} steps, momentum {momentum}, eps {eps}"
    return Case((start, gradients, rates, decay, momentum, eps), label)


rmsprop_tf_step = FunctionExercise(
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
    cases=(
        tf_case(1, (0.045,), 0.9, 0.9, 1.0),
        tf_case(2, (0.045, 0.045, 0.01, 0.01), 0.9, 0.9, 1.0),
        tf_case(3, (0.1, 0.05), 0.5, 0.0, 0.1),
    ),
    mistakes={
        "eps goes inside the root here: (square + eps).sqrt()": tf_step_outside,
        "the learning rate belongs into the buffer: momentum * buffer + "
        "learning_rate * gradient / root": tf_step_rate_last,
        "this is torch's step: here eps goes inside the root, and the learning rate "
        "into the buffer": tf_step_torch,
        "the buffer takes the whole step: momentum * buffer + step, without the "
        "factor 1 - momentum": tf_step_small_buffer,
        "the weight loses the whole buffer, not this step alone: parameter - buffer": (
            tf_step_past_buffer
        ),
        "the old buffer is forgotten: momentum * buffer comes first": (
            tf_step_no_momentum
        ),
        "add no 1 to square: the caller hands in the running mean, ones at the first "
        "step": tf_step_one_before,
        "add no 1 to the new average: the ones are in the square that the caller "
        "hands in": tf_step_one_after,
        "square starts at ones only once, and the caller sees to it: use the running "
        "mean that is handed in": tf_step_from_ones,
    },
)


def smoothed(targets, classes, eps):
    """The paper's targets: (1 - eps) one-hot + eps / classes everywhere."""
    return (1 - eps) * F.one_hot(targets, classes) + eps / classes


def cross(logits, targets):
    return -(targets * logits.log_softmax(1)).sum(1).mean()


def smooth_loss(logits, targets, eps):
    return cross(logits, smoothed(targets, logits.shape[1], eps))


def smooth_rest_only(logits, targets, eps):
    classes = logits.shape[1]
    one_hot = F.one_hot(targets, classes)
    return cross(logits, one_hot * (1 - eps) + (1 - one_hot) * eps / (classes - 1))


def smooth_lost_share(logits, targets, eps):
    classes = logits.shape[1]
    one_hot = F.one_hot(targets, classes)
    return cross(logits, one_hot * (1 - eps) + (1 - one_hot) * eps / classes)


def smooth_eps_each(logits, targets, eps):
    one_hot = F.one_hot(targets, logits.shape[1])
    return cross(logits, one_hot * (1 - eps) + (1 - one_hot) * eps)


def smooth_eps_added(logits, targets, eps):
    return cross(logits, (1 - eps) * F.one_hot(targets, logits.shape[1]) + eps)


def smooth_eps_as_e(logits, targets, eps):
    classes = logits.shape[1]
    one_hot = F.one_hot(targets, classes)
    right = 1 - (classes - 1) * eps
    return cross(logits, one_hot * right + (1 - one_hot) * eps)


def smooth_full_hot(logits, targets, eps):
    classes = logits.shape[1]
    return cross(logits, F.one_hot(targets, classes) + eps / classes)


def smooth_over_samples(logits, targets, eps):
    shares = smoothed(targets, logits.shape[1], eps)
    return -(shares * logits.log_softmax(0)).sum(1).mean()


def smooth_no_softmax(logits, targets, eps):
    return -(smoothed(targets, logits.shape[1], eps) * logits).sum(1).mean()


def smooth_sum(logits, targets, eps):
    return smooth_loss(logits, targets, eps) * len(targets)


def smooth_entropy_bonus(logits, targets, eps):
    entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    return (1 - eps) * F.cross_entropy(logits, targets) - eps * entropy


def smooth_per_class(logits, targets, eps):
    return smooth_loss(logits, targets, eps) / logits.shape[1]


def smooth_case(seed, n, classes, eps):
    logits = 2 * noise(seed, n, classes).double()
    targets = torch.arange(n) * 7 % classes
    return Case((logits, targets, eps), f"{n} samples, {classes} classes, eps {eps}")


label_smoothing_loss = FunctionExercise(
    name="label_smoothing_loss",
    lesson=4,
    call="label_smoothing_loss(logits, targets, eps)",
    task=(
        "The mean cross entropy of logits (N, K) with smoothed targets: 1 - eps for "
        "the true class, plus eps / K for every class."
    ),
    right=smooth_loss,
    cases=(
        smooth_case(1, 4, 10, 0.1),
        smooth_case(2, 3, 1000, 0.1),
        smooth_case(3, 5, 2, 0.3),
        smooth_case(4, 4, 10, 0.0),
    ),
    mistakes={
        "smoothing is forgotten: these are one-hot targets": (
            lambda logits, targets, eps: F.cross_entropy(logits, targets)
        ),
        "in the paper the true class gets eps / K as well: 1 - eps + eps / K; yours "
        "spreads eps over the K - 1 others": smooth_rest_only,
        "the targets do not add up to 1: the true class gets eps / K as well": (
            smooth_lost_share
        ),
        "eps is shared by all classes: eps / K each, not eps each": smooth_eps_each,
        "add eps / K to every class, not eps: your targets add up to more than 1": (
            smooth_eps_added
        ),
        "1 - (K - 1) e for the true class and e for the others is right for e = eps / "
        "K; yours takes e = eps": smooth_eps_as_e,
        "the one-hot part gives up eps: (1 - eps) * one_hot + eps / K": smooth_full_hot,
        "the softmax goes over the classes of a sample, dim=1": smooth_over_samples,
        "take the log-softmax of the logits first": smooth_no_softmax,
        "average over the samples, do not add them up": smooth_sum,
        "add up over the classes; average over the samples only": smooth_per_class,
        "this rewards entropy of the prediction, which is not the same (section 7: "
        "the deviation is from the uniform distribution)": smooth_entropy_bonus,
    },
)


def entropy(shares):
    return -sum(share * math.log(share) for share in shares if share > 0)


def floor(classes, eps):
    small = eps / classes
    return entropy([1 - eps + small]) + (classes - 1) * entropy([small])


def floor_rest_only(classes, eps):
    return entropy([1 - eps]) + (classes - 1) * entropy([eps / (classes - 1)])


smoothing_floor = FunctionExercise(
    name="smoothing_floor",
    lesson=4,
    call="smoothing_floor(classes, eps)",
    task=(
        "The smallest loss (in nats) that smoothed targets allow: the entropy of "
        "1 - eps + eps / K and K - 1 times eps / K."
    ),
    right=floor,
    cases=(Case((10, 0.1)), Case((1000, 0.1)), Case((2, 0.5)), Case((10, 0.0))),
    mistakes={
        "a perfect prediction does not reach 0 here: the targets themselves are not "
        "certain": lambda classes, eps: 0.0,
        "the true class gets eps / K as well: 1 - eps + eps / K": floor_rest_only,
        "eps is spread over all K classes: eps / K for each, and 1 - eps + eps / K for "
        "the true one": lambda classes, eps: entropy([1 - eps, eps]),
        "the true class is one of the K: K - 1 others are left, not K": (
            lambda classes, eps: (
                entropy([1 - eps + eps / classes]) + classes * entropy([eps / classes])
            )
        ),
        "in nats: use the natural logarithm": (
            lambda classes, eps: floor(classes, eps) / math.log(2)
        ),
        "the K - 1 other classes add to the entropy too": (
            lambda classes, eps: entropy([1 - eps + eps / classes])
        ),
        "there are K - 1 other classes, not one": (
            lambda classes, eps: (
                entropy([1 - eps + eps / classes]) + entropy([eps / classes])
            )
        ),
        "this is the surprise of the true class; weigh each class by its share": (
            lambda classes, eps: -math.log(1 - eps + eps / classes)
        ),
        "an entropy is positive: mind the sign": (
            lambda classes, eps: -floor(classes, eps)
        ),
    },
)


def head_layers(in_channels, classes):
    return {
        "1x1": (128, in_channels, 1, 1),
        "5x5": (768, 128, 5, 5),
        "classifier": (classes, 768, 1, 1),
    }


def side_head(pool=None, first=relu, second=relu, last=None):
    """The auxiliary head as a reference; the switches make the known mistakes."""

    def run(x, conv, in_channels, classes):
        x = F.avg_pool2d(x, 5, 3) if pool is None else pool(x)
        x = second(conv(first(conv(x, "1x1")), "5x5", padding=0))
        x = conv(x, "classifier").flatten(1)
        return last(x) if last else x

    return run


def norms_on_the_head(module, in_channels, classes):
    """Two batch norms, on 128 and 768 channels, and none on the classifier."""
    norms = [
        child.num_features
        for child in module.modules()
        if isinstance(child, nn.modules.batchnorm._BatchNorm)
    ]
    if sorted(norms) == [128, 768]:
        return
    hint = "normalise the 1x1 (128) and the 5x5 (768), each before its ReLU"
    if classes in norms:
        hint = (
            "the classifier has no batch norm: BN-auxiliary normalises the layers "
            "before it (section 10)"
        )
    elif 768 not in norms:
        hint = (
            "BN-auxiliary is the batch norm on the head's last hidden layer too, the "
            "5x5 that spans the grid: 768 channels"
        )
    found = " and ".join(map(str, norms)) or "none"
    raise Failed(f"expected batch norms on 128 and 768 channels, got {found}", hint)


bn_auxiliary = ModuleExercise(
    name="bn_auxiliary",
    lesson=4,
    call="bn_auxiliary(in_channels, num_classes)",
    task=(
        "The auxiliary head as released, (N, in, 17, 17) -> (N, num_classes): "
        "average pool 5x5 stride 3, 1x1 to 128, 5x5 without padding to 768, both "
        "with batch norm and ReLU, then a linear classifier."
    ),
    layers=head_layers,
    missing={
        "1x1": "after the pool a 1x1 brings the channels to 128",
        "5x5": "a 5x5 without padding, 128 to 768 channels, spans the whole 5x5 grid",
        "classifier": "the last layer is linear, from 768 to num_classes",
    },
    reference=side_head(),
    inspect=norms_on_the_head,
    mistakes={
        "the pool is an average pool": side_head(lambda x: F.max_pool2d(x, 5, 3)),
        "the pool has a 5x5 window and stride 3; yours is adaptive": side_head(
            lambda x: F.adaptive_avg_pool2d(x, 5)
        ),
        "the ReLU after the 1x1 is forgotten": side_head(first=lambda x: x),
        "the ReLU after the 5x5 is forgotten": side_head(second=lambda x: x),
        "both ReLUs are forgotten": side_head(first=lambda x: x, second=lambda x: x),
        "no ReLU after the classifier: logits may be negative": side_head(last=relu),
        "return the logits: the softmax is part of the loss": side_head(
            last=lambda x: x.softmax(1)
        ),
    },
    cases=(
        Build((48, 11), (2, 48, 17, 17), "48, 11"),
        Build((96, 40), (1, 96, 17, 17), "96, 40"),
    ),
)

ema_update = FunctionExercise(
    name="ema_update",
    lesson=4,
    call="ema_update(average, weights, decay)",
    task=(
        "The new exponential moving average of one tensor of weights, as a new tensor."
    ),
    right=lambda average, weights, decay: decay * average + (1 - decay) * weights,
    cases=(
        Case((noise(1, 4), noise(2, 4), 0.9), "4 weights, decay 0.9"),
        Case((noise(3, 2, 3), noise(4, 2, 3), 0.999), "2x3 weights, decay 0.999"),
        Case((noise(5, 3), noise(6, 3), 0.0), "3 weights, decay 0"),
    ),
    mistakes={
        "decay is the share of the old average": (
            lambda average, weights, decay: (1 - decay) * average + decay * weights
        ),
        "the two shares must add up to 1": (
            lambda average, weights, decay: decay * average + weights
        ),
        "this is the plain mean; use decay": (
            lambda average, weights, decay: (average + weights) / 2
        ),
        "the new weights are forgotten": lambda average, weights, decay: (
            decay * average
        ),
    },
)


def total_norm(gradients):
    return math.sqrt(sum(float((g**2).sum()) for g in gradients))


def scaled(gradients, factor):
    return [g * factor for g in gradients]


def clip_by_norm(gradients, max_norm):
    norm = total_norm(gradients)
    return scaled(gradients, max_norm / norm if norm > max_norm else 1.0)


def clip_always(gradients, max_norm):
    norm = total_norm(gradients)
    return scaled(gradients, max_norm / norm if norm else 1.0)


clip = FunctionExercise(
    name="clip",
    lesson=4,
    call="clip(gradients, max_norm)",
    task=(
        "New gradients (a list of tensors) whose norm, taken over all of them "
        "together, is at most max_norm; unchanged where it already is."
    ),
    right=clip_by_norm,
    cases=(
        Case(
            ([4 * noise(1, 3).double(), 4 * noise(2, 2, 2).double()], 2.0),
            "two large gradients, 2.0",
        ),
        Case(([0.01 * noise(3, 3).double()], 2.0), "one small gradient, 2.0"),
        Case(
            ([5 * noise(4, 3).double(), 0.1 * noise(5, 4).double()], 1.0),
            "a large and a small one, 1.0",
        ),
        Case(([torch.zeros(3).double()], 2.0), "a gradient of zeros, 2.0"),
    ),
    mistakes={
        "this clips every value by itself, which turns the direction: scale all "
        "gradients by one factor": (
            lambda gradients, most: [g.clamp(-most, most) for g in gradients]
        ),
        "one norm over all gradients together, not one for each tensor": (
            lambda gradients, most: [clip_by_norm([g], most)[0] for g in gradients]
        ),
        "small gradients stay as they are: scale only where the norm is too large": (
            clip_always
        ),
        "this makes the norm 1: multiply by max_norm": (
            lambda gradients, most: (
                scaled(gradients, 1 / total_norm(gradients))
                if total_norm(gradients) > most
                else gradients
            )
        ),
        "the norm is the root of the sum of squares": (
            lambda gradients, most: scaled(
                gradients, min(1, most / max(1e-12, total_norm(gradients) ** 2))
            )
        ),
        "nothing is clipped": lambda gradients, most: gradients,
    },
)

EXERCISES = (
    rmsprop_step,
    rmsprop_tf_step,
    label_smoothing_loss,
    smoothing_floor,
    bn_auxiliary,
    ema_update,
    clip,
)
