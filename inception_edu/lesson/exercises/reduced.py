"""Lesson 2: 1x1 convolutions, the reduced module, GoogLeNet, receptive fields.

Going deeper with convolutions, arXiv 1409.4842: figure 2(b), table 1, section 5.
Widths are rows of table 1: {"1x1": 64, "3x3 reduce": 96, "3x3": 128, ...}.
"""

from math import prod

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise, known_mistakes
from inception_edu.lesson.exercises.naive import NO_NORM, max_pool
from inception_edu.lesson.module_mistakes import identity, orders, run_branches
from inception_edu.lesson.module_mistakes import join as joined
from inception_edu.lesson.recorder import noise

ORDERS = orders(("1x1", "3x3", "5x5", "pool proj"))
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
    mistakes=known_mistakes("pointwise", globals()),
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
    mistakes=known_mistakes("inception_module", globals()),
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
    mistakes=known_mistakes("reduced_cost", globals()),
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
    mistakes=known_mistakes("googlenet_stage", globals()),
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
    lesson=3,
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
    mistakes=known_mistakes("receptive_field_of_stack", globals()),
)

EXERCISES = (
    pointwise,
    inception_module,
    reduced_cost,
    googlenet_stage,
    receptive_field_of_stack,
)
