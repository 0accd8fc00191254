"""Lesson 2: 1x1 convolutions, the reduced module, GoogLeNet, receptive fields.

Going deeper with convolutions, arXiv 1409.4842: figure 2(b), table 1, section 5.
Widths are rows of table 1: {"1x1": 64, "3x3 reduce": 96, "3x3": 128, ...}.
"""

from math import prod

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise
from inception_edu.lesson.exercises.pools import NO_NORM, POOLS, max_pool
from inception_edu.lesson.module_mistakes import identity, orders, run_branches
from inception_edu.lesson.module_mistakes import join as joined
from inception_edu.lesson.recorder import noise

COLUMNS = ("1x1", "3x3 reduce", "3x3", "5x5 reduce", "5x5", "pool proj")


def row(*widths):
    """A row of table 1 from six numbers in the order of its columns."""
    return dict(zip(COLUMNS, widths, strict=True))


ROW_3A = row(64, 96, 128, 16, 32, 32)
ROW_4A = row(192, 96, 208, 16, 48, 64)
SMALL = row(2, 3, 4, 5, 6, 8)


def per_pixel(x, weight):
    """The weights on every pixel's channel vector: (N, K, H, W)."""
    return torch.einsum("kc,nchw->nkhw", weight, x)


def scrambled(x, weight, bias):
    """The mistake of reshaping (N, C, H, W) to rows without moving the channels."""
    n, c, h, w = x.shape
    rows = x.reshape(n * h * w, c) @ weight.T + bias
    return rows.reshape(n, -1, h, w)


def column(bias):
    return bias[:, None, None]


def apply_pointwise(x, w, b, *, relu=F.relu, bias=column, after=identity):
    return after(relu(per_pixel(x, w) + bias(b)))


pointwise = Exercise(
    name="pointwise",
    lesson=2,
    call="pointwise(x, weight, bias)",
    task=(
        "A 1x1 convolution with ReLU, without nn.Conv2d: the matrix weight (K, C) "
        "applied to the channels of every pixel of x (N, C, H, W), plus bias (K,)."
    ),
    right=apply_pointwise,
    differentiable=True,
    cases=(
        Case((3 * noise(1, 2, 6, 5, 4), 2 * noise(2, 3, 6), noise(3, 3)), "6 to 3"),
        Case((3 * noise(4, 1, 3, 5, 2), 2 * noise(5, 8, 3), noise(6, 8)), "3 to 8"),
        Case((3 * noise(7, 3, 4, 4, 4), 2 * noise(8, 4, 4), noise(9, 4)), "4 to 4"),
    ),
    mistakes={
        "the ReLU is missing: it makes the 1x1 more than a projection": {
            "relu": identity
        },
        "the activation is ReLU6, not ReLU": {"relu": F.relu6},
        "the bias is missing": {"bias": lambda b: 0},
        "the bias is added, not subtracted": {"bias": lambda b: -column(b)},
        "the ReLU comes last: add the bias before it": (
            lambda x, w, b: F.relu(per_pixel(x, w)) + column(b)
        ),
        "the channels are not the last dimension: move them there with `permute` "
        "before you reshape": lambda x, w, b: F.relu(scrambled(x, w, b)),
        "the result has its channels last: permute it back to (N, K, H, W)": {
            "after": lambda y: y.permute(0, 2, 3, 1)
        },
        "height and width are swapped": {"after": lambda y: y.transpose(2, 3)},
        "the weight is transposed: output k is the sum over c of weight[k, c] * x[c]": (
            lambda x, w, b: F.relu(per_pixel(x, w.T) + column(b))
        ),
        "the bias belongs to the channels: give it the shape (K, 1, 1)": {
            "bias": identity
        },
        "`weight @ x` multiplies the rows of the grid, not the channels: move the "
        "channels last with `permute` and multiply by weight.T": [
            lambda x, w, b: F.relu(w @ x + b),
            lambda x, w, b: F.relu(w @ x + column(b)),
            lambda x, w, b: F.relu(x @ w.T + b),
        ],
    },
    tolerance=1e-5,
)


def module_layers(in_channels, widths, prefix=""):
    return {
        f"{prefix}1x1": (widths["1x1"], in_channels, 1, 1),
        f"{prefix}3x3 reduce": (widths["3x3 reduce"], in_channels, 1, 1),
        f"{prefix}3x3": (widths["3x3"], widths["3x3 reduce"], 3, 3),
        f"{prefix}5x5 reduce": (widths["5x5 reduce"], in_channels, 1, 1),
        f"{prefix}5x5": (widths["5x5"], widths["5x5 reduce"], 5, 5),
        f"{prefix}pool proj": (widths["pool proj"], in_channels, 1, 1),
    }


def reduced(x, net, i, w, *, pool=max_pool, direct=(), proj="after", prefix=""):
    """The four branches of figure 2(b); the keywords make the known mistakes."""

    def spatial(name):
        if name in direct:
            size = int(name[0])
            return net(x, (w[name], i, size, size))
        return net(net(x, f"{prefix}{name} reduce"), f"{prefix}{name}")

    def pooled():
        if proj == "before":
            return pool(net(x, f"{prefix}pool proj"))
        return net(pool(x), f"{prefix}pool proj") if proj else pool(x)

    return {
        "1x1": lambda: net(x, f"{prefix}1x1"),
        "3x3": lambda: spatial("3x3"),
        "5x5": lambda: spatial("5x5"),
        "pool proj": pooled,
    }


inception_module = ModuleExercise(
    name="inception_module",
    lesson=2,
    call="inception_module(in_channels, widths)",
    task=(
        "Figure 2(b): 1x1; 1x1 reduce then 3x3; 1x1 reduce then 5x5; max pool then "
        "1x1 projection; a ReLU after every convolution; concatenated in that "
        "order. widths is a row of table 1."
    ),
    layers=module_layers,
    branches=("1x1", "3x3", "5x5", "pool proj"),
    right=reduced,
    note_on_norms=NO_NORM,
    mistakes=POOLS
    | {
        "a ReLU follows the 1x1 reductions too (section 4)": {
            "linear": ("3x3 reduce", "5x5 reduce")
        },
        "only the reductions have their ReLU: one follows every convolution": {
            "linear": ("1x1", "3x3", "5x5", "pool proj")
        },
        "a ReLU is missing at the end of the branches": {
            "linear": ("1x1", "3x3", "5x5")
        },
        "in the last branch the pool comes first, then the 1x1": {"proj": "before"},
        "a 1x1 projection follows the pool": {"proj": ""},
        "a 1x1 reduction comes before the 3x3": {"direct": ("3x3",)},
        "a 1x1 reduction comes before the 5x5": {"direct": ("5x5",)},
        "1x1 reductions come before the 3x3 and the 5x5": {"direct": ("3x3", "5x5")},
        "1x1 reductions come before the 3x3 and the 5x5, and a projection after the "
        "pool: this is the naive module": {"direct": ("3x3", "5x5"), "proj": ""},
    },
    cases=(
        Case((12, row(4, 6, 8, 2, 3, 5)), "12, widths 4, 6, 8, 2, 3, 5", (2, 12, 8, 8)),
        Case((7, SMALL), "7, widths 2, 3, 4, 5, 6, 8", (3, 7, 5, 9)),
    ),
)


def cost_of(i, w, grid, *, wide=(), without=(), bias=False, places=2, times=1):
    """(weights, MACs) of a reduced module; the keywords make the known mistakes."""
    layers = module_layers(i, w)
    for name in wide:  # reads in_channels
        outputs, _, *kernel = layers[name]
        layers[name] = (outputs, i, *kernel)
    for name in without:
        del layers[name]
    weights = sum(map(prod, layers.values()))
    biases = sum(shape[0] for shape in layers.values())
    macs = (weights + biases * (bias == "both")) * grid**places * times
    return weights + biases * bool(bias), macs


reduced_cost = Exercise(
    name="reduced_cost",
    lesson=2,
    call="reduced_cost(in_channels, widths, grid)",
    task=(
        "(weights, MACs) of the reduced module on a grid x grid map, biases not "
        "counted. widths is a row of table 1."
    ),
    parts=("weights", "macs"),
    right=cost_of,
    cases=(
        Case((192, ROW_3A, 28), "192, widths of 3a, 28"),
        Case((480, ROW_4A, 14), "480, widths of 4a, 14"),
        Case((7, SMALL, 5), "7, widths 2, 3, 4, 5, 6, 8, 5"),
    ),
    mistakes={
        "the biases do not count: weights only": [{"bias": True}, {"bias": "both"}],
        "the pool projection is missing: it is a 1x1 from in_channels": {
            "without": ("pool proj",)
        },
        "the 1x1 branch is missing": {"without": ("1x1",)},
        "3x3 and 5x5 read the reduced channels, not in_channels": {
            "wide": ("3x3", "5x5")
        },
        "the 3x3 reads the reduced channels too, not in_channels": {"wide": ("3x3",)},
        "the 5x5 reads the reduced channels too, not in_channels": {"wide": ("5x5",)},
        "the two 1x1 reductions have weights as well": {
            "without": ("3x3 reduce", "5x5 reduce")
        },
        "the first number is the weights, the second the MACs": (
            lambda i, w, g: cost_of(i, w, g)[::-1]
        ),
        "these are FLOPs: a multiply-add is one MAC, and two FLOPs": {"times": 2},
        "the grid has grid * grid positions": {"places": 1},
        "each weight is used at every position: multiply by grid * grid": {"places": 0},
    },
)


def stage_layers(in_channels, rows):
    layers = {}
    for number, widths in enumerate(rows, 1):
        layers |= module_layers(in_channels, widths, f"module {number}: ")
        ends = ("1x1", "3x3", "5x5", "pool proj")
        in_channels = sum(widths[name] for name in ends)
    return layers


def ceil_pool(x):
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def stage(x, net, i, rows, *, last=ceil_pool, inner=joined, **switches):
    for number, w in enumerate(rows, 1):
        prefix = f"module {number}: "
        branches = reduced(x, net, x.shape[1], w, prefix=prefix, **switches)
        x = inner(run_branches(branches))
    return last(x)


def linear_everywhere(*names):
    """The labels of these convolutions in the modules of a stage."""
    return tuple(f"module {number}: {name}" for number in (1, 2, 3) for name in names)


googlenet_stage = ModuleExercise(
    name="googlenet_stage",
    lesson=2,
    call="googlenet_stage(in_channels, rows)",
    task=(
        "A stage of GoogLeNet: one reduced module for every row of widths, one after "
        "the other, then a 3x3 max pool of stride 2 with ceil_mode=True."
    ),
    layers=stage_layers,
    right=stage,
    note_on_norms=NO_NORM,
    mistakes=POOLS
    | {
        "the stage ends with a max pool of stride 2": {"last": identity},
        "the last pool rounds down: with `ceil_mode=True` 28 becomes 14, not 13": {
            "last": lambda x: F.max_pool2d(x, 3, 2)
        },
        "the last pool is 3x3, not 2x2 (2x2 is torchvision's maxpool4)": {
            "last": lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True)
        },
        "the last pool has `padding=0` and `ceil_mode=True`; with `padding=1` its "
        "windows lie one pixel further up and left": [
            {"last": lambda x: F.max_pool2d(x, 3, 2, padding=1)},
            {"last": lambda x: F.max_pool2d(x, 3, 2, padding=1, ceil_mode=True)},
        ],
        "the last pool is a max pool": {
            "last": lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True)
        },
        "the last pool has stride 2": {"last": max_pool},
        "a pool belongs at the end of the stage, not after every module": (
            lambda x, net, i, rows: stage(
                x, net, i, rows, last=identity, inner=lambda b: ceil_pool(joined(b))
            )
        ),
        "make one module for every row": (
            lambda x, net, i, rows: stage(x, net, i, rows[:1])
        ),
        "the pool comes after the modules, not before them": (
            lambda x, net, i, rows: stage(ceil_pool(x), net, i, rows, last=identity)
        ),
        "in every module the order of the branches is 1x1, 3x3, 5x5, pool proj": [
            {"inner": order} for order in orders(("1x1", "3x3", "5x5", "pool proj"))
        ],
        "a ReLU follows the 1x1 reductions too (section 4)": {
            "linear": linear_everywhere("3x3 reduce", "5x5 reduce")
        },
        "the pool projection has a ReLU": {"linear": linear_everywhere("pool proj")},
        "in the last branch the pool comes first, then the 1x1": {"proj": "before"},
    },
    cases=(
        Case(
            (6, [row(2, 3, 4, 5, 6, 7), row(4, 3, 5, 2, 8, 6)]),
            "6, two rows",
            (2, 6, 8, 12),
        ),
        Case((7, [row(3, 2, 6, 4, 5, 1)]), "7, one row", (3, 7, 10, 6)),
        Case(
            (5, [SMALL, row(3, 4, 2, 5, 7, 6), row(6, 5, 3, 2, 4, 8)]),
            "5, three rows",
            (2, 5, 6, 6),
        ),
    ),
)


def field_of(kernels, strides, *, there=1, start=1, own=False):
    """Receptive field of a stack: r += (k - 1) * step, then step *= stride."""
    size, step = start, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        step *= stride if own else 1
        size += (kernel - there) * step
        step *= 1 if own else stride
    return size


receptive_field_of_stack = Exercise(
    name="receptive_field_of_stack",
    lesson=2,
    call="receptive_field_of_stack(kernels, strides)",
    task=(
        "How many input pixels, in one direction, one output pixel of a stack of "
        "layers sees; kernels and strides are lists, first layer first."
    ),
    right=field_of,
    cases=(
        Case(([3], [1])),
        Case(([3, 3], [1, 1])),
        Case(([7, 3, 1, 3, 3], [2, 2, 1, 1, 2])),
        Case(([2, 5], [3, 2])),
        Case(([5, 3, 3], [2, 3, 1])),
        Case(([], [])),
    ),
    mistakes={
        "two 3x3 see 5 pixels, not 6: each layer adds kernel - 1": [
            lambda kernels, strides: sum(kernels) if kernels else 1,
            lambda kernels, strides: sum(kernels),
        ],
        "kernels do not multiply: each layer adds (kernel - 1) * step": (
            lambda kernels, strides: prod(kernels)
        ),
        "strides are missing: after a stride of 2 one step is two input pixels": (
            lambda kernels, strides: 1 + sum(k - 1 for k in kernels)
        ),
        "a layer adds (kernel - 1) * step: one position of its window is there "
        "already": {"there": 0},
        "a layer's own stride counts only for the layers after it": {"own": True},
        "start from 1: with no layer a pixel sees itself": {"start": 0},
        "go through the stack from the first layer on, not backwards": (
            lambda kernels, strides: field_of(kernels[::-1], strides[::-1])
        ),
        "strides multiply along the stack: step *= stride": (
            lambda kernels, strides: (
                1
                + sum(
                    (k - 1) * before
                    for k, before in zip(kernels, [1, *strides], strict=False)
                )
            )
        ),
    },
)

EXERCISES = (
    pointwise,
    inception_module,
    reduced_cost,
    googlenet_stage,
    receptive_field_of_stack,
)
