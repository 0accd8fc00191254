"""The bugs of the lessons: each from public code, to be found by measuring."""

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.networks.googlenet import TABLE_1, NaiveModule


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
