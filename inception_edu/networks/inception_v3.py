"""Inception v3 and the modules of *Rethinking*: factorized convolutions.

Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
arXiv 1512.00567: figures 5, 6, 7 (the modules), figure 10 (the grid reduction),
table 1 (the outline). The paper gives no filter counts; the widths and the stage
names here are those of the released network (TF-slim's inception_v3.py), which
torchvision, timm and Keras share.
"""

from torch import nn

from inception_edu.networks.googlenet import head
from inception_edu.networks.layers import Branches, ConvUnit, Network
from inception_edu.options import check_choice


def average_pool(count_include_pad=False):
    """A 3x3 average that keeps the grid.

    TensorFlow leaves the padding out of the average, which is the default here;
    torchvision and timm count its zeros in v3 (pytorch/vision#926).
    """
    return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=count_include_pad)


class StackedModule(Branches):
    """Figure 5, for the 35x35 grid: two 3x3 where GoogLeNet has a 5x5.

    `(N, in, H, W) -> (N, 64 + 64 + 96 + pool_proj, H, W)`. The released network
    keeps a 5x5 in its second branch; `five_by_five=False` is the figure.
    """

    def __init__(
        self, in_channels, pool_proj, *, five_by_five=True, count_include_pad=False
    ):
        kernel = 5 if five_by_five else 3
        branches = {
            "1x1": ConvUnit(in_channels, 64, 1),
            f"{kernel}x{kernel}": {
                "reduce": ConvUnit(in_channels, 48, 1),
                f"{kernel}x{kernel}": ConvUnit(48, 64, kernel),
            },
            "double_3x3": {
                "reduce": ConvUnit(in_channels, 64, 1),
                "3x3_a": ConvUnit(64, 96, 3),
                "3x3_b": ConvUnit(96, 96, 3),
            },
            "pool": {
                "pool": average_pool(count_include_pad),
                "proj": ConvUnit(in_channels, pool_proj, 1),
            },
        }
        super().__init__(branches)
        self.out_channels = 64 + 64 + 96 + pool_proj


class AsymmetricModule(Branches):
    """Figure 6, for the 17x17 grid: 7x7 as 1x7 then 7x1, one after the other.

    `(N, in, H, W) -> (N, 4 x out, H, W)`; `inner` is the width inside the
    factorized branches. The figure stacks 1x7, 7x1 in the long branch too; the
    released order, kept here, is 7x1, 1x7, 7x1, 1x7.
    """

    def __init__(self, in_channels, inner, out=192, *, count_include_pad=False):
        branches = {
            "1x1": ConvUnit(in_channels, out, 1),
            "7x7": {
                "reduce": ConvUnit(in_channels, inner, 1),
                "1x7": ConvUnit(inner, inner, (1, 7)),
                "7x1": ConvUnit(inner, out, (7, 1)),
            },
            "double_7x7": {
                "reduce": ConvUnit(in_channels, inner, 1),
                "7x1_a": ConvUnit(inner, inner, (7, 1)),
                "1x7_a": ConvUnit(inner, inner, (1, 7)),
                "7x1_b": ConvUnit(inner, inner, (7, 1)),
                "1x7_b": ConvUnit(inner, out, (1, 7)),
            },
            "pool": {
                "pool": average_pool(count_include_pad),
                "proj": ConvUnit(in_channels, out, 1),
            },
        }
        super().__init__(branches)


def expanded(channels):
    """1x3 and 3x1 side by side on the same input, each as wide as that."""
    kernels = {"1x3": (1, 3), "3x1": (3, 1)}
    return Branches({n: ConvUnit(channels, channels, k) for n, k in kernels.items()})


class ExpandedModule(Branches):
    """Figure 7, for the 8x8 grid: 1x3 and 3x1 side by side, concatenated.

    `(N, in, H, W) -> (N, one + 4 x wide + proj, H, W)`, with `widths` of one, wide,
    the reduction of the long branch, and proj. This is the only module in which the
    two asymmetric convolutions read the same input: it widens the output ("expanded
    filter bank"), it does not factorize a 3x3.
    """

    def __init__(
        self, in_channels, widths=(320, 384, 448, 192), *, count_include_pad=False
    ):
        one, wide, double_reduce, proj = widths
        branches = {
            "1x1": ConvUnit(in_channels, one, 1),
            "3x3": {
                "reduce": ConvUnit(in_channels, wide, 1),
                "expand": expanded(wide),
            },
            "double_3x3": {
                "reduce": ConvUnit(in_channels, double_reduce, 1),
                "3x3": ConvUnit(double_reduce, wide, 3),
                "expand": expanded(wide),
            },
            "pool": {
                "pool": average_pool(count_include_pad),
                "proj": ConvUnit(in_channels, proj, 1),
            },
        }
        super().__init__(branches)


class GridReduction(Branches):
    """Figure 10: convolutions at stride 2 beside a pool, so nothing is squeezed.

    `(N, in, H, W) -> (N, 3x3 + double 3x3 + in, (H - 1) // 2, (W - 1) // 2)`.
    `reduce` is the 1x1 before the single 3x3; the figure has one, the released
    35x35 reduction has none (`reduce=None`).
    """

    def __init__(self, in_channels, *, reduce, single, double_reduce, double):
        last = ConvUnit(reduce or in_channels, single, 3, stride=2, padding="valid")
        branches = {
            "3x3": {"reduce": ConvUnit(in_channels, reduce, 1), "3x3": last}
            if reduce
            else last,
            "double_3x3": {
                "reduce": ConvUnit(in_channels, double_reduce, 1),
                "3x3_a": ConvUnit(double_reduce, double, 3),
                "3x3_b": ConvUnit(double, double, 3, stride=2, padding="valid"),
            },
            "pool": nn.MaxPool2d(3, stride=2),
        }
        super().__init__(branches)


class AsymmetricReduction(Branches):
    """The released 17x17 to 8x8 reduction, with 1x7, 7x1 where figure 10 has 3x3.

    `(N, in, H, W) -> (N, 320 + 192 + in, (H - 1) // 2, (W - 1) // 2)`.
    """

    def __init__(self, in_channels):
        branches = {
            "3x3": {
                "reduce": ConvUnit(in_channels, 192, 1),
                "3x3": ConvUnit(192, 320, 3, stride=2, padding="valid"),
            },
            "7x7": {
                "reduce": ConvUnit(in_channels, 192, 1),
                "1x7": ConvUnit(192, 192, (1, 7)),
                "7x1": ConvUnit(192, 192, (7, 1)),
                "3x3": ConvUnit(192, 192, 3, stride=2, padding="valid"),
            },
            "pool": nn.MaxPool2d(3, stride=2),
        }
        super().__init__(branches)


class AuxiliaryHead(nn.Sequential):
    """The side classifier on the 17x17 grid: `(N, in, 17, 17) -> (N, classes)`.

    Average pool 5x5/3, 1x1 to 128, a 5x5 convolution that spans the 5x5 grid (the
    "fully connected" layer of figure 8, 768 wide in the release, 1024 in the
    figure), linear. `bn_aux` is the paper's BN-auxiliary: "the fully connected
    layer of the auxiliary classifier is also batch-normalized, not just the
    convolutions" (section 10); the linear layer never is. `widths` and `grid`, what
    the pool leaves of the input, are others in `mini_v3`.
    """

    def __init__(
        self, in_channels, num_classes, *, bn_aux=True, widths=(128, 768), grid=5
    ):
        super().__init__()
        proj, full = widths
        norm = "batch" if bn_aux else "none"
        self.pool = nn.AvgPool2d(5, stride=3)  # in x 5 x 5
        self.proj = ConvUnit(in_channels, proj, 1)
        self.full = ConvUnit(proj, full, grid, padding="valid", norm=norm)  # 1 x 1
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # for larger images only
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(full, num_classes)

    def forward(self, x):
        smallest = 5 + 3 * (self.full.conv.kernel_size[0] - 1)
        if min(x.shape[2:]) < smallest:
            raise ValueError(
                f"the auxiliary head reads a grid of at least {smallest}x{smallest}, "
                f"this one is {x.shape[2]}x{x.shape[3]}; train with 299x299 images or "
                "aux=False"
            )
        return super().forward(x)


def first_layers():
    """The three 3x3 that stand for one 7x7: `(N, 3, 299, 299) -> 64 x 73 x 73`."""
    return {
        "conv_1a": ConvUnit(3, 32, 3, stride=2, padding="valid"),  # 32 x 149 x 149
        "conv_2a": ConvUnit(32, 32, 3, padding="valid"),  # 32 x 147 x 147
        "conv_2b": ConvUnit(32, 64, 3),  # 64 x 147 x 147
        "maxpool_3a": nn.MaxPool2d(3, stride=2),  # 64 x 73 x 73
    }


def stem_layers(*, seven_by_seven=False, table_1=False):
    """Everything before the first module.

    As released: three 3x3, then 1x1, 3x3 and a pool, 192 x 35 x 35.
    `seven_by_seven` puts one 7x7/2 in place of the three 3x3, the layer that
    "factorized 7x7" of table 3 replaced; `table_1` gives the second half as
    table 1 prints it, 288 x 35 x 35.
    """
    layers = first_layers()
    if seven_by_seven:
        layers = {
            "conv_1a": ConvUnit(3, 64, 7, stride=2, padding="valid"),  # 64 x 147 x 147
            "maxpool_3a": nn.MaxPool2d(3, stride=2),  # 64 x 73 x 73
        }
    if table_1:
        return layers | {
            "conv_3b": ConvUnit(64, 80, 3, padding="valid"),  # 80 x 71 x 71
            "conv_4a": ConvUnit(80, 192, 3, stride=2, padding="valid"),  # 192 x 35 x 35
            "conv_4b": ConvUnit(192, 288, 3),  # 288 x 35 x 35
        }
    return layers | {
        "conv_3b": ConvUnit(64, 80, 1),  # 80 x 73 x 73
        "conv_4a": ConvUnit(80, 192, 3, padding="valid"),  # 192 x 71 x 71
        "maxpool_5a": nn.MaxPool2d(3, stride=2),  # 192 x 35 x 35
    }


def inception_v3(
    num_classes=1000,
    aux=False,
    *,
    layout="released",
    stem="released",
    five_by_five=True,
    bn_aux=True,
):
    """Inception v3 as released: `(N, 3, 299, 299) -> (N, num_classes)`.

    23,834,568 parameters, 5,713.22 M MACs; with `aux=True` 27,161,264 parameters.
    `layout="torchvision"` is the same network with average pools that count the
    padding, and dropout 0.5. `layout="table1"` reads the paper's table 1
    literally: its stem, figure 5 and 10 as drawn, five modules at 17x17
    (25,769,544 parameters with the released widths; the paper prints none).
    Steps of table 3 one at a time: `stem="7x7"` undoes "factorized 7x7",
    `bn_aux=False` takes the normalization off the head's "fully connected" layer.
    `five_by_five=False` has two 3x3 in place of the release's 5x5 (figure 5).
    """
    check_choice("layout", layout, ("released", "torchvision", "table1"))
    check_choice("stem", stem, ("released", "7x7"))
    is_torchvision, is_table1 = layout == "torchvision", layout == "table1"
    five_by_five = five_by_five and not is_table1
    pools = {"count_include_pad": is_torchvision}

    layers = stem_layers(seven_by_seven=stem == "7x7", table_1=is_table1)
    channels = 288 if is_table1 else 192  # x 35 x 35
    for name, pool_proj in {"5b": 64 if is_table1 else 32, "5c": 64, "5d": 64}.items():
        module = StackedModule(channels, pool_proj, five_by_five=five_by_five, **pools)
        layers[f"mixed_{name}"], channels = module, module.out_channels
    layers["mixed_6a"] = GridReduction(
        channels, reduce=None, single=384, double_reduce=64, double=96
    )  # 768 x 17 x 17
    inner_widths = {"6b": 128, "6c": 160, "6d": 160, "6e": 192}
    if is_table1:
        inner_widths |= {"6e": 160, "6f": 192}
    for name, inner in inner_widths.items():
        layers[f"mixed_{name}"] = AsymmetricModule(768, inner, **pools)
    last = f"mixed_{name}"  # on the 17x17 grid
    heads = {last: AuxiliaryHead(768, num_classes, bn_aux=bn_aux)} if aux else {}
    layers |= {
        "mixed_7a": GridReduction(
            768, reduce=192, single=320, double_reduce=192, double=192
        )
        if is_table1
        else AsymmetricReduction(768),  # 1280 x 8 x 8
        "mixed_7b": ExpandedModule(1280, **pools),  # 2048 x 8 x 8
        "mixed_7c": ExpandedModule(2048, **pools),  # 2048 x 8 x 8
    }
    layers |= head(2048, num_classes, dropout=0.5 if is_torchvision else 0.2)
    return Network(layers, heads, name="inception_v3", input_size=299, min_size=75)
