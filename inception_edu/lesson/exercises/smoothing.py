"""Lesson 4: label smoothing, and batch norm on the auxiliary head.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 4, 7 and figure 8.
"""

import math

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise
from inception_edu.lesson.recorder import noise


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
        Case((24, 11), "24, 11", (4, 24, 17, 17)),
        Case((40, 6), "40, 6", (3, 40, 17, 17)),
    ),
)

EXERCISES = (label_smoothing_loss, smoothing_floor, bn_auxiliary)
