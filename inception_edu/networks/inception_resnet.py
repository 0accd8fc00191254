"""Inception-ResNet v1 and v2: a module computes what is added to its input.

Szegedy et al., arXiv 1602.07261v2: figures 10 to 15 (v1), 15 to 19 (v2), 20
(residual scaling). v1 is the paper's; of v2 both the paper's figures and the
release (TF-slim's inception_resnet_v2.py), which differ in stem, counts and
widths.
"""

from torch import nn

from inception_edu.networks.googlenet import head
from inception_edu.networks.inception_v3 import (
    AuxiliaryHead,
    average_pool,
    first_layers,
)
from inception_edu.networks.inception_v3 import stem_layers as v3_stem
from inception_edu.networks.inception_v4 import ReductionA
from inception_edu.networks.inception_v4 import stem_layers as v4_stem
from inception_edu.networks.layers import Branches, ConvUnit, Network, numbered
from inception_edu.options import check_choice

SCALES = (0.17, 0.10, 0.20)  # of A, B, C in the release; the paper: 0.1 to 0.3


class Residual(nn.Module):
    """`relu(x + scale * up(branches(x)))`: shape in, the same shape out.

    `up` is a 1x1 convolution back to the input's channels, with a bias and
    without normalization or ReLU ("filter expansion layer", section 3.2). A
    small `scale` keeps wide networks from dying early in training (section
    3.3). `relu=False` is the release's last block. `residual=False` leaves the
    addition out, to see what it does: no published network has that.
    """

    def __init__(
        self, channels, branches, branch_channels, *, scale, relu=True, residual=True
    ):
        super().__init__()
        self.branches = Branches(branches)
        self.up = nn.Conv2d(branch_channels, channels, 1)
        self.scale = scale
        self.residual = residual
        self.relu = nn.ReLU(inplace=True) if relu else nn.Identity()

    def forward(self, x):
        branch = self.scale * self.up(self.branches(x))
        return self.relu(x + branch if self.residual else branch)

    def extra_repr(self):
        return f"scale={self.scale}" + ("" if self.residual else ", residual=False")


class InceptionResNetA(Residual):
    """Figures 10 and 16, for the 35x35 grid: `(N, channels, H, W)` to the same.

    `widths` of the double 3x3 branch, a then b: (32, 32) in v1, (48, 64) in v2.
    """

    def __init__(self, channels, widths, *, scale):
        wide, last = widths
        branches = {
            "1x1": ConvUnit(channels, 32, 1),
            "3x3": {"reduce": ConvUnit(channels, 32, 1), "3x3": ConvUnit(32, 32, 3)},
            "double_3x3": {
                "reduce": ConvUnit(channels, 32, 1),
                "3x3_a": ConvUnit(32, wide, 3),
                "3x3_b": ConvUnit(wide, last, 3),
            },
        }
        super().__init__(channels, branches, 32 + 32 + last, scale=scale)


class InceptionResNetB(Residual):
    """Figures 11 and 17, for the 17x17 grid: `(N, channels, H, W)` to the same.

    `widths`: 1x1, 1x7, 7x1; (128, 128, 128) in v1, (192, 160, 192) in v2.
    """

    def __init__(self, channels, widths, *, scale):
        one, wide, last = widths
        branches = {
            "1x1": ConvUnit(channels, one, 1),
            "7x7": {
                "reduce": ConvUnit(channels, 128, 1),
                "1x7": ConvUnit(128, wide, (1, 7)),
                "7x1": ConvUnit(wide, last, (7, 1)),
            },
        }
        super().__init__(channels, branches, one + last, scale=scale)


class InceptionResNetC(Residual):
    """Figures 13 and 19, for the 8x8 grid: `(N, channels, H, W)` to the same.

    `widths`: 1x1, 1x3, 3x1; (192, 192, 192) in v1, (192, 224, 256) in v2.
    """

    def __init__(self, channels, widths, *, scale, relu=True):
        one, wide, last = widths
        branches = {
            "1x1": ConvUnit(channels, one, 1),
            "3x3": {
                "reduce": ConvUnit(channels, 192, 1),
                "1x3": ConvUnit(192, wide, (1, 3)),
                "3x1": ConvUnit(wide, last, (3, 1)),
            },
        }
        super().__init__(channels, branches, one + last, scale=scale, relu=relu)


class ReductionB(Branches):
    """Figures 12 and 18, from 17x17 to 8x8: `(N, in, 17, 17) -> (N, ..., 8, 8)`.

    `widths`: 3x3/2 of the three convolution branches, (384, 256, 256) in v1 and
    (384, 288, 320) in v2. The caption of figure 18 says v1; it shows v2.
    """

    def __init__(self, in_channels, widths):
        first, second, third = widths
        valid = {"stride": 2, "padding": "valid"}
        branches = {
            "3x3_a": {
                "reduce": ConvUnit(in_channels, 256, 1),
                "3x3": ConvUnit(256, first, 3, **valid),
            },
            "3x3_b": {
                "reduce": ConvUnit(in_channels, 256, 1),
                "3x3": ConvUnit(256, second, 3, **valid),
            },
            "double_3x3": {
                "reduce": ConvUnit(in_channels, 256, 1),
                "3x3_a": ConvUnit(256, second, 3),
                "3x3_b": ConvUnit(second, third, 3, **valid),
            },
            "pool": nn.MaxPool2d(3, stride=2),
        }
        super().__init__(branches)
        self.out_channels = first + second + third + in_channels


class StemModule(Branches):
    """The release's first module: `(N, 192, 35, 35) -> (N, 320, 35, 35)`.

    v3's 35x35 module with other widths, where the paper has v4's stem.
    """

    def __init__(self, in_channels=192):
        branches = {
            "1x1": ConvUnit(in_channels, 96, 1),
            "5x5": {
                "reduce": ConvUnit(in_channels, 48, 1),
                "5x5": ConvUnit(48, 64, 5),
            },
            "double_3x3": {
                "reduce": ConvUnit(in_channels, 64, 1),
                "3x3_a": ConvUnit(64, 96, 3),
                "3x3_b": ConvUnit(96, 96, 3),
            },
            "pool": {"pool": average_pool(), "proj": ConvUnit(in_channels, 64, 1)},
        }
        super().__init__(branches)


def three_scales(scale):
    """The residual scale of A, B and C from None, one number or three."""
    scale = SCALES if scale is None else scale
    return scale if isinstance(scale, tuple | list) else (scale,) * 3


def inception_resnet_v1(num_classes=1000, *, a=5, b=10, c=5, scale=None):
    """Inception-ResNet-v1 of the paper: `(N, 3, 299, 299) -> (N, num_classes)`.

    22,756,328 parameters, 6,206.36 M MACs (figures 10 to 15). `a`, `b`, `c`: how
    many blocks a grid. `scale`: one residual scale, or three for A, B, C; by
    default 0.17, 0.10, 0.20. No release for ImageNet exists.
    """
    scale_a, scale_b, scale_c = three_scales(scale)
    layers = first_layers()  # 64 x 73 x 73
    layers |= {
        "conv_3b": ConvUnit(64, 80, 1),  # 80 x 73 x 73
        "conv_4a": ConvUnit(80, 192, 3, padding="valid"),  # 192 x 71 x 71
        "conv_4b": ConvUnit(192, 256, 3, stride=2, padding="valid"),  # 256 x 35 x 35
    }
    layers |= numbered(
        "inception_resnet_a", a, InceptionResNetA, 256, (32, 32), scale=scale_a
    )  # 256 x 35 x 35
    layers["reduction_a"] = ReductionA(256, k=192, l=192, m=256, n=384)  # 896 x 17 x 17
    layers |= numbered(
        "inception_resnet_b", b, InceptionResNetB, 896, (128, 128, 128), scale=scale_b
    )  # 896 x 17 x 17
    layers["reduction_b"] = ReductionB(896, (384, 256, 256))  # 1792 x 8 x 8
    layers |= numbered(
        "inception_resnet_c", c, InceptionResNetC, 1792, (192, 192, 192), scale=scale_c
    )  # 1792 x 8 x 8
    layers |= head(1792, num_classes, dropout=0.2)
    return Network(layers, name="inception_resnet_v1", input_size=299, min_size=75)


def inception_resnet_v2(
    num_classes=1000,
    aux=False,
    *,
    layout="released",
    a=None,
    b=None,
    c=None,
    scale=None,
):
    """Inception-ResNet-v2: `(N, 3, 299, 299) -> (N, num_classes)`.

    As released 55,843,464 parameters, 13,155.79 M MACs, with `aux=True`
    59,211,120 parameters. `layout="paper"` follows figures 3 and 15 to 19: v4's
    stem, 5, 10, 5 blocks, no last 1x1 convolution (32,433,928 parameters; the
    printed widths 1154 and 2048 are no sums of their branches, 1152 and 2144
    are). `a`, `b`, `c`: how many blocks a grid, by default the layout's 10, 20,
    10 or 5, 10, 5. `scale`: one residual scale, or three for A, B, C; by default
    0.17, 0.10, 0.20, and 1.0 for the release's last block, which has no ReLU.
    """
    check_choice("layout", layout, ("released", "paper"))
    released = layout == "released"
    if aux and not released:
        raise ValueError("layout='paper' has no auxiliary head; use aux=False")
    a = (10 if released else 5) if a is None else a
    b = (20 if released else 10) if b is None else b
    c = (10 if released else 5) if c is None else c
    scale_a, scale_b, scale_c = three_scales(scale)

    if released:
        layers, width = v3_stem() | {"mixed_5b": StemModule()}, 320  # 320 x 35 x 35
    else:
        layers, width = v4_stem(), 384  # 384 x 35 x 35
    layers |= numbered(
        "inception_resnet_a", a, InceptionResNetA, width, (48, 64), scale=scale_a
    )  # 320 x 35 x 35
    layers["reduction_a"] = ReductionA(width, k=256, l=256, m=384, n=384)
    width = layers["reduction_a"].out_channels
    layers |= numbered(
        "inception_resnet_b", b, InceptionResNetB, width, (192, 160, 192), scale=scale_b
    )  # 1088 x 17 x 17
    heads = {list(layers)[-1]: AuxiliaryHead(width, num_classes)} if aux else {}
    layers["reduction_b"] = ReductionB(width, (384, 288, 320))
    width = layers["reduction_b"].out_channels
    layers |= numbered(
        "inception_resnet_c", c, InceptionResNetC, width, (192, 224, 256), scale=scale_c
    )  # 2080 x 8 x 8
    if released:
        if c:
            last = 1.0 if scale is None else scale_c
            layers[f"inception_resnet_c{c}"] = InceptionResNetC(
                width, (192, 224, 256), scale=last, relu=False
            )
        layers["conv_7b"] = ConvUnit(width, 1536, 1)  # 1536 x 8 x 8
        width = 1536
    layers |= head(width, num_classes, dropout=0.2)
    return Network(
        layers, heads, name="inception_resnet_v2", input_size=299, min_size=75
    )
