"""The bugs of the lessons: each from public code, to be found by measuring."""

import random

import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.networks.googlenet import TABLE_1, InceptionModule, NaiveModule
from inception_edu.networks.inception_v3 import AsymmetricModule, AuxiliaryHead
from inception_edu.networks.inception_v4 import InceptionA
from inception_edu.networks.layers import ConvUnit


class FramedConcatenation(nn.Module):
    """Branches on one input, concatenated; smaller grids get a frame of zeros."""

    def __init__(self, branches):
        super().__init__()
        self.branches = nn.ModuleDict(branches)

    def forward(self, x):
        outputs = [branch(x) for branch in self.branches.values()]
        size = max(output.shape[-1] for output in outputs)
        framed = []
        for output in outputs:
            frame = size - output.shape[-1]
            framed.append(F.pad(output, (frame // 2, frame - frame // 2) * 2))
        return torch.cat(framed, dim=1)


def face_network_module():
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

    A 3x3 in the 5x5 branch (tensorflow/models#443), a 5x5 in place of its
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


def ported_optimizer(weights):
    """Lesson 04: the paper's RMSProp in PyTorch, with eps left at its default.

    pytorch/pytorch#23796, chainer/chainer#4754.
    """
    return torch.optim.RMSprop(weights, lr=0.045, alpha=0.9)


def smoothed_loss(logits, targets, eps=0.1):
    """Lesson 04: label smoothing that spreads eps over the wrong classes only.

    The thread pytorch/pytorch#7455, fastai/fastai#1814.
    """
    classes = logits.shape[1]
    smooth = torch.full_like(logits, eps / (classes - 1))
    smooth.scatter_(1, targets[:, None], 1 - eps)
    return -(smooth * logits.log_softmax(1)).sum(1).mean()


def fresh_head():
    """Lesson 04: the side head of Inception v3, for ten classes."""
    torch.manual_seed(0)
    return AuxiliaryHead(768, 10)


def initialize(head):
    """Lesson 04: a standard deviation that is set on the unit, not the convolution.

    pytorch/vision#723, copied by timm.
    """
    head.full.stddev = 0.01
    for layer in head.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.normal_(layer.weight, std=getattr(layer, "stddev", 0.1))


class SkippedModule(nn.ModuleList):
    """Four modules, of which the third reads the output of the first."""

    def forward(self, x):
        first = self[0](x)
        self.unused = self[1](first)
        return self[3](self[2](first))


def stacks_of_a():
    """Lesson 05: four stacks of four A modules by a letter; three have a bug, shuffled.

    One module four times in a list (deep-learning-with-pytorch/dlwpt-code#89), the
    padding counted in the average (pytorch/vision#926), a module that nobody reads
    (da-steve101/googlenet#1).
    """
    torch.manual_seed(0)
    right, padded, skipped = ([InceptionA() for _ in range(4)] for _ in range(3))
    for module in padded:
        module["pool"].pool = nn.AvgPool2d(3, stride=1, padding=1)
    shared = nn.Sequential(*[InceptionA()] * 4)
    stacks = [nn.Sequential(*right), shared]
    stacks += [nn.Sequential(*padded), SkippedModule(skipped)]
    random.Random(1).shuffle(stacks)
    return dict(zip("PQRS", (stack.eval() for stack in stacks), strict=True))


def pool_branch(eps=1e-3, count_include_pad=False):
    """An average pool, a 1x1 from 64 to 8 channels and a norm, two channels quiet."""
    torch.manual_seed(0)
    pool = nn.AvgPool2d(3, 1, padding=1, count_include_pad=count_include_pad)
    norm = nn.BatchNorm2d(8, eps=eps)
    nn.init.normal_(norm.running_mean, 0, 0.3)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    norm.running_var[[2, 5]] = 1e-4
    return nn.Sequential(pool, nn.Conv2d(64, 8, 1, bias=False), norm).eval()


def ported_pool_branches():
    """Lesson 06: a pool branch as in TensorFlow and three ports of it, A to C.

    A has torch's default eps (gzuidhof/nn-transfer#3), C counts the padding in the
    average, torch's default too (microsoft/MMdnn#628); B is right.
    """
    with_eps, padded = pool_branch(eps=1e-5), pool_branch(count_include_pad=True)
    return pool_branch(), {"A": with_eps, "B": pool_branch(), "C": padded}


class SmallBlock(nn.Module):
    """`add(x, scale, branch)` on eight channels, with the branch as a function."""

    def __init__(self, add, scale=0.1):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.up = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(4, 8, 1)
        self.add, self.scale = add, scale

    def branch(self, x):
        return self.up(torch.relu(self.inner(x)))

    def forward(self, x):
        return self.add(x, self.scale, self.branch)


def residual_blocks():
    """Lesson 07: four residual blocks by a letter, of which C is right.

    A scales the shortcut (asked for in fchollet/deep-learning-models#99), B has none
    (nyoki-mtl/keras-facenet#3), D changes its input (rosinality/vq-vae-2-pytorch#60).
    """
    ways = {
        "A": lambda x, scale, branch: F.relu(scale * x + branch(x)),
        "B": lambda x, scale, branch: F.relu((y := scale * branch(x)) + y / scale),
        "C": lambda x, scale, branch: F.relu(x + scale * branch(x)),
        "D": lambda x, scale, branch: scale * branch(F.relu(x, inplace=True)) + x,
    }
    return {letter: SmallBlock(add) for letter, add in ways.items()}
