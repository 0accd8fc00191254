"""The bugs of the lessons: each from public code, to be found by measuring."""

import random

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.networks.googlenet import TABLE_1, InceptionModule, NaiveModule
from inception_edu.networks.inception_v3 import AsymmetricModule
from inception_edu.networks.layers import ConvUnit


class FramedConcatenation(nn.Module):
    """Branches on one input, concatenated; smaller grids get a frame of zeros."""

    def __init__(self, branches):
        super().__init__()
        self.branches = nn.ModuleDict(branches)

    def forward(self, x):
        outputs = [branch(x) for branch in self.branches.values()]
        size = max(output.shape[-1] for output in outputs)
        return torch.cat([framed(output, size) for output in outputs], dim=1)


def framed(x, size):
    """`x` in the middle of a size x size grid of zeros."""
    before = (size - x.shape[-1]) // 2
    after = size - x.shape[-1] - before
    return F.pad(x, (before, after, before, after))


def stride_in_the_pool():
    """Lesson 01: a naive module 3a whose pool has stride 2 and no padding.

    After OpenFace's nn4.small2 (cmusatyalab/openface, issue 351), without its
    reductions and its pool projection.
    """
    torch.manual_seed(0)
    branches = dict(NaiveModule(192, TABLE_1["3a"]).items())
    branches["pool"] = nn.MaxPool2d(3, stride=2)
    return FramedConcatenation(branches)


class DroppedReLU(ConvUnit):
    """A ConvUnit that computes its ReLU and returns the convolution's output."""

    def forward(self, x):
        out = self.conv(x)
        self.activated = torch.relu(out)
        return out


def four_modules():
    """Lesson 02: four modules 3a by a letter; three have a bug, shuffled.

    A 3x3 in the 5x5 branch (tensorflow/models#443), a 5x5 in the place of its
    reduction (mathematical-methods-in-deep-learning-ipython#33), an unused ReLU
    (Cadene/pretrained-models.pytorch#79).
    """
    modules = [InceptionModule(192, TABLE_1["3a"]) for _ in range(4)]
    modules[1]["5x5"][1] = ConvUnit(16, 32, 3, norm="none")
    modules[2]["5x5"][0] = ConvUnit(192, 16, 5, norm="none")
    modules[3]["3x3"][0] = DroppedReLU(192, 96, 1, norm="none")
    random.Random(4).shuffle(modules)
    return dict(zip("ABCD", modules, strict=True))


def asymmetric_modules():
    """Lesson 03: four 17x17 modules of v3 by a letter; three have a bug, shuffled.

    Swapped paddings (QueensGambit/CrazyAra, `_RiseBlockB`), one layer used twice
    (calmiLovesAI/TensorFlow2.0_InceptionV3#2), a 1x7 after a 1x7 (Inception-v4,
    figure 5; tensorflow/models#3313).
    """
    torch.manual_seed(0)
    modules = [AsymmetricModule(768, 192).eval() for _ in range(4)]
    modules[1]["7x7"][1] = ConvUnit(192, 192, (1, 7), padding=(3, 0)).eval()
    modules[1]["7x7"][2] = ConvUnit(192, 192, (7, 1), padding=(0, 3)).eval()
    modules[2]["double_7x7"][3] = modules[2]["double_7x7"][1]
    modules[3]["7x7"][2] = ConvUnit(192, 192, (1, 7)).eval()
    random.Random(3).shuffle(modules)
    return dict(zip("ABCD", modules, strict=True))
