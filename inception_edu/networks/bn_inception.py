"""BN-Inception: each 5x5 becomes two 3x3, and batch normalization everywhere.

Ioffe & Szegedy, Batch Normalization, arXiv 1502.03167, figure 5. The v4 paper
and TF-slim call this network Inception-v2; *Rethinking* gives that name to
another one (see `inception_v3`).
"""

from torch import nn

from inception_edu.networks.googlenet import head, stem
from inception_edu.networks.layers import Branches, ConvUnit, Network
from inception_edu.options import check_choice

COLUMNS = ("1x1", "3x3 reduce", "3x3", "double reduce", "double 3x3", "pool proj")

# Figure 5 of the paper, one row a module. A module without a 1x1 branch halves
# the grid, and its pool passes through without a projection.
FIGURE_5 = {
    name: dict(zip(COLUMNS, widths, strict=True))
    for name, widths in {
        "3a": (64, 64, 64, 64, 96, 32),
        "3b": (64, 64, 96, 64, 96, 64),
        "3c": (0, 128, 160, 64, 96, 0),
        "4a": (224, 64, 96, 96, 128, 128),
        "4b": (192, 96, 128, 96, 128, 128),
        "4c": (160, 128, 160, 128, 160, 128),
        "4d": (96, 128, 192, 160, 192, 128),
        "4e": (0, 128, 192, 192, 256, 0),
        "5a": (352, 192, 320, 160, 224, 128),
        "5b": (352, 192, 320, 192, 224, 128),
    }.items()
}


class DoubleModule(Branches):
    """GoogLeNet's module with two 3x3 in place of the 5x5.

    `(N, in, H, W) -> (N, 1x1 + 3x3 + double 3x3 + pool proj, H, W)`. `widths`
    is a row of figure 5; `pool` is "average" or "max".
    """

    def __init__(self, in_channels, widths, *, pool="average"):
        double = widths["double 3x3"]
        branches = {
            "1x1": ConvUnit(in_channels, widths["1x1"], 1),
            "3x3": {
                "reduce": ConvUnit(in_channels, widths["3x3 reduce"], 1),
                "3x3": ConvUnit(widths["3x3 reduce"], widths["3x3"], 3),
            },
            "double_3x3": {
                "reduce": ConvUnit(in_channels, widths["double reduce"], 1),
                "3x3_a": ConvUnit(widths["double reduce"], double, 3),
                "3x3_b": ConvUnit(double, double, 3),
            },
            "pool": {
                "pool": nn.MaxPool2d(3, stride=1, padding=1)
                if pool == "max"
                else nn.AvgPool2d(3, 1, padding=1, count_include_pad=False),
                "proj": ConvUnit(in_channels, widths["pool proj"], 1),
            },
        }
        super().__init__(branches)
        self.out_channels = widths["1x1"] + widths["3x3"] + double + widths["pool proj"]


class DoubleReduction(Branches):
    """3c and 4e: both convolution branches and the pool run at stride 2.

    `(N, in, H, W) -> (N, 3x3 + double 3x3 + in, H/2, W/2)`. Figure 5 prints the
    grids of 3c and 4e as 28x28 and 14x14; with stride 2 they are half of that.
    """

    def __init__(self, in_channels, widths):
        double = widths["double 3x3"]
        branches = {
            "3x3": {
                "reduce": ConvUnit(in_channels, widths["3x3 reduce"], 1),
                "3x3": ConvUnit(widths["3x3 reduce"], widths["3x3"], 3, stride=2),
            },
            "double_3x3": {
                "reduce": ConvUnit(in_channels, widths["double reduce"], 1),
                "3x3_a": ConvUnit(widths["double reduce"], double, 3),
                "3x3_b": ConvUnit(double, double, 3, stride=2),
            },
            "pool": nn.MaxPool2d(3, stride=2, ceil_mode=True),
        }
        super().__init__(branches)
        self.out_channels = widths["3x3"] + double + in_channels

    def forward(self, x):
        if x.shape[2] % 2 or x.shape[3] % 2:
            raise ValueError(
                f"bn_inception halves its grid here, and {x.shape[2]}x{x.shape[3]} "
                "is odd; pass images whose height and width are multiples of 32"
            )
        return super().forward(x)


def bn_inception(num_classes=1000, *, pool_proj_4cd=96, separable_stem=False):
    """BN-Inception (figure 5): `(N, 3, 224, 224) -> (N, num_classes)`.

    11,194,984 parameters, 2,018.85 M MACs. Figure 5 prints 128 for the pool
    projection of 4c and 4d, and 576 and 1024 channels after 4d and 4e; 128 gives
    608 and 1056, and TF-slim's 96 gives what is printed, so 96 is the default and
    `pool_proj_4cd=128` the literal reading. `separable_stem=True` is the paper's
    "separable convolution with depth multiplier 8 on the first convolutional layer"
    (section 4.2).
    """
    check_choice("pool_proj_4cd", pool_proj_4cd, (96, 128))
    layers, channels = stem("batch"), 192  # 192 x 28 x 28
    if separable_stem:
        layers["conv1"] = {
            "depthwise": nn.Conv2d(3, 24, 7, 2, 3, groups=3, bias=False),
            "pointwise": ConvUnit(24, 64, 1),  # 64 x 112 x 112
        }
    for name, row in FIGURE_5.items():
        widths = dict(row)
        if name in ("4c", "4d"):
            widths["pool proj"] = pool_proj_4cd
        if widths["1x1"] == 0:
            module = DoubleReduction(channels, widths)
        else:
            pool = "max" if name == "5b" else "average"
            module = DoubleModule(channels, widths, pool=pool)
        layers[f"inception_{name}"], channels = module, module.out_channels
    layers |= head(channels, num_classes, dropout=0.2)  # TF-slim's
    return Network(layers, name="bn_inception", input_size=224, min_size=31)
