"""Small cousins of every version, for 48x48 images and a laptop.

Same modules, same names, fewer and narrower: a stem to 24x24, then one module at
24x24, one at 12x12, one at 6x6. Two of them differ in their modules alone, so that a
difference in accuracy is the module's. Not in any paper.
"""

from torch import nn

from inception_edu.networks.googlenet import COLUMNS, InceptionModule, NaiveModule
from inception_edu.networks.layers import Branches, ConvUnit, Network

CLASSES = 10  # the digits; create_model gives this to a mini unless told otherwise

# Like the paper's table 1: one row a module, in its column order.
WIDTHS = {
    name: dict(zip(COLUMNS, widths, strict=True))
    for name, widths in {
        "a": (8, 6, 12, 3, 6, 4),  # 30 x 24 x 24
        "b": (20, 14, 28, 6, 12, 8),  # 68 x 12 x 12
        "c": (32, 20, 48, 8, 20, 12),  # 112 x 6 x 6
    }.items()
}

# The width at which each mini has the MACs of mini_reduced (2,571,232), within 2 %.
MATCHED_WIDTH = {
    "mini_naive": 0.43,
    "mini_reduced": 1.0,
    "mini_3x3": 0.52,
    "mini_5x5": 0.265,
    "mini_v2": 0.965,
}


def scaled(widths, width):
    """A row of channel counts times `width`, each at least 1."""
    return {column: max(1, round(width * n)) for column, n in widths.items()}


def check_width(width):
    """Refuse a width that leaves nothing of the network, or too much."""
    if not 0.1 <= width <= 8:
        raise ValueError(f"width={width} must lie between 0.1 and 8; 1 is as drawn")


def plain_stem(out_channels):
    """One 3x3/2: `(N, 3, 48, 48) -> (N, out, 24, 24)`."""
    return ConvUnit(3, out_channels, 3, stride=2, padding=1)


def classifier(in_channels, num_classes, dropout=0.0):
    """Global average pool, linear: `(N, in, H, W) -> (N, num_classes)`."""
    return {
        "avgpool": nn.AdaptiveAvgPool2d(1),
        "flatten": nn.Flatten(),
        "dropout": nn.Dropout(dropout),
        "fc": nn.Linear(in_channels, num_classes),
    }


def three_modules(name, build, num_classes, aux, width):
    """A stem, the three rows of `WIDTHS` as `build` makes them, a classifier.

    `build(in_channels, widths, width)` returns a module with `.out_channels`. The
    stem stays as it is, so that the modules alone differ in width.
    """
    if aux:
        raise ValueError(f"{name} has no auxiliary head; use aux=False, or mini_v3")
    check_width(width)
    channels = 12
    stages = {"stem": plain_stem(channels)}  # 12 x 24 x 24
    for row, widths in WIDTHS.items():
        if row != "a":
            stages[f"maxpool_{row}"] = nn.MaxPool2d(3, stride=2, padding=1)
        module = build(channels, widths, width)
        stages[f"inception_{row}"], channels = module, module.out_channels
    stages |= classifier(channels, num_classes)
    return Network(stages, name=name, input_size=48, min_size=8)


def concatenated(row):
    """How many channels a row of `WIDTHS` puts out."""
    return sum(row[column] for column in ("1x1", "3x3", "5x5", "pool proj"))


class SingleKernel(ConvUnit):
    """One kernel for everything: what a module replaces, as wide as that module."""

    def __init__(self, in_channels, widths, kernel_size, width=1.0):
        out_channels = max(1, round(width * concatenated(widths)))
        super().__init__(in_channels, out_channels, kernel_size)
        self.out_channels = out_channels


class TwoThreeByThree(Branches):
    """Rethinking, figure 5: the reduced module with two 3x3 in place of the 5x5.

    `(N, in, H, W) -> (N, 1x1 + 3x3 + 5x5 + pool proj, H, W)`.
    """

    def __init__(self, in_channels, widths):
        narrow, wide = widths["5x5 reduce"], widths["5x5"]
        super().__init__(
            {
                "1x1": ConvUnit(in_channels, widths["1x1"], 1),
                "3x3": {
                    "reduce": ConvUnit(in_channels, widths["3x3 reduce"], 1),
                    "3x3": ConvUnit(widths["3x3 reduce"], widths["3x3"], 3),
                },
                "double 3x3": {
                    "reduce": ConvUnit(in_channels, narrow, 1),
                    "3x3 a": ConvUnit(narrow, wide, 3),
                    "3x3 b": ConvUnit(wide, wide, 3),
                },
                "pool": {
                    "pool": nn.MaxPool2d(3, stride=1, padding=1),
                    "proj": ConvUnit(in_channels, widths["pool proj"], 1),
                },
            }
        )
        self.out_channels = concatenated(widths)


def mini_naive(num_classes=CLASSES, aux=False, *, width=1.0):
    """Three naive modules (Going deeper, figure 2a): `(N, 3, 48, 48) -> (N, 10)`."""
    return three_modules(
        "mini_naive",
        lambda channels, row, width: NaiveModule(
            channels, scaled(row, width), norm="batch"
        ),
        num_classes,
        aux,
        width,
    )


def mini_reduced(num_classes=CLASSES, aux=False, *, width=1.0):
    """Three modules with 1x1 reductions (figure 2b): `(N, 3, 48, 48) -> (N, 10)`."""
    return three_modules(
        "mini_reduced",
        lambda channels, row, width: InceptionModule(
            channels, scaled(row, width), norm="batch"
        ),
        num_classes,
        aux,
        width,
    )


def mini_3x3(num_classes=CLASSES, aux=False, *, width=1.0):
    """Three plain 3x3 layers, no branches: `(N, 3, 48, 48) -> (N, 10)`."""
    return three_modules(
        "mini_3x3",
        lambda channels, row, width: SingleKernel(channels, row, 3, width),
        num_classes,
        aux,
        width,
    )


def mini_5x5(num_classes=CLASSES, aux=False, *, width=1.0):
    """Three plain 5x5 layers, no branches: `(N, 3, 48, 48) -> (N, 10)`."""
    return three_modules(
        "mini_5x5",
        lambda channels, row, width: SingleKernel(channels, row, 5, width),
        num_classes,
        aux,
        width,
    )


def mini_v2(num_classes=CLASSES, aux=False, *, width=1.0):
    """`mini_reduced` with every 5x5 as two 3x3: `(N, 3, 48, 48) -> (N, 10)`."""
    return three_modules(
        "mini_v2",
        lambda channels, row, width: TwoThreeByThree(channels, scaled(row, width)),
        num_classes,
        aux,
        width,
    )


MINIS = {
    "mini_naive": mini_naive,
    "mini_reduced": mini_reduced,
    "mini_3x3": mini_3x3,
    "mini_5x5": mini_5x5,
    "mini_v2": mini_v2,
}
