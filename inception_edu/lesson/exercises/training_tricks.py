"""Lesson 4: RMSProp, label smoothing, BN-auxiliary, averaging, clipping.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 4, 7, 8 and
figure 8; `torch.optim.RMSprop`; TensorFlow's ApplyRMSProp.
"""

import math

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise
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
    mistakes={
        "eps inside the root is TensorFlow's way; torch adds it after: "
        "square.sqrt() + eps": {"root": inside_root},
        "divide by the root of the square average": {
            "root": lambda square, eps: square + eps
        },
        "eps is missing: square.sqrt() + eps": {
            "root": lambda square, eps: square.sqrt()
        },
        "update the square average first, then divide by the new one": {"old": True},
        "a step goes downhill: subtract it": {"sign": -1},
        "decay is the share of the old average: decay * square + (1 - decay) * new": {
            "average": lambda square, g, decay: averaged(square, g, 1 - decay)
        },
        "the average is of the squared gradient": [
            {"average": lambda square, g, d: d * square + (1 - d) * g.abs()},
            {"average": lambda square, g, d: d * square + (1 - d) * g},
        ],
        "the squares are averaged, not added up (that is Adagrad)": {
            "average": added_up
        },
        "the new square counts with 1 - decay: decay * square + (1 - decay) * new": {
            "average": lambda square, g, decay: decay * square + g**2
        },
        "the old average counts with decay: decay * square + (1 - decay) * new": [
            {"average": lambda square, g, d: square + (1 - d) * g**2},
            {"average": lambda square, g, d: (1 - d) * g**2},
            {"average": lambda square, g, d: g**2},
        ],
        "the average keeps moving: return the new square, not the old one": (
            lambda p, g, s, *rest: (rmsprop(p, g, s, *rest)[0], s)
        ),
        "the gradient is not divided by anything (that is SGD)": {
            "root": lambda square, eps: 1
        },
        "the learning rate is missing": (
            lambda p, g, s, rate, *rest: rmsprop(p, g, s, 1.0, *rest)
        ),
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
    mistakes={
        "eps goes inside the root here: (square + eps).sqrt()": {"root": after_root},
        "eps is missing: (square + eps).sqrt()": {"root": lambda s, eps: s.sqrt()},
        "divide by the root: (square + eps).sqrt()": {"root": lambda s, eps: s + eps},
        "the learning rate belongs in the buffer: momentum * buffer + "
        "learning_rate * gradient / root": {"late": True},
        "this is torch's step: here eps goes inside the root, and the learning rate "
        "into the buffer": {"root": after_root, "late": True},
        "the buffer takes the full step: momentum * buffer + step, without the "
        "factor 1 - momentum": {"share": "rest"},
        "the weight loses the entire buffer, not this step alone: parameter - buffer": (
            tf_past_buffer
        ),
        "a step goes downhill: parameter - buffer": tf_uphill,
        "this is Nesterov momentum: here the weight loses the buffer itself": (
            tf_nesterov
        ),
        "the old buffer is missing: momentum * buffer comes first": {"kept": 0},
        "the old buffer counts with momentum: momentum * buffer + step": (
            lambda w, g, s, b, rate, decay, momentum, eps: tf_step(
                w, g, s, b / max(momentum, 1e-9), rate, decay, momentum, eps
            )
        ),
        "decay is the share of the old average: decay * square + (1 - decay) * new": {
            "average": lambda square, g, decay: averaged(square, g, 1 - decay)
        },
        "the new square counts with 1 - decay: decay * square + (1 - decay) * new": {
            "average": lambda square, g, decay: decay * square + g**2
        },
        "the squares are averaged, not added up (that is Adagrad)": {
            "average": added_up
        },
        "the average is of the squared gradient": [
            {"average": lambda square, g, d: d * square + (1 - d) * g.abs()},
        ],
        "update the square average first, then divide by the new one": {"old": True},
        "add no 1 to square: the caller passes the running mean, ones at the first "
        "step": {"average": lambda square, g, d: averaged(square + 1, g, d)},
        "add no 1 to the new average: the ones are in the square that the caller "
        "passes": {"average": lambda square, g, d: averaged(square, g, d) + 1},
        "square starts at ones only once, and the caller sees to it: use the running "
        "mean that is passed": {
            "average": lambda square, g, d: averaged(torch.ones_like(square), g, d)
        },
    },
)


def shares(targets, classes, eps):
    """The paper's targets: (1 - eps) one-hot + eps / classes everywhere."""
    return (1 - eps) * F.one_hot(targets, classes) + eps / classes


def two_values(true, other):
    """Targets with one value for the true class and one for each of the others."""

    def make(targets, classes, eps):
        one_hot = F.one_hot(targets, classes)
        return one_hot * true(classes, eps) + (1 - one_hot) * other(classes, eps)

    return make


def over_classes(logits):
    return logits.log_softmax(1)


def over_samples(losses):
    return losses.mean()


def smooth_loss(
    logits, targets, eps, *, make=shares, log=over_classes, reduce=over_samples
):
    """The paper's loss; the keywords make the known mistakes."""
    wanted = make(targets, logits.shape[1], eps)
    return reduce(-(wanted * log(logits)).sum(1))


def smooth_entropy_bonus(logits, targets, eps):
    entropy = -(logits.softmax(1) * logits.log_softmax(1)).sum(1).mean()
    return (1 - eps) * F.cross_entropy(logits, targets) - eps * entropy


def smooth_case(seed, n, classes, eps):
    logits = 2 * noise(seed, n, classes)
    targets = (torch.arange(n) * 7 + 1) % classes
    return Case((logits, targets, eps), f"{n} samples, {classes} classes, eps {eps}")


label_smoothing_loss = Exercise(
    name="label_smoothing_loss",
    lesson=4,
    call="label_smoothing_loss(logits, targets, eps)",
    task=(
        "The mean cross entropy of logits (N, K) with smoothed targets: 1 - eps for "
        "the true class, plus eps / K for every class."
    ),
    right=smooth_loss,
    differentiable=True,
    tolerance=1e-5,
    cases=(
        smooth_case(1, 4, 10, 0.1),
        smooth_case(2, 3, 1000, 0.1),
        smooth_case(3, 5, 2, 0.3),
        smooth_case(4, 4, 10, 0.0),
    ),
    mistakes={
        "smoothing is missing: these are one-hot targets": (
            lambda logits, targets, eps: F.cross_entropy(logits, targets)
        ),
        "in the paper the true class gets eps / K as well: 1 - eps + eps / K; yours "
        "spreads eps over the K - 1 others": {
            "make": two_values(lambda k, e: 1 - e, lambda k, e: e / (k - 1))
        },
        "the targets do not add up to 1: the true class gets eps / K as well": {
            "make": two_values(lambda k, e: 1 - e, lambda k, e: e / k)
        },
        "eps is shared by all classes: eps / K each, not eps each": {
            "make": two_values(lambda k, e: 1 - e, lambda k, e: e)
        },
        "add eps / K to every class, not eps: your targets add up to more than 1": {
            "make": two_values(lambda k, e: 1, lambda k, e: e)
        },
        "1 - (K - 1) e for the true class and e for the others is right for e = eps / "
        "K; yours takes e = eps": {
            "make": two_values(lambda k, e: 1 - (k - 1) * e, lambda k, e: e)
        },
        "the one-hot part gives up eps: (1 - eps) * one_hot + eps / K": {
            "make": two_values(lambda k, e: 1 + e / k, lambda k, e: e / k)
        },
        "the two shares are swapped: (1 - eps) * one_hot + eps / K": {
            "make": two_values(lambda k, e: e + (1 - e) / k, lambda k, e: (1 - e) / k)
        },
        "the uniform part is missing: add eps / K to every class": {
            "make": two_values(lambda k, e: 1 - e, lambda k, e: 0)
        },
        "eps is shared by all K classes: eps / K, not eps / (K - 1)": {
            "make": two_values(
                lambda k, e: 1 - e + e / (k - 1), lambda k, e: e / (k - 1)
            )
        },
        "the softmax goes over the classes of a sample, dim=1": {
            "log": lambda logits: logits.log_softmax(0)
        },
        "take the log-softmax of the logits first": {"log": lambda logits: logits},
        "take the logarithm of the softmax": {"log": lambda logits: logits.softmax(1)},
        "the softmax is taken twice": {
            "log": lambda logits: logits.softmax(1).log_softmax(1)
        },
        "average over the samples, do not add them up": {
            "reduce": lambda losses: losses.sum()
        },
        "return the mean over the samples, one number": {
            "reduce": lambda losses: losses
        },
        "cross entropy has a minus sign": {"reduce": lambda losses: -losses.mean()},
        "in nats: use the natural logarithm": {
            "reduce": lambda losses: losses.mean() / math.log(2)
        },
        "add up over the classes; average over the samples only": (
            lambda logits, targets, eps: (
                smooth_loss(logits, targets, eps) / logits.shape[1]
            )
        ),
        "this rewards entropy of the prediction, which is not the same (section 7: "
        "the deviation is from the uniform distribution)": smooth_entropy_bonus,
    },
)


def entropy(probabilities):
    return -sum(p * math.log(p) for p in probabilities if p > 0)


def floor(classes, eps, *, true=None, other=None, count=-1):
    """The entropy of the smoothed targets; the keywords make the known mistakes."""
    share = eps / classes if other is None else other(classes, eps)
    top = 1 - eps + eps / classes if true is None else true(classes, eps)
    return entropy([top]) + (classes + count) * entropy([share])


smoothing_floor = Exercise(
    name="smoothing_floor",
    lesson=4,
    call="smoothing_floor(classes, eps)",
    task=(
        "The smallest loss (in nats) that smoothed targets allow: the entropy of "
        "1 - eps + eps / K and K - 1 times eps / K."
    ),
    right=floor,
    cases=(
        Case((10, 0.1)),
        Case((1000, 0.1)),
        Case((5, 0.4)),
        Case((2, 0.3)),
        Case((10, 0.0)),
    ),
    mistakes={
        "a perfect prediction does not reach 0 here: the targets themselves are not "
        "certain": lambda classes, eps: 0.0,
        "the true class gets eps / K as well: 1 - eps + eps / K": [
            {"true": lambda k, e: 1 - e},
            {"true": lambda k, e: 1 - e, "other": lambda k, e: e / (k - 1)},
        ],
        "each class gets eps / K, not eps / (K - 1)": {
            "other": lambda k, e: e / (k - 1)
        },
        "eps is spread over all K classes: eps / K for each, and 1 - eps + eps / K for "
        "the true one": [
            lambda classes, eps: entropy([1 - eps, eps]),
            {"true": lambda k, e: 1 - e, "other": lambda k, e: e},
            {"other": lambda k, e: e},
        ],
        "the true class is one of the K: K - 1 others are left, not K": {"count": 0},
        "in nats: use the natural logarithm": [
            lambda classes, eps: floor(classes, eps) / math.log(2),
            lambda classes, eps: floor(classes, eps) / math.log(10),
        ],
        "the K - 1 other classes add to the entropy too": (
            lambda k, eps: entropy([1 - eps + eps / k])
        ),
        "the true class adds to the entropy too": (
            lambda k, eps: (k - 1) * entropy([eps / k])
        ),
        "there are K - 1 other classes, not one": (
            lambda k, eps: entropy([1 - eps + eps / k]) + entropy([eps / k])
        ),
        "this is the surprise of the true class; weigh each class by its share": (
            lambda k, eps: -math.log(1 - eps + eps / k)
        ),
        "this is the entropy of uniform targets": lambda k, eps: math.log(k),
        "weigh each logarithm by its probability": (
            lambda k, eps: (
                -math.log(1 - eps + eps / k)
                - (k - 1) * (math.log(eps / k) if eps else 0)
            )
        ),
        "add up over the classes, do not average": (
            lambda classes, eps: floor(classes, eps) / classes
        ),
        "an entropy is positive: check the sign": (
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


def average_5x5(x):
    return F.avg_pool2d(x, 5, 3)


def head(x, net, in_channels, classes, *, pool=average_5x5, after=None, padding=0):
    """The auxiliary head; the keywords make the known mistakes."""
    y = net(net(pool(x), "1x1"), "5x5", padding=padding)
    y = net.conv(F.adaptive_avg_pool2d(y, 1) if padding else y, "classifier")
    return after(y.flatten(1)) if after else y.flatten(1)


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
    norms={"1x1": True, "5x5": True, "classifier": False},
    right=head,
    mistakes={
        "the pool is an average pool": {"pool": lambda x: F.max_pool2d(x, 5, 3)},
        "the pool has a 5x5 window and stride 3; yours is adaptive": {
            "pool": lambda x: F.adaptive_avg_pool2d(x, 5)
        },
        "the pool has a 5x5 window and stride 3": [
            {"pool": lambda x: F.avg_pool2d(x, 3, 3)},
            {"pool": lambda x: F.avg_pool2d(x, 5, 3, 1)},
        ],
        "the 5x5 has no padding: it spans the entire 5x5 grid": {"padding": 2},
        "no ReLU follows the classifier: logits may be negative": {"after": F.relu},
        "flatten the grid: the logits are (N, num_classes)": {
            "after": lambda y: y[:, :, None, None]
        },
        "return the logits: the softmax is part of the loss": [
            {"after": lambda y: y.softmax(1)},
            {"after": lambda y: y.log_softmax(1)},
        ],
    },
    cases=(
        Case((24, 11), "24, 11", (3, 24, 17, 17)),
        Case((40, 6), "40, 6", (2, 40, 17, 17)),
    ),
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
    mistakes={
        "decay is the share of the old average": (
            lambda average, weights, decay: (1 - decay) * average + decay * weights
        ),
        "the two shares must add up to 1": [
            lambda average, weights, decay: decay * average + weights,
            lambda average, weights, decay: average + (1 - decay) * weights,
            lambda average, weights, decay: average + decay * weights,
        ],
        "this is the plain mean; use decay": (
            lambda average, weights, decay: (average + weights) / 2
        ),
        "the new weights are missing": lambda average, weights, decay: decay * average,
        "the old average is missing": (
            lambda average, weights, decay: (1 - decay) * weights
        ),
        "the average does not move": lambda average, weights, decay: average,
        "this is the new weights, not an average": lambda average, weights, d: weights,
        "the average moves towards the weights, not away from them": (
            lambda average, weights, decay: average - (1 - decay) * (weights - average)
        ),
    },
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
    mistakes={
        "this clips every value by itself, which turns the direction: scale all "
        "gradients by one factor": (
            lambda gradients, most: [g.clamp(-most, most) for g in gradients]
        ),
        "take one norm over all gradients together, not one for each tensor": [
            lambda gradients, most: [clip_by_norm([g], most)[0] for g in gradients],
            {"norm": lambda gradients: sum(total_norm([g]) for g in gradients)},
            {"norm": lambda gradients: max(total_norm([g]) for g in gradients)},
        ],
        "small gradients stay as they are: scale only where the norm is too large": [
            {"always": True},
            lambda gradients, most: scaled(
                gradients, most / (total_norm(gradients) or 1.0)
            ),
            lambda gradients, most: scaled(
                gradients, most / (total_norm(gradients) + 1e-6)
            ),
            lambda gradients, most: scaled(
                gradients, most / torch.tensor(total_norm(gradients))
            ),
        ],
        "the norm becomes max_norm, not 1": {"target": 1},
        "the norm is the root of the sum of squares": {
            "norm": lambda gradients: total_norm(gradients) ** 2
        },
        "this is the sum of absolute values; the norm is the root of the sum of "
        "squares": {
            "norm": lambda gradients: sum(float(g.abs().sum()) for g in gradients)
        },
        "this is the largest value; the norm is the root of the sum of squares": {
            "norm": lambda gradients: max(float(g.abs().max()) for g in gradients)
        },
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
