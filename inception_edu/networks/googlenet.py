"""Inception v1: the naive module, the reduced module, GoogLeNet.

Szegedy et al., Going deeper with convolutions, arXiv 1409.4842 (CVPR 2015):
figure 2 (the modules), table 1 (the widths), figure 3 (the network).
"""

from torch import nn

from inception_edu.networks.layers import Branches, ConvUnit, Network
from inception_edu.options import check_choice

COLUMNS = ("1x1", "3x3 reduce", "3x3", "5x5 reduce", "5x5", "pool proj")

# Table 1 of the paper, one row a module, in its column order.
TABLE_1 = {
    name: dict(zip(COLUMNS, widths, strict=True))
    for name, widths in {
        "3a": (64, 96, 128, 16, 32, 32),
        "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128),
        "5a": (256, 160, 320, 32, 128, 128),
        "5b": (384, 192, 384, 48, 128, 128),
    }.items()
}


class NaiveModule(Branches):
    """Figure 2(a): 1x1, 3x3, 5x5 and a pool that passes through, side by side.

    `(N, in, H, W) -> (N, 1x1 + 3x3 + 5x5 + in, H, W)`. `widths` is a row of
    table 1; the reductions and the projection in it are not used.
    """

    def __init__(self, in_channels, widths, *, norm="none"):
        branches = {
            "1x1": ConvUnit(in_channels, widths["1x1"], 1, norm=norm),
            "3x3": ConvUnit(in_channels, widths["3x3"], 3, norm=norm),
            "5x5": ConvUnit(in_channels, widths["5x5"], 5, norm=norm),
            "pool": nn.MaxPool2d(3, stride=1, padding=1),
        }
        super().__init__(branches)
        self.out_channels = widths["1x1"] + widths["3x3"] + widths["5x5"] + in_channels


class InceptionModule(Branches):
    """Figure 2(b): 1x1 reductions before 3x3 and 5x5, a projection after the pool.

    `(N, in, H, W) -> (N, 1x1 + 3x3 + 5x5 + pool proj, H, W)`. `widths` is a row
    of table 1. `wide_kernel=3` is what torchvision and tf-slim put where the
    paper has 5x5 (pytorch/vision#906, tensorflow/models#443).
    """

    def __init__(self, in_channels, widths, *, norm="none", wide_kernel=5):
        def unit(inputs, column, kernel):
            return ConvUnit(inputs, widths[column], kernel, norm=norm)

        branches = {
            "1x1": unit(in_channels, "1x1", 1),
            "3x3": {
                "reduce": unit(in_channels, "3x3 reduce", 1),
                "3x3": unit(widths["3x3 reduce"], "3x3", 3),
            },
            "5x5": {
                "reduce": unit(in_channels, "5x5 reduce", 1),
                "5x5": unit(widths["5x5 reduce"], "5x5", wide_kernel),
            },
            "pool": {
                "pool": nn.MaxPool2d(3, stride=1, padding=1),
                "proj": unit(in_channels, "pool proj", 1),
            },
        }
        super().__init__(branches)
        self.out_channels = sum(
            widths[column] for column in ("1x1", "3x3", "5x5", "pool proj")
        )


class AuxiliaryHead(nn.Sequential):
    """Section 5's side classifier: `(N, in, 14, 14) -> (N, num_classes)`.

    Average pool 5x5/3, 1x1 to 128, linear 1024, dropout 70 %, linear. The
    adaptive 4x4 pool of torchvision gives the same shape from other windows.
    """

    def __init__(self, in_channels, num_classes, *, norm="none", adaptive_pool=False):
        super().__init__()
        self.pool = (
            nn.AdaptiveAvgPool2d(4) if adaptive_pool else nn.AvgPool2d(5, stride=3)
        )
        self.proj = ConvUnit(in_channels, 128, 1, norm=norm)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x):
        if isinstance(self.pool, nn.AvgPool2d) and tuple(x.shape[2:]) != (14, 14):
            raise ValueError(
                f"the auxiliary head reads a 14x14 grid, this one is "
                f"{x.shape[2]}x{x.shape[3]}; train with 224x224 images or aux=False"
            )
        return super().forward(x)


def downsample(kernel_size=3):
    """Max pool 3x3/2 as Caffe rounds it, the same grid as TensorFlow's SAME."""
    return nn.MaxPool2d(kernel_size, stride=2, ceil_mode=True)


def stem(norm):
    """Everything before module 3a: `(N, 3, 224, 224) -> (N, 192, 28, 28)`."""
    layers = {
        "conv1": ConvUnit(3, 64, 7, stride=2, padding=3, norm=norm),  # 64 x 112 x 112
        "maxpool1": downsample(),  # 64 x 56 x 56
        "lrn1": nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
        "conv2": {
            "reduce": ConvUnit(64, 64, 1, norm=norm),  # 64 x 56 x 56
            "3x3": ConvUnit(64, 192, 3, norm=norm),  # 192 x 56 x 56
        },
        "lrn2": nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75),
        "maxpool2": downsample(),  # 192 x 28 x 28
    }
    if norm == "batch":  # batch normalization replaces LRN
        del layers["lrn1"], layers["lrn2"]
    return layers


def head(in_channels, num_classes, dropout):
    """Global average pool, dropout, linear: `(N, in, H, W) -> (N, num_classes)`."""
    return {
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "dropout": nn.Dropout(dropout),
        "fc": nn.Linear(in_channels, num_classes),
    }


def xavier(network):
    """Xavier weights, bias 0.2 before a ReLU and 0 before a softmax.

    The paper does not say; this is Caffe's bvlc_googlenet/train_val.prototxt.
    """
    classifiers = {network.fc, *(h.fc2 for h in (network.aux_heads or {}).values())}
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.constant_(layer.bias, 0.0 if layer in classifiers else 0.2)
    return network


def googlenet(num_classes=1000, aux=False, *, norm=None, layout="paper"):
    """GoogLeNet (table 1, figure 3): `(N, 3, 224, 224) -> (N, num_classes)`.

    6,998,552 parameters, 1,582.67 M MACs; with `aux=True` 13,378,280 parameters.
    `norm="none"` (the paper: biases, LRN) or `"batch"`. `layout="torchvision"`
    is the network torchvision ships: batch norm, 3x3 in the 5x5 branch, 2x2
    last max pool, adaptive pool in the heads, dropout 0.2 (6,624,904 parameters).
    """
    check_choice("layout", layout, ("paper", "torchvision"))
    shipped = layout == "torchvision"
    norm = norm or ("batch" if shipped else "none")
    layers, channels = stem(norm), 192
    aux_heads = {}
    for name, widths in TABLE_1.items():
        if name == "4a":
            layers["maxpool3"] = downsample()  # 480 x 14 x 14
        if name == "5a":
            layers["maxpool4"] = downsample(2 if shipped else 3)  # 832 x 7 x 7
        module = InceptionModule(
            channels, widths, norm=norm, wide_kernel=3 if shipped else 5
        )
        layers[f"inception_{name}"], channels = module, module.out_channels
        if aux and name in ("4a", "4d"):
            aux_heads[f"inception_{name}"] = AuxiliaryHead(
                channels, num_classes, norm=norm, adaptive_pool=shipped
            )
    layers |= head(channels, num_classes, dropout=0.2 if shipped else 0.4)
    smallest = 15 if shipped else 31  # the last pool must have a 2x2 or 3x3 to read
    network = Network(
        layers, aux_heads, name="googlenet", input_size=224, min_size=smallest
    )
    return xavier(network) if norm == "none" else network


def googlenet_naive(num_classes=1000):
    """GoogLeNet's plan with nine naive modules: 97,526,008 parameters.

    Not in the paper, which stops at "computational blow up within a few
    stages" (section 4); this is the network that sentence is about.
    """
    layers, channels = stem("none"), 192
    for name, widths in TABLE_1.items():
        if name in ("4a", "5a"):
            layers["maxpool3" if name == "4a" else "maxpool4"] = downsample()
        module = NaiveModule(channels, widths)
        layers[f"inception_{name}"], channels = module, module.out_channels
    layers |= head(channels, num_classes, dropout=0.4)
    return Network(layers, name="googlenet_naive", input_size=224, min_size=31)
