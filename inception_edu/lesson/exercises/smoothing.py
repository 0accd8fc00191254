"""Lesson 4: label smoothing, and batch norm on the auxiliary head.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 4, 7 and figure 8.
"""

import math

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise, known_mistakes
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
    mistakes=known_mistakes("label_smoothing_loss", globals()),
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
    mistakes=known_mistakes("smoothing_floor", globals()),
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
    mistakes=known_mistakes("bn_auxiliary", globals()),
    cases=(
        Case((24, 11), "24, 11", (4, 24, 17, 17)),
        Case((40, 6), "40, 6", (3, 40, 17, 17)),
    ),
)

EXERCISES = (label_smoothing_loss, smoothing_floor, bn_auxiliary)
