"""The residual explorer's stacks: activations and gradient through residual blocks.

Stacks of Inception-ResNet blocks at their initial weights; means over three seeds.
"""

from itertools import accumulate, product

import numpy as np
import torch
from torch import nn

from inception_edu.explorers.residual import DEPTH, SCALES, TABLE, Stats
from inception_edu.networks.layers import ConvUnit
from inception_edu.networks.minis import ResidualBlock

SEEDS = (0, 1, 2)
CHANNELS, INNER, GRID, BATCH = 64, 16, 8, 16


def stack(scale, norm, seed):
    """`DEPTH` blocks, every convolution with He initialization, as in the release."""
    torch.manual_seed(seed)
    options = {"kernels": ((1, 3), (3, 1)), "scale": scale}
    blocks = [ResidualBlock(CHANNELS, INNER, **options) for _ in range(DEPTH)]
    blocks = nn.Sequential(*blocks)
    for layer in blocks.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if isinstance(layer, ConvUnit) and not norm:
            layer.norm = nn.Identity()
    return blocks.train()


def measure(blocks, seed):
    """A `Stats` for each depth, from 0 to the whole stack."""
    torch.manual_seed(seed)
    x = torch.randn(BATCH, CHANNELS, GRID, GRID).relu().requires_grad_()

    def size(tensor):
        return tensor.detach().double().square().mean().sqrt().item()

    found = []
    for y in accumulate(blocks, lambda y, block: block(y), initial=x):
        cotangent = torch.randn_like(y)
        (gradient,) = torch.autograd.grad(y, x, cotangent, retain_graph=True)
        zeros = (y == 0).double().mean().item()
        found.append(Stats(size(y) / size(x), size(gradient) / size(cotangent), zeros))
    return found


def contents():
    """One row for each depth of every stack, with batch norm and without."""
    rows = []
    for norm, scale in product((1, 0), SCALES):
        found = [measure(stack(scale, bool(norm), seed), seed) for seed in SEEDS]
        for depth, means in enumerate(np.mean(found, axis=0)):
            values = {n: f"{x:.5g}" for n, x in Stats(*means)._asdict().items()}
            rows.append({"norm": norm, "scale": scale, "depth": depth} | values)
    return rows


STORED = TABLE, contents
