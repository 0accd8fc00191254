"""Lesson 4: label smoothing, and batch norm on the auxiliary head.

Rethinking the Inception Architecture, arXiv 1512.00567, sections 4, 7 and figure 8.
"""

import math

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import module_exercise
from inception_edu.lesson.exercise import Case, exercise
from inception_edu.lesson.recorder import noise


def smooth_case(seed, n, classes, eps):
    logits = 2 * noise(seed, n, classes)
    targets = (torch.arange(n) * 7 + 1) % classes
    return Case((logits, targets, eps), f"{n} samples, {classes} classes, eps {eps}")


@exercise(
    smooth_case(1, 4, 10, 0.1),
    smooth_case(2, 3, 1000, 0.1),
    smooth_case(3, 5, 2, 0.3),
    smooth_case(4, 4, 10, 0.0),
    differentiable=True,
    tolerance=1e-5,
    lesson=4,
)
def label_smoothing_loss(logits, targets, eps):
    """The mean cross entropy of logits (N, K) with smoothed targets: 1 - eps for the
    true class, plus eps / K for every class."""
    k = logits.shape[1]
    true, other = 1 - eps + eps / k, eps / k
    one_hot = F.one_hot(targets, k)
    wanted = true * one_hot + other * (1 - one_hot)
    losses = -(wanted * logits.log_softmax(1)).sum(1)
    return losses.mean()


def entropy(probabilities):
    return -sum(p * math.log(p) for p in probabilities if p > 0)


@exercise(*map(Case, ((10, 0.1), (1000, 0.1), (5, 0.4), (2, 0.3), (10, 0.0))), lesson=4)
def smoothing_floor(classes, eps):
    """The smallest loss (in nats) that smoothed targets allow: the entropy of
    1 - eps + eps / K and K - 1 times eps / K."""
    true, other = 1 - eps + eps / classes, eps / classes
    return entropy([true]) + (classes - 1) * entropy([other])


@module_exercise(
    Case((24, 11), image=(4, 24, 17, 17)),
    Case((40, 6), image=(3, 40, 17, 17)),
    lesson=4,
)
def bn_auxiliary(x, conv, in_channels, num_classes):
    """The auxiliary head as released, (N, in, 17, 17) -> (N, num_classes): average
    pool 5x5 stride 3, 1x1 to 128, 5x5 without padding to 768, both with batch norm
    and ReLU, then a linear classifier."""
    y = F.avg_pool2d(x, 5, 3)
    y = conv(y, "1x1", 128, 1, norm=True)
    y = conv(y, "5x5", 768, 5, padding=0, norm=True)
    y = conv(y, "classifier", num_classes, 1, relu=False, norm=False)
    return y.flatten(1)
