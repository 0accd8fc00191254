"""Inception v4: the same few modules, more of them, and no shortcuts.

Szegedy et al., Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning, arXiv 1602.07261v2: figure 3 (the stem), 4 to 6 (the
modules A, B, C), 7 and 8 (the reductions), 9 (the network). Where the released
network (TF-slim's inception_v4.py) orders 1x7 and 7x1 otherwise than a figure,
the release is kept, since trained weights need it; counts are the same.
"""

from torch import nn

from inception_edu.networks.googlenet import head
from inception_edu.networks.inception_v3 import AuxiliaryHead, average_pool
from inception_edu.networks.layers import Branches, ConvUnit, Network, numbered


def stem_layers():
    """Figure 3: `(N, 3, 299, 299) -> (N, 384, 35, 35)`, three times in parallel.

    The figure runs 7x1 before 1x7 in the long branch and prints no stride at the
    last convolution, although its grid goes from 71 to 35.
    """
    return {
        "conv_1a": ConvUnit(3, 32, 3, stride=2, padding="valid"),  # 32 x 149 x 149
        "conv_2a": ConvUnit(32, 32, 3, padding="valid"),  # 32 x 147 x 147
        "conv_2b": ConvUnit(32, 64, 3),  # 64 x 147 x 147
        "mixed_3a": Branches(
            {
                "pool": nn.MaxPool2d(3, stride=2),
                "3x3": ConvUnit(64, 96, 3, stride=2, padding="valid"),
            }
        ),  # 160 x 73 x 73
        "mixed_4a": Branches(
            {
                "3x3": {
                    "reduce": ConvUnit(160, 64, 1),
                    "3x3": ConvUnit(64, 96, 3, padding="valid"),
                },
                "7x7": {
                    "reduce": ConvUnit(160, 64, 1),
                    "1x7": ConvUnit(64, 64, (1, 7)),
                    "7x1": ConvUnit(64, 64, (7, 1)),
                    "3x3": ConvUnit(64, 96, 3, padding="valid"),
                },
            }
        ),  # 192 x 71 x 71
        "mixed_5a": Branches(
            {
                "3x3": ConvUnit(192, 192, 3, stride=2, padding="valid"),
                "pool": nn.MaxPool2d(3, stride=2),
            }
        ),  # 384 x 35 x 35
    }


class InceptionA(Branches):
    """Figure 4, for the 35x35 grid: `(N, 384, H, W) -> (N, 384, H, W)`."""

    def __init__(self, in_channels=384):
        branches = {
            "1x1": ConvUnit(in_channels, 96, 1),
            "3x3": {
                "reduce": ConvUnit(in_channels, 64, 1),
                "3x3": ConvUnit(64, 96, 3),
            },
            "double_3x3": {
                "reduce": ConvUnit(in_channels, 64, 1),
                "3x3_a": ConvUnit(64, 96, 3),
                "3x3_b": ConvUnit(96, 96, 3),
            },
            "pool": {"pool": average_pool(), "proj": ConvUnit(in_channels, 96, 1)},
        }
        super().__init__(branches)


class ReductionA(Branches):
    """Figure 7, from 35x35 to 17x17: `(N, in, 35, 35) -> (N, n + m + in, 17, 17)`.

    `k, l, m, n` are the paper's letters (table 1): 1x1, 3x3 and 3x3/2 of the long
    branch, 3x3/2 of the short one. v4 and both Inception-ResNets share it.
    """

    def __init__(self, in_channels, k, l, m, n):  # noqa: E741, the paper's letter
        branches = {
            "3x3": ConvUnit(in_channels, n, 3, stride=2, padding="valid"),
            "double_3x3": {
                "reduce": ConvUnit(in_channels, k, 1),
                "3x3_a": ConvUnit(k, l, 3),
                "3x3_b": ConvUnit(l, m, 3, stride=2, padding="valid"),
            },
            "pool": nn.MaxPool2d(3, stride=2),
        }
        super().__init__(branches)
        self.out_channels = n + m + in_channels


class InceptionB(Branches):
    """Figure 5, for the 17x17 grid: `(N, 1024, H, W) -> (N, 1024, H, W)`.

    The figure prints 1x7 twice in the short branch, a misprint, and starts the
    long one with 1x7; the release runs 7x1, 1x7, 7x1, 1x7 there.
    """

    def __init__(self, in_channels=1024):
        branches = {
            "1x1": ConvUnit(in_channels, 384, 1),
            "7x7": {
                "reduce": ConvUnit(in_channels, 192, 1),
                "1x7": ConvUnit(192, 224, (1, 7)),
                "7x1": ConvUnit(224, 256, (7, 1)),
            },
            "double_7x7": {
                "reduce": ConvUnit(in_channels, 192, 1),
                "7x1_a": ConvUnit(192, 192, (7, 1)),
                "1x7_a": ConvUnit(192, 224, (1, 7)),
                "7x1_b": ConvUnit(224, 224, (7, 1)),
                "1x7_b": ConvUnit(224, 256, (1, 7)),
            },
            "pool": {"pool": average_pool(), "proj": ConvUnit(in_channels, 128, 1)},
        }
        super().__init__(branches)


class ReductionB(Branches):
    """Figure 8, from 17x17 to 8x8: `(N, in, 17, 17) -> (N, 192 + 320 + in, 8, 8)`."""

    def __init__(self, in_channels=1024):
        branches = {
            "3x3": {
                "reduce": ConvUnit(in_channels, 192, 1),
                "3x3": ConvUnit(192, 192, 3, stride=2, padding="valid"),
            },
            "7x7": {
                "reduce": ConvUnit(in_channels, 256, 1),
                "1x7": ConvUnit(256, 256, (1, 7)),
                "7x1": ConvUnit(256, 320, (7, 1)),
                "3x3": ConvUnit(320, 320, 3, stride=2, padding="valid"),
            },
            "pool": nn.MaxPool2d(3, stride=2),
        }
        super().__init__(branches)


class InceptionC(Branches):
    """Figure 6, for the 8x8 grid: `(N, 1536, H, W) -> (N, 1536, H, W)`.

    Both wide branches end in 1x3 and 3x1 side by side, as in *Rethinking*'s
    figure 7. The figure runs 1x3 before 3x1 in the long branch, the release 3x1
    before 1x3.
    """

    def __init__(self, in_channels=1536):
        def expand(channels):
            return Branches(
                {
                    "1x3": ConvUnit(channels, 256, (1, 3)),
                    "3x1": ConvUnit(channels, 256, (3, 1)),
                }
            )

        branches = {
            "1x1": ConvUnit(in_channels, 256, 1),
            "3x3": {
                "reduce": ConvUnit(in_channels, 384, 1),
                "expand": expand(384),
            },
            "double_3x3": {
                "reduce": ConvUnit(in_channels, 384, 1),
                "3x1": ConvUnit(384, 448, (3, 1)),
                "1x3": ConvUnit(448, 512, (1, 3)),
                "expand": expand(512),
            },
            "pool": {"pool": average_pool(), "proj": ConvUnit(in_channels, 256, 1)},
        }
        super().__init__(branches)


def inception_v4(num_classes=1000, aux=False, *, a=4, b=7, c=3):
    """Inception v4 (figure 9): `(N, 3, 299, 299) -> (N, num_classes)`.

    42,679,816 parameters, 12,253.97 M MACs; with `aux=True` 46,039,280 parameters
    (the head is in the release, not in the paper). `a`, `b`, `c`: how many modules
    on the 35x35, 17x17 and 8x8 grid; modules of one grid are identical, which is
    what the paper calls uniform.
    """
    layers = stem_layers()  # 384 x 35 x 35
    layers |= numbered("inception_a", a, InceptionA)  # 384 x 35 x 35
    layers["reduction_a"] = ReductionA(
        384, k=192, l=224, m=256, n=384
    )  # 1024 x 17 x 17
    layers |= numbered("inception_b", b, InceptionB)  # 1024 x 17 x 17
    heads = {list(layers)[-1]: AuxiliaryHead(1024, num_classes)} if aux else {}
    layers["reduction_b"] = ReductionB()  # 1536 x 8 x 8
    layers |= numbered("inception_c", c, InceptionC)  # 1536 x 8 x 8
    layers |= head(1536, num_classes, dropout=0.2)
    return Network(layers, heads, name="inception_v4", input_size=299, min_size=75)
