"""Small cousins of every version, for 48x48 images and a laptop.

Same modules, same names, fewer and narrower. Five have a stem to 24x24, then one
module at 24x24, one at 12x12, one at 6x6, and differ in it alone, so that a difference
in accuracy is the module's; `mini_v3`, `mini_v4` and `mini_resnet` follow the plans of
their papers. Not in any paper.
"""

from functools import partial

from torch import nn

from inception_edu.networks.bn_inception import COLUMNS as DOUBLE_COLUMNS
from inception_edu.networks.bn_inception import DoubleModule
from inception_edu.networks.googlenet import (
    COLUMNS,
    InceptionModule,
    NaiveModule,
    head,
)
from inception_edu.networks.inception_resnet import Residual
from inception_edu.networks.inception_v3 import (
    AsymmetricModule,
    AuxiliaryHead,
    ExpandedModule,
    GridReduction,
)
from inception_edu.networks.layers import ConvUnit, Network, numbered
from inception_edu.options import check_choice

CLASSES = 10  # the digits; create_model gives this to a mini unless told otherwise

# Like the paper's table 1: one row a module, in its column order, and what comes out.
WIDTHS = {
    name: dict(zip((*COLUMNS, "out"), widths, strict=True))
    for name, widths in {
        "a": (8, 6, 12, 3, 6, 4, 30),  # x 24 x 24
        "b": (20, 14, 28, 6, 12, 8, 68),  # x 12 x 12
        "c": (32, 20, 48, 8, 20, 12, 112),  # x 6 x 6
    }.items()
}


def mini_builder(name, build):
    """The builder of a stem, the rows of `WIDTHS` as `build` makes them, a classifier.

    `build(in_channels, row)` returns a module with `.out_channels`; `width` multiplies
    the rows, each number at least 1, and leaves the stem as it is.
    """

    def network(num_classes=CLASSES, *, width=1.0):
        channels = 12
        stages = {"stem": ConvUnit(3, channels, 3, stride=2, padding=1)}  # 12 x 24 x 24
        for row, widths in WIDTHS.items():
            if row != "a":
                stages[f"maxpool_{row}"] = nn.MaxPool2d(3, stride=2, padding=1)
            scaled = {column: max(1, round(width * n)) for column, n in widths.items()}
            module = build(channels, scaled)
            stages[f"inception_{row}"], channels = module, module.out_channels
        stages |= head(channels, num_classes, dropout=0.0)
        return Network(stages, name=name, input_size=48, min_size=8)

    return network


def single_kernel(in_channels, row, kernel_size):
    """One kernel for everything: what a module replaces, as wide as that module."""
    unit = ConvUnit(in_channels, row["out"], kernel_size)
    unit.out_channels = row["out"]
    return unit


def two_3x3(in_channels, row, pool="average"):
    """Rethinking, figure 5: the reduced module with two 3x3 in place of the 5x5."""
    widths = dict(zip(DOUBLE_COLUMNS, row.values(), strict=False))  # no "out"
    return DoubleModule(in_channels, widths, pool=pool)


def small_head(in_channels, num_classes, *, bn_aux=True):
    """v3's auxiliary head, small: `(N, in, 11, 11) -> (N, num_classes)`."""
    return AuxiliaryHead(
        in_channels, num_classes, bn_aux=bn_aux, widths=(32, 64), grid=3
    )


def factorized_stem(out_channels):
    """Three 3x3 in place of one 7x7/2: `(N, 3, 48, 48) -> (N, out, 24, 24)`."""
    return nn.Sequential(
        ConvUnit(3, 8, 3, stride=2, padding=1),  # 8 x 24 x 24
        ConvUnit(8, 8, 3),  # 8 x 24 x 24
        ConvUnit(8, out_channels, 3),  # out x 24 x 24
    )


def mini_v3(num_classes=CLASSES, aux=False, *, stem="factorized", bn_aux=True):
    """One module of each kind that v3 has: `(N, 3, 48, 48) -> (N, 10)`.

    Figures 5, 6 and 7 of Rethinking on 24x24, 11x11 and 5x5, with the reduction of
    figure 10 between. `stem="plain"` is one 7x7/2, `"factorized"` three 3x3.
    `bn_aux=False` takes the batch normalization off the head's "fully connected"
    layer. The two options are the last two steps of table 3.
    """
    check_choice("stem", stem, ("plain", "factorized"))
    first = ConvUnit(3, 12, 7, stride=2, padding=3)
    stages = {
        "stem": first if stem == "plain" else factorized_stem(12),  # 12 x 24 x 24
        "mixed_a": two_3x3(12, WIDTHS["a"]),
        "reduction_a": GridReduction(  # 52 x 11 x 11
            30, reduce=None, single=14, double_reduce=6, double=8
        ),
        "mixed_b": AsymmetricModule(52, inner=8, out=16),  # 64 x 11 x 11
        "reduction_b": GridReduction(  # 108 x 5 x 5
            64, reduce=16, single=24, double_reduce=16, double=20
        ),
        "mixed_c": ExpandedModule(108, (20, 20, 24, 20)),  # 120 x 5 x 5
        **head(120, num_classes, dropout=0.0),
    }
    heads = {"mixed_b": small_head(64, num_classes, bn_aux=bn_aux)} if aux else None
    return Network(
        stages, heads, name="mini_v3", input_size=48, min_size=46 if aux else 13
    )


def uniform(name, num_classes, counts, blocks, last_channels):
    """v4's plan: alike modules on 24x24, 11x11 and 5x5, with a reduction between.

    `counts` and `blocks`: how many of which module on each grid; `last_channels`: on
    the last grid.
    """
    (a, b, c), (block_a, block_b, block_c) = counts, blocks
    stages = {"stem": factorized_stem(24)}  # 24 x 24 x 24
    stages |= numbered("a", a, block_a)
    stages["reduction_a"] = GridReduction(  # 56 x 11 x 11
        24, reduce=None, single=20, double_reduce=6, double=12
    )
    stages |= numbered("b", b, block_b)
    stages["reduction_b"] = GridReduction(  # last_channels x 5 x 5
        56, reduce=14, single=last_channels - 76, double_reduce=14, double=20
    )
    stages |= numbered("c", c, block_c)
    stages |= head(last_channels, num_classes, dropout=0.0)
    return Network(stages, name=name, input_size=48, min_size=13)


def mini_v4(num_classes=CLASSES, *, a=1, b=2, c=1):
    """v4's plan, uniform on every grid: `(N, 3, 48, 48) -> (N, 10)`.

    `a`, `b`, `c`: how many modules on 24x24, 11x11 and 5x5, all of one grid alike
    and each as wide at its end as at its start.
    """
    row = dict(zip(COLUMNS, (6, 6, 6, 4, 6, 6), strict=True))
    blocks = (
        partial(two_3x3, 24, row),
        partial(AsymmetricModule, 56, inner=8, out=14),
        partial(ExpandedModule, 96, (16, 16, 20, 16)),
    )
    return uniform("mini_v4", num_classes, (a, b, c), blocks, 96)


class ResidualBlock(Residual):
    """Inception-ResNet's blocks, small: `relu(x + scale * up(branches(x)))`.

    `kernels` are those of the second branch, run after each other: (3, 3) for A,
    (1, 7) then (7, 1) for B, (1, 3) then (3, 1) for C.
    """

    def __init__(self, channels, inner, kernels, *, scale, residual=True):
        branches = {
            "1x1": ConvUnit(channels, inner, 1),
            "wide": [
                ConvUnit(channels, inner, 1),
                *(ConvUnit(inner, inner, kernel) for kernel in kernels),
            ],
        }
        super().__init__(channels, branches, 2 * inner, scale=scale, residual=residual)


def mini_resnet(
    num_classes=CLASSES, *, scale=0.2, a=1, b=2, c=1, top=96, residual=True
):
    """mini_v4's plan with residual blocks: `(N, 3, 48, 48) -> (N, 10)`.

    `scale` multiplies every branch before it is added to its input (Inception-v4,
    section 3.3: 0.1 to 0.3); 1 is no scaling. `top`: the channels on the 5x5 grid, 77
    or more; the branches stay as narrow as they are, like the release's 192 to 256
    beside 2080. `residual=False` leaves the additions out, and nothing else.
    """
    block = partial(ResidualBlock, scale=scale, residual=residual)
    blocks = (
        partial(block, 24, 8, (3, 3)),
        partial(block, 56, 16, ((1, 7), (7, 1))),
        partial(block, top, 32, ((1, 3), (3, 1))),
    )
    return uniform("mini_resnet", num_classes, (a, b, c), blocks, top)


# What the three modules of a mini are; one kernel alone is what they replace.
MODULES = {
    "mini_naive": partial(NaiveModule, norm="batch"),
    "mini_reduced": partial(InceptionModule, norm="batch"),
    "mini_3x3": partial(single_kernel, kernel_size=3),
    "mini_5x5": partial(single_kernel, kernel_size=5),
    "mini_v2": partial(two_3x3, pool="max"),
}
MINIS = {
    **{name: mini_builder(name, build) for name, build in MODULES.items()},
    "mini_v3": mini_v3,
    "mini_v4": mini_v4,
    "mini_resnet": mini_resnet,
}
