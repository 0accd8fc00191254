"""Lesson 1: counting parameters and MACs, the naive module.

Going deeper with convolutions, arXiv 1409.4842: figure 2(a), table 1. Widths are
columns of a row of table 1: {"1x1": 64, "3x3": 128, "5x5": 32}.
"""

from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise, known_mistakes

NO_NORM = (
    "Your module has batch norm, which GoogLeNet does not have: with the package's "
    '`ConvUnit`, pass `norm="none"`.'
)

NAIVE_3A = {"1x1": 64, "3x3": 128, "5x5": 32}


conv_params = Exercise(
    name="conv_params",
    lesson=1,
    call="conv_params(in_channels, out_channels, kernel_size, bias)",
    task="The number of parameters of a convolution, biases only if bias is True.",
    right=lambda i, o, k, bias: i * o * k * k + (o if bias else 0),
    cases=(
        Case((3, 64, 7, False)),
        Case((3, 64, 7, True)),
        Case((192, 128, 3, False)),
        Case((256, 32, 5, True)),
        Case((17, 6, 4, True)),
        Case((48, 11, 1, False)),
    ),
    mistakes=known_mistakes("conv_params", globals()),
)

conv_macs = Exercise(
    name="conv_macs",
    lesson=1,
    call="conv_macs(in_channels, out_channels, kernel_size, out_height, out_width)",
    task="The multiply-adds (MACs) of a convolution for one image.",
    right=lambda i, o, k, h, w: i * o * k * k * h * w,
    cases=(
        Case((3, 64, 7, 112, 110)),
        Case((192, 32, 5, 28, 29)),
        Case((16, 8, 1, 5, 9)),
        Case((5, 7, 3, 6, 4)),
    ),
    mistakes=known_mistakes("conv_macs", globals()),
)

naive_width = Exercise(
    name="naive_width",
    lesson=1,
    call="naive_width(in_channels, widths, modules)",
    task=(
        "The channels after that many naive modules in a row, all with the same "
        'widths (a dict {"1x1": 64, "3x3": 128, "5x5": 32}).'
    ),
    right=lambda i, widths, n: i + n * sum(widths.values()),
    cases=(
        Case((192, NAIVE_3A, 1), "192, widths of 3a, 1"),
        Case((192, NAIVE_3A, 2), "192, widths of 3a, 2"),
        Case((192, NAIVE_3A, 9), "192, widths of 3a, 9"),
        Case((10, {"1x1": 4, "3x3": 2, "5x5": 1}, 3), "10, widths 4, 2, 1, 3"),
        Case((10, {"1x1": 4, "3x3": 2, "5x5": 1}, 0), "10, widths 4, 2, 1, 0"),
    ),
    mistakes=known_mistakes("naive_width", globals()),
)


def max_pool(x):
    """Max pool 3x3 of stride 1, which keeps the grid."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def naive_layers(in_channels, widths):
    return {
        "1x1": (widths["1x1"], in_channels, 1, 1),
        "3x3": (widths["3x3"], in_channels, 3, 3),
        "5x5": (widths["5x5"], in_channels, 5, 5),
    }


def naive(x, net, in_channels, widths, *, pool=max_pool):
    return {
        "1x1": lambda: net(x, "1x1"),
        "3x3": lambda: net(x, "3x3"),
        "5x5": lambda: net(x, "5x5"),
        "pool": lambda: pool(x),
    }


def naive_projected(x, net, in_channels, widths):
    pool = {"pool": lambda: net(max_pool(x), (None, in_channels, 1, 1))}
    return naive(x, net, in_channels, widths) | pool


naive_module = ModuleExercise(
    name="naive_module",
    lesson=1,
    call="naive_module(in_channels, widths)",
    task=(
        "Figure 2(a): 1x1, 3x3 and 5x5 convolutions, each with a ReLU, and a 3x3 "
        "max pool on the same input, concatenated along the channels in that order."
    ),
    layers=naive_layers,
    branches=("1x1", "3x3", "5x5", "pool"),
    right=naive,
    note_on_norms=NO_NORM,
    mistakes=known_mistakes("naive_module", globals()),
    cases=(
        Case((12, {"1x1": 4, "3x3": 8, "5x5": 3}), "12, widths 4, 8, 3", (2, 12, 8, 8)),
        Case((5, {"1x1": 5, "3x3": 5, "5x5": 5}), "5, widths 5, 5, 5", (3, 5, 9, 7)),
        Case((3, {"1x1": 2, "3x3": 4, "5x5": 6}), "3, widths 2, 4, 6", (2, 3, 6, 10)),
    ),
)


EXERCISES = (conv_params, conv_macs, naive_width, naive_module)
