"""Lesson 2: 1x1 convolutions, the reduced module, GoogLeNet; 3: receptive fields.

Going deeper with convolutions, arXiv 1409.4842: figure 2(b), table 1, section 5.
Widths are rows of table 1: {"1x1": 64, "3x3 reduce": 96, "3x3": 128, ...}.
"""

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import module_exercise
from inception_edu.lesson.exercise import Case, exercise
from inception_edu.lesson.exercises.naive import NO_NORM
from inception_edu.lesson.recorder import noise
from inception_edu.networks.googlenet import COLUMNS


def row(*widths):
    """A row of table 1 from six numbers in the order of its columns."""
    return dict(zip(COLUMNS, widths, strict=True))


@exercise(
    Case((3 * noise(1, 2, 6, 5, 4), 2 * noise(2, 3, 6), noise(3, 3)), "6 to 3"),
    Case((3 * noise(4, 1, 3, 5, 2), 2 * noise(5, 8, 3), noise(6, 8)), "3 to 8"),
    Case((3 * noise(7, 3, 4, 4, 4), 2 * noise(8, 4, 4), noise(9, 4)), "4 to 4"),
    differentiable=True,
    tolerance=1e-5,
    lesson=2,
)
def pointwise(x, weight, bias):
    """A 1x1 convolution with ReLU, without nn.Conv2d: the matrix weight (K, C)
    applied to the channels of every pixel of x (N, C, H, W), plus bias (K,)."""
    y = torch.einsum("kc,nchw->nkhw", weight, x) + bias[:, None, None]
    return F.relu(y)


def module(x, conv, widths, label=""):
    """The reduced module; `label` tells the layers of several modules apart."""
    one = conv(x, label + "1x1", widths["1x1"], 1)
    three = conv(x, label + "3x3 reduce", widths["3x3 reduce"], 1)
    three = conv(three, label + "3x3", widths["3x3"], 3)
    five = conv(x, label + "5x5 reduce", widths["5x5 reduce"], 1)
    five = conv(five, label + "5x5", widths["5x5"], 5)
    pool = conv(F.max_pool2d(x, 3, 1, 1), label + "pool proj", widths["pool proj"], 1)
    return conv.join({"1x1": one, "3x3": three, "5x5": five, "pool proj": pool})


@module_exercise(
    Case((12, row(4, 7, 6, 2, 3, 8)), "12, widths 4, 7, 6, 2, 3, 8", (2, 12, 8, 8)),
    Case((7, row(4, 3, 5, 6, 2, 8)), "7, widths 4, 3, 5, 6, 2, 8", (3, 7, 5, 9)),
    note_on_norms=NO_NORM,
    lesson=2,
)
def inception_module(x, conv, in_channels, widths):
    """Figure 2(b): 1x1; 1x1 reduce then 3x3; 1x1 reduce then 5x5; max pool then 1x1
    projection; a ReLU after every convolution; concatenated in that order. widths is
    a row of table 1."""
    return module(x, conv, widths)


@exercise(
    Case((192, row(64, 96, 128, 16, 32, 32), 28), "192, widths of 3a, 28"),
    # 4a on a large image: more MACs than 32 bits hold
    Case((480, row(192, 96, 208, 16, 48, 64), 112), "480, widths of 4a, 112"),
    Case((7, row(2, 3, 4, 5, 6, 8), 5), "7, widths 2, 3, 4, 5, 6, 8, 5"),
    parts=("weights", "macs"),
    lesson=2,
)
def reduced_cost(in_channels, widths, grid):
    """(weights, MACs) of the reduced module on a grid x grid map, biases not counted.
    widths is a row of table 1."""
    one, reduce3, three, reduce5, five, proj = (widths[name] for name in COLUMNS)
    narrow = one + reduce3 + reduce5 + proj
    weights = in_channels * narrow + 9 * reduce3 * three + 25 * reduce5 * five
    return weights, weights * grid * grid


def stage_case(label, image, *rows):
    rows = [row(*widths) for widths in rows]
    return Case((image[1], rows), f"{image[1]}, {label}", image)


SMALL = (4, 3, 2, 6, 5, 8), (3, 4, 2, 5, 7, 6), (6, 5, 3, 2, 4, 9)


@module_exercise(
    stage_case("two rows", (2, 6, 8, 12), (4, 3, 2, 6, 5, 8), (5, 4, 6, 2, 8, 10)),
    stage_case("one row", (3, 7, 10, 6), (3, 2, 6, 4, 5, 8)),
    stage_case("three rows", (2, 5, 6, 6), *SMALL),
    note_on_norms=NO_NORM,
    lesson=2,
)
def googlenet_stage(x, conv, in_channels, rows):
    """A stage of GoogLeNet: one reduced module for every row of widths, one after the
    other, then a 3x3 max pool of stride 2 with ceil_mode=True."""
    for number, widths in enumerate(rows, 1):
        x = module(x, conv, widths, f"module {number}: ")
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


@exercise(
    Case(([3], [1])),
    Case(([3, 3], [1, 1])),
    Case(([7, 3, 1, 3, 3], [2, 2, 1, 1, 2])),
    Case(([2, 5], [3, 2])),
    Case(([5, 3, 3], [2, 3, 1])),
    Case(([], [])),
    lesson=3,
)
def receptive_field_of_stack(kernels, strides):
    """How many input pixels, in one direction, one output pixel of a stack of layers
    sees; kernels and strides are lists, first layer first."""
    size, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        size += (kernel - 1) * step
        step *= stride
    return size
