"""Lessons 1 and 2: counting, the naive module, 1x1 convolutions, GoogLeNet.

Going deeper with convolutions, arXiv 1409.4842: figure 2, table 1, section 5.
Widths are rows of table 1: {"1x1": 64, "3x3 reduce": 96, "3x3": 128, ...}.
"""

import torch
from torch.nn import functional as F

from inception_edu.lesson.checking import Case, FunctionExercise
from inception_edu.lesson.structures import (
    Build,
    ModuleExercise,
    noise,
    relu,
    same_pool,
)

COLUMNS = ("1x1", "3x3 reduce", "3x3", "5x5 reduce", "5x5", "pool proj")


def row(*widths):
    """A row of table 1 from six numbers in the order of its columns."""
    return dict(zip(COLUMNS, widths, strict=True))


ROW_3A = row(64, 96, 128, 16, 32, 32)
ROW_4A = row(192, 96, 208, 16, 48, 64)

conv_params = FunctionExercise(
    name="conv_params",
    lesson=1,
    call="conv_params(in_channels, out_channels, kernel_size, bias)",
    task="The number of parameters of a convolution, biases only if bias is True.",
    right=lambda i, o, k, bias: i * o * k * k + (o if bias else 0),
    cases=(
        Case((3, 64, 7, False)),
        Case((3, 64, 7, True)),
        Case((192, 128, 3, False)),
        Case((256, 32, 1, True)),
        Case((17, 5, 5, False)),
    ),
    mistakes={
        "you counted the bias: with bias=False only the weights count": (
            lambda i, o, k, bias: i * o * k * k + o
        ),
        "with bias=True there is one bias for every output channel": (
            lambda i, o, k, bias: i * o * k * k
        ),
        "one bias an output channel, not one an input channel": (
            lambda i, o, k, bias: i * o * k * k + (i if bias else 0)
        ),
        "one bias in all is too few: there is one for every output channel": (
            lambda i, o, k, bias: i * o * k * k + bool(bias)
        ),
        "a kernel is a square: kernel_size * kernel_size weights, not kernel_size": (
            lambda i, o, k, bias: i * o * k + (o if bias else 0)
        ),
        "every output channel looks at all input channels: multiply by in_channels": (
            lambda i, o, k, bias: o * k * k + (o if bias else 0)
        ),
        "there is one filter for every output channel: multiply by out_channels": (
            lambda i, o, k, bias: i * k * k + (o if bias else 0)
        ),
        "multiply in_channels and out_channels, do not add them": (
            lambda i, o, k, bias: (i + o) * k * k + (o if bias else 0)
        ),
    },
)

conv_macs = FunctionExercise(
    name="conv_macs",
    lesson=1,
    call="conv_macs(in_channels, out_channels, kernel_size, out_height, out_width)",
    task="The multiply-adds (MACs) of a convolution for one image.",
    right=lambda i, o, k, h, w: i * o * k * k * h * w,
    cases=(
        Case((3, 64, 7, 112, 112)),
        Case((192, 32, 5, 28, 28)),
        Case((16, 8, 1, 5, 9)),
        Case((1, 1, 3, 1, 1)),
    ),
    mistakes={
        "you counted FLOPs: a multiply-add is one MAC, and two FLOPs": (
            lambda i, o, k, h, w: 2 * i * o * k * k * h * w
        ),
        "these are the weights: each is used once for every place of the output grid": (
            lambda i, o, k, h, w: i * o * k * k
        ),
        "you used the input grid: count the places of the output": (
            lambda i, o, k, h, w: 4 * i * o * k * k * h * w
        ),
        "the grid has out_height * out_width places": (
            lambda i, o, k, h, w: i * o * k * k * h
        ),
        "a grid need not be a square: out_height * out_width places": (
            lambda i, o, k, h, w: i * o * k * k * h * h
        ),
        "you counted the biases: by the convention a bias costs no MACs": (
            lambda i, o, k, h, w: (i * o * k * k + o) * h * w
        ),
        "a kernel is a square: kernel_size * kernel_size": (
            lambda i, o, k, h, w: i * o * k * h * w
        ),
        "every output channel reads all input channels: multiply by in_channels": (
            lambda i, o, k, h, w: o * k * k * h * w
        ),
        "this is in millions: return the count itself": (
            lambda i, o, k, h, w: i * o * k * k * h * w / 1e6
        ),
    },
)

naive_width = FunctionExercise(
    name="naive_width",
    lesson=1,
    call="naive_width(in_channels, widths, modules)",
    task=(
        "The channels after that many naive modules in a row, all with the same "
        'widths (a table {"1x1": 64, "3x3": 128, "5x5": 32}).'
    ),
    right=lambda i, widths, n: i + n * sum(widths.values()),
    cases=(
        Case((192, {"1x1": 64, "3x3": 128, "5x5": 32}, 1), "192, widths of 3a, 1"),
        Case((192, {"1x1": 64, "3x3": 128, "5x5": 32}, 2), "192, widths of 3a, 2"),
        Case((192, {"1x1": 64, "3x3": 128, "5x5": 32}, 9), "192, widths of 3a, 9"),
        Case((10, {"1x1": 1, "3x3": 2, "5x5": 4}, 3), "10, widths 1, 2, 4, 3"),
        Case((10, {"1x1": 1, "3x3": 2, "5x5": 4}, 0), "10, widths 1, 2, 4, 0"),
    ),
    mistakes={
        "the pool passes the input on, where it stays: start from in_channels": (
            lambda i, widths, n: sum(widths.values()) if n else i
        ),
        "each module adds its three widths again: multiply them by modules": (
            lambda i, widths, n: i + sum(widths.values())
        ),
        "the input is in there once: only the three widths come on top each time": (
            lambda i, widths, n: n * (i + sum(widths.values()))
        ),
        "you forgot what the pool passes through: start from in_channels": (
            lambda i, widths, n: n * sum(widths.values())
        ),
        "a module adds its three widths, however much comes in: it does not double": (
            lambda i, widths, n: i * 2**n
        ),
        "the branches lie side by side: add their widths, do not take the largest": (
            lambda i, widths, n: i + n * max(widths.values())
        ),
        "add the widths up, sum(widths.values()): len(widths) only counts them": (
            lambda i, widths, n: i + n * len(widths)
        ),
    },
)


def naive_layers(in_channels, widths):
    return {
        "1x1": (widths["1x1"], in_channels, 1, 1),
        "3x3": (widths["3x3"], in_channels, 3, 3),
        "5x5": (widths["5x5"], in_channels, 5, 5),
    }


def naive_branches(x, conv, after=relu, pool=same_pool):
    return [after(conv(x, name)) for name in ("1x1", "3x3", "5x5")] + [pool(x)]


def average_pool(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1)


naive_module = ModuleExercise(
    name="naive_module",
    lesson=1,
    call="naive_module(in_channels, widths)",
    task=(
        "Figure 2(a): 1x1, 3x3 and 5x5 convolutions, each with a ReLU, and a 3x3 "
        "max pool on the same input, concatenated along the channels in that order."
    ),
    layers=naive_layers,
    missing={
        "5x5": "the third branch is a real 5x5 (a 3x3 there is torchvision's slip)",
        "too many": "in the naive module the pool is not followed by a convolution",
    },
    reference=lambda x, conv, i, w: torch.cat(naive_branches(x, conv), 1),
    mistakes={
        "the ReLU is forgotten: one follows every convolution": (
            lambda x, conv, i, w: torch.cat(naive_branches(x, conv, lambda y: y), 1)
        ),
        "the pool branch is missing: it passes all its input channels on": (
            lambda x, conv, i, w: torch.cat(naive_branches(x, conv)[:3], 1)
        ),
        "the fourth branch is a max pool, not the input itself": (
            lambda x, conv, i, w: torch.cat(
                naive_branches(x, conv, pool=lambda y: y), 1
            )
        ),
        "the pool of v1 is a max pool, not an average pool": (
            lambda x, conv, i, w: torch.cat(
                naive_branches(x, conv, pool=average_pool), 1
            )
        ),
        "a ReLU too many: one follows every convolution, none the pool": (
            lambda x, conv, i, w: relu(torch.cat(naive_branches(x, conv), 1))
        ),
        "concatenate, do not add: the channels of the branches lie side by side": (
            lambda x, conv, i, w: sum(naive_branches(x, conv)[:3])
        ),
        "you concatenated along the batch: channels are dimension 1": (
            lambda x, conv, i, w: torch.cat(naive_branches(x, conv), 0)
        ),
    },
    order="all branches are there, in another order: 1x1, 3x3, 5x5, pool",
    cases=(
        Build(
            (192, {"1x1": 64, "3x3": 128, "5x5": 32}),
            (2, 192, 8, 8),
            "192, widths of 3a",
        ),
        Build((5, {"1x1": 5, "3x3": 5, "5x5": 5}), (3, 5, 9, 7), "5, widths 5, 5, 5"),
        Build((3, {"1x1": 2, "3x3": 4, "5x5": 6}), (1, 3, 6, 6), "3, widths 2, 4, 6"),
    ),
)


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


pointwise = FunctionExercise(
    name="pointwise",
    lesson=2,
    call="pointwise(x, weight, bias)",
    task=(
        "A 1x1 convolution with ReLU, without nn.Conv2d: the matrix weight (K, C) "
        "applied to the channels of every pixel of x (N, C, H, W), plus bias (K,)."
    ),
    right=lambda x, w, b: relu(per_pixel(x, w) + column(b)),
    cases=(
        Case((noise(1, 2, 6, 4, 4), noise(2, 3, 6), noise(3, 3)), "6 channels to 3"),
        Case((noise(4, 1, 3, 5, 2), noise(5, 8, 3), noise(6, 8)), "3 channels to 8"),
        Case((noise(7, 3, 4, 4, 4), noise(8, 4, 4), noise(9, 4)), "4 channels to 4"),
    ),
    mistakes={
        "the ReLU is forgotten: it follows the 1x1, which is what makes it more "
        "than a projection": lambda x, w, b: per_pixel(x, w) + column(b),
        "the bias is forgotten": lambda x, w, b: relu(per_pixel(x, w)),
        "the ReLU comes last: add the bias before it": (
            lambda x, w, b: relu(per_pixel(x, w)) + column(b)
        ),
        "the channels are not the last dimension: move them there (permute) before "
        "you reshape, or pixels and channels are mixed up": (
            lambda x, w, b: relu(scrambled(x, w, b))
        ),
        "the result has its channels last: permute it back to (N, K, H, W)": (
            lambda x, w, b: relu(per_pixel(x, w) + column(b)).permute(0, 2, 3, 1)
        ),
        "the weight is transposed: output k is the sum over c of weight[k, c] * x[c]": (
            lambda x, w, b: relu(per_pixel(x, w.T) + column(b))
        ),
        "the bias belongs to the channels: give it the shape (K, 1, 1)": (
            lambda x, w, b: relu(per_pixel(x, w) + b)
        ),
        "weight @ x multiplies the rows of the grid, not the channels: move the "
        "channels last (permute) and multiply by weight.T": (
            lambda x, w, b: relu(w @ x + b)
        ),
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


def module_branches(
    x, conv, *, reduce=relu, after=relu, pool=same_pool, proj=relu, prefix=""
):
    """The four branches of figure 2(b); the switches make the known mistakes."""

    def narrow(name):
        return reduce(conv(x, f"{prefix}{name} reduce"))

    return [
        after(conv(x, f"{prefix}1x1")),
        after(conv(narrow("3x3"), f"{prefix}3x3")),
        after(conv(narrow("5x5"), f"{prefix}5x5")),
        proj(conv(pool(x), f"{prefix}pool proj")),
    ]


def joined(**switches):
    """A reference with some switches of `module_branches` turned."""
    return lambda x, conv, i, w: torch.cat(module_branches(x, conv, **switches), 1)


def linear(x):
    """No activation at all."""
    return x


def wrong_order_pool(x, conv, in_channels, widths):
    first = module_branches(x, conv)[:3]
    return torch.cat([*first, same_pool(relu(conv(x, "pool proj")))], 1)


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
    missing={
        "3x3 reduce": "the 3x3 branch begins with a 1x1 that makes it narrow",
        "5x5 reduce": "the 5x5 branch begins with a 1x1 that makes it narrow",
        "3x3": "the 3x3 reads the reduced channels, not in_channels",
        "5x5": "the 5x5 reads the reduced channels, and is a real 5x5 (a 3x3 there "
        "is torchvision's slip)",
        "pool proj": "the pool is not projected: a 1x1 follows it",
    },
    reference=joined(),
    mistakes={
        "no ReLU anywhere: one follows every convolution": joined(
            reduce=linear, after=linear, proj=linear
        ),
        "the 1x1 reductions are linear: a ReLU follows them too (section 4)": joined(
            reduce=linear
        ),
        "the pool projection has no ReLU": joined(proj=linear),
        "the last convolution of the branches has no ReLU": joined(after=linear),
        "only the reductions have their ReLU": joined(after=linear, proj=linear),
        "in the last branch the max pool is missing": joined(pool=linear),
        "the pool of v1 is a max pool, not an average pool": joined(pool=average_pool),
        "in the last branch the pool comes first, then the 1x1": wrong_order_pool,
    },
    order="all branches are there, in another order: 1x1, 3x3, 5x5, pool proj",
    cases=(
        Build((192, ROW_3A), (2, 192, 8, 8), "192, widths of 3a"),
        Build((7, row(2, 3, 4, 5, 6, 8)), (1, 7, 5, 9), "7, widths 2, 3, 4, 5, 6, 8"),
    ),
)


def cost_of(i, w, grid, *, wide=(), proj=True, reduce=True, bias=False):
    """(weights, MACs) of a reduced module; the switches make the known mistakes."""
    layers = module_layers(i, w)
    for name in wide:  # reads in_channels
        outputs, _, *kernel = layers[name]
        layers[name] = (outputs, i, *kernel)
    if not proj:
        del layers["pool proj"]
    if not reduce:
        del layers["3x3 reduce"], layers["5x5 reduce"]
    weights = sum(o * c * h * k for o, c, h, k in layers.values())
    if bias:
        weights += sum(shape[0] for shape in layers.values())
    return weights, weights * grid * grid


reduced_cost = FunctionExercise(
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
        Case((7, row(2, 3, 4, 5, 6, 8), 5), "7, widths 2, 3, 4, 5, 6, 8, 5"),
    ),
    mistakes={
        "you counted the biases: weights only": (
            lambda i, w, g: cost_of(i, w, g, bias=True)
        ),
        "the pool projection is missing: it is a 1x1 from in_channels": (
            lambda i, w, g: cost_of(i, w, g, proj=False)
        ),
        "3x3 and 5x5 read the reduced channels, not in_channels": (
            lambda i, w, g: cost_of(i, w, g, wide=("3x3", "5x5"))
        ),
        "the 3x3 reads the reduced channels too, not in_channels": (
            lambda i, w, g: cost_of(i, w, g, wide=("3x3",))
        ),
        "the 5x5 reads the reduced channels too, not in_channels": (
            lambda i, w, g: cost_of(i, w, g, wide=("5x5",))
        ),
        "the two 1x1 reductions have weights as well": (
            lambda i, w, g: cost_of(i, w, g, reduce=False)
        ),
        "the first number is the weights, the second the MACs": (
            lambda i, w, g: cost_of(i, w, g)[::-1]
        ),
        "you counted FLOPs: a multiply-add is one MAC, and two FLOPs": (
            lambda i, w, g: (cost_of(i, w, g)[0], 2 * cost_of(i, w, g)[1])
        ),
        "the grid has grid * grid places": (
            lambda i, w, g: (cost_of(i, w, g)[0], g * cost_of(i, w, g)[0])
        ),
        "each weight is used at every place: multiply by grid * grid": (
            lambda i, w, g: (cost_of(i, w, g)[0], cost_of(i, w, g)[0])
        ),
    },
)


def stage_width(widths):
    return widths["1x1"] + widths["3x3"] + widths["5x5"] + widths["pool proj"]


def stage_layers(in_channels, rows):
    layers = {}
    for number, widths in enumerate(rows, 1):
        layers |= module_layers(in_channels, widths, f"module {number}: ")
        in_channels = stage_width(widths)
    return layers


def stage(x, conv, rows, pool):
    for number in range(1, len(rows) + 1):
        x = torch.cat(module_branches(x, conv, prefix=f"module {number}: "), 1)
    return pool(x)


def stage_with(pool):
    return lambda x, conv, in_channels, rows: stage(x, conv, rows, pool)


googlenet_stage = ModuleExercise(
    name="googlenet_stage",
    lesson=2,
    call="googlenet_stage(in_channels, rows)",
    task=(
        "A stage of GoogLeNet: one reduced module for every row of widths, one after "
        "the other, then a 3x3 max pool of stride 2 with ceil_mode=True."
    ),
    layers=stage_layers,
    missing={
        "module 2: 1x1": "the second module reads what the first puts out: the sum "
        "of its four widths",
    },
    reference=stage_with(lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)),
    mistakes={
        "the stage ends with a max pool of stride 2: it is missing": stage_with(linear),
        "the pool rounds down: with ceil_mode=True 28 becomes 14, not 13": stage_with(
            lambda x: F.max_pool2d(x, 3, 2)
        ),
        "the last pool is 3x3, not 2x2 (2x2 is torchvision's maxpool4)": stage_with(
            lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True)
        ),
        "with padding=1 the pool looks one pixel further up and left: use "
        "padding=0 and ceil_mode=True": stage_with(
            lambda x: F.max_pool2d(x, 3, 2, padding=1)
        ),
        "the pool between the stages is a max pool": stage_with(
            lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True)
        ),
    },
    order="in every module the branches come in the order 1x1, 3x3, 5x5, pool proj",
    cases=(
        Build(
            (192, (ROW_3A, row(128, 127, 192, 31, 96, 64))),
            (1, 192, 8, 8),
            "192, two rows",
        ),
        Build((6, (row(2, 3, 4, 5, 7, 8),)), (2, 6, 28, 28), "6, one row"),
    ),
)


def field_of(kernels, strides, there=1):
    """Receptive field and step of a stack: r += (k - 1) * step; step *= stride.

    `there`: the places of a window that are in the field already; 0 is a mistake.
    """
    size, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        size += (kernel - there) * step
        step *= stride
    return size


def field_stride_first(kernels, strides):
    size, step = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        step *= stride
        size += (kernel - 1) * step
    return size


def product(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result


receptive_field_of_stack = FunctionExercise(
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
        Case(([], [])),
    ),
    mistakes={
        "two 3x3 see 5 pixels, not 6: each layer adds kernel - 1": (
            lambda kernels, strides: sum(kernels) if kernels else 1
        ),
        "kernels do not multiply: each layer adds (kernel - 1) * step": (
            lambda kernels, strides: product(kernels)
        ),
        "strides are forgotten: after a stride of 2 one step is two input pixels": (
            lambda kernels, strides: 1 + sum(k - 1 for k in kernels)
        ),
        "a layer adds (kernel - 1) * step: one place of its window is there already": (
            lambda kernels, strides: field_of(kernels, strides, there=0)
        ),
        "a layer's own stride counts only for the layers after it": field_stride_first,
        "start from 1: with no layer a pixel sees itself": (
            lambda kernels, strides: field_of(kernels, strides) - 1
        ),
        "a stack is read from the first layer on: you went through it backwards": (
            lambda kernels, strides: field_of(kernels[::-1], strides[::-1])
        ),
    },
)

EXERCISES = (
    conv_params,
    conv_macs,
    naive_width,
    naive_module,
    pointwise,
    inception_module,
    reduced_cost,
    googlenet_stage,
    receptive_field_of_stack,
)
