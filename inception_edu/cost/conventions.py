"""What other tools would print: their totals from the same trace.

Tools disagree on a network by what they count beside the multiply-adds, not by
the multiply-adds. Each convention below is one tool's, written from its own
source: a function of one operation. Read a name's text in `CONVENTIONS` to see
why its total differs.
"""

from math import prod
from typing import NamedTuple

from torch import nn

POOLS = ("max_pool", "avg_pool")
NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm")
PRODUCTS = ("conv", "conv_transpose", "linear", "matmul")
ACTIVATIONS = ("relu", "relu6", "prelu", "elu", "leaky_relu", "gelu", "silu", "softmax")


class Convention(NamedTuple):
    """`count(op, module)` of one operation; `says`: unit and what is counted.

    `module` is a `Ran`: the type of the module that ran the operation, and
    whether it has modules inside.
    """

    says: str
    count: object


class Ran(NamedTuple):
    type: type
    leaf: bool


def positions(op):
    """Pixels or tokens of the output, over the batch."""
    channels = op.out_shape[1] if op.kind == "conv" else op.out_shape[-1]
    return prod(op.out_shape) // channels


def bias_elements(op):
    """Outputs that a bias is added to, 0 where there is none."""
    plain = op.weights * positions(op) == op.macs
    return 0 if plain else prod(op.out_shape)


def norm_elements(op):
    """One per element, two where a learned scale and shift follow."""
    return prod(op.in_shapes[0]) * (2 if op.weights else 1)


def is_adaptive(op):
    """Whether a pool was told its output's size: such a window has no dilation."""
    return op.kind in POOLS and op.dilation is None


def flops(op, module):
    return 2 * op.macs


def macs(op, module):
    return op.macs


def torchinfo(op, module):
    if not module.leaf:
        return 0
    if "Conv" in module.type.__name__:
        return op.weights * positions(op) if op.kind == "conv" else 0
    return op.weights * op.out_shape[0]


def fvcore(op, module):
    if op.kind in PRODUCTS:
        return op.macs
    if op.kind == "batch_norm":
        return norm_elements(op)
    if op.kind in NORMS:
        return prod(op.in_shapes[0]) * (5 if op.weights else 4)
    adaptive = op.kind == "avg_pool" and is_adaptive(op)
    return prod(op.in_shapes[0]) if adaptive else 0


# Modules that ptflops hooks, by exact type; it patches functions besides.
HOOKED = {
    *(nn.ReLU, nn.PReLU, nn.ELU, nn.LeakyReLU, nn.ReLU6, nn.GELU),
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.AdaptiveMaxPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm),
    *(nn.Conv1d, nn.Conv2d, nn.Linear),
}


def ptflops(op, module):
    hooked = module.type in HOOKED
    if op.kind in ("conv", "linear"):
        return op.macs + bias_elements(op) if hooked else 0
    if op.kind in NORMS:
        return norm_elements(op) if hooked else 0
    if op.kind == "leaky_relu":  # hooked, not patched
        return prod(op.in_shapes[0]) * hooked
    if op.kind in POOLS or op.kind in ACTIVATIONS:
        return prod(op.in_shapes[0]) * (1 + hooked)
    if op.kind == "lrn":  # three products and sums, an average over padded channels
        batch, channels, *grid = op.in_shapes[0]
        return batch * prod(grid) * (4 * channels + op.kernel[0] - 1)
    return op.macs if op.kind == "matmul" else 0


def ptflops_aten(op, module):
    if op.kind in ("conv", "linear"):
        return op.macs + bias_elements(op)
    return op.macs if op.kind in PRODUCTS else 0


def thop(op, module):
    kind = module.type
    if op.kind == "conv":
        return op.macs if kind in (nn.Conv1d, nn.Conv2d, nn.Conv3d) else 0
    if op.kind == "linear":
        return op.macs if kind is nn.Linear else 0
    if kind in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm):
        return 2 * norm_elements(op)
    if kind in (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d):
        return prod(op.out_shape)
    if kind is nn.AdaptiveAvgPool2d:
        seen = prod(op.in_shapes[0][2:]) / prod(op.out_shape[2:])
        return int((seen + 1) * prod(op.out_shape))
    return 0


CONVENTIONS = {
    "macs": Convention(
        "MACs: multiply-adds of convolution, linear and matmul weights; all else 0",
        macs,
    ),
    "flops": Convention("FLOPs: 2 x MACs, a multiply and an add each", flops),
    "torchinfo": Convention(
        "torchinfo 1.8's mult-adds: MACs plus biases, and each weight of a "
        "normalisation once; layers with layers inside are left out",
        torchinfo,
    ),
    "fvcore": Convention(
        "fvcore 0.1.5 prints FLOPs and means MACs, plus 2 for each element of a "
        "batch norm and 1 for each that a global average pool reads",
        fvcore,
    ),
    "ptflops": Convention(
        "ptflops 0.7.5's MACs, plus biases, 2 for each element of a batch norm, 1 "
        "for each that an activation or a pool reads - and once more where a layer "
        "calls the function, since both are counted",
        ptflops,
    ),
    "ptflops aten": Convention(
        "ptflops 0.7.5 with backend='aten': MACs plus biases", ptflops_aten
    ),
    "thop": Convention(
        "thop 0.1.1's MACs, plus 4 for each element of a batch norm and 1 for each "
        "of an average pool's; only layers whose type it knows exactly",
        thop,
    ),
}


def total(trace, convention):
    """The total of a `Trace` in one of `CONVENTIONS`; ValueError for another name."""
    if convention not in CONVENTIONS:
        raise ValueError(
            f"convention {convention!r} is unknown; choose from "
            f"{', '.join(CONVENTIONS)}"
        )
    inside = {path.rpartition(".")[0] for path in trace.modules if path}
    ran = {p: Ran(kind, p not in inside) for p, kind in trace.modules.items()}
    count = CONVENTIONS[convention].count
    return sum(
        count(op, ran[op.path])
        for op in trace.ops
        if op.kind not in ("input", "parameter")
    )
