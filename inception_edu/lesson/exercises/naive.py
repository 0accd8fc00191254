"""Lesson 1: counting parameters and MACs, the naive module.

Going deeper with convolutions, arXiv 1409.4842: figure 2(a), table 1. Widths are
columns of a row of table 1: {"1x1": 64, "3x3": 128, "5x5": 32}.
"""

from torch.nn import functional as F

from inception_edu.lesson.compare_modules import module_exercise
from inception_edu.lesson.exercise import Case, exercise

NO_NORM = (
    "Your module has batch norm, which GoogLeNet does not have: with the package's "
    '`ConvUnit`, pass `norm="none"`.'
)


def row(one, three, five):
    return {"1x1": one, "3x3": three, "5x5": five}


@exercise(
    Case((3, 64, 7, False)),
    Case((3, 64, 7, True)),
    Case((192, 128, 3, False)),
    Case((256, 32, 5, True)),
    Case((17, 6, 4, True)),
    Case((48, 11, 1, False)),
    lesson=1,
)
def conv_params(in_channels, out_channels, kernel_size, bias):
    """The number of parameters of a convolution, biases only if bias is True."""
    return in_channels * out_channels * kernel_size**2 + (out_channels if bias else 0)


@exercise(
    Case((3, 16, 7, 12, 10)),
    Case((24, 6, 5, 8, 9)),
    Case((16, 8, 1, 5, 9)),
    Case((5, 7, 3, 6, 4)),
    lesson=1,
)
def conv_macs(in_channels, out_channels, kernel_size, out_height, out_width):
    """The multiply-adds (MACs) of a convolution for one image."""
    return in_channels * out_channels * kernel_size**2 * out_height * out_width


@exercise(
    Case((192, row(64, 128, 32), 1), "192, widths of 3a, 1"),
    Case((192, row(64, 128, 32), 2), "192, widths of 3a, 2"),
    Case((192, row(64, 128, 32), 9), "192, widths of 3a, 9"),
    Case((10, row(4, 2, 1), 3), "10, widths 4, 2, 1, 3"),
    Case((10, row(4, 2, 1), 0), "10, widths 4, 2, 1, 0"),
    lesson=1,
)
def naive_width(in_channels, widths, modules):
    """The channels after that many naive modules in a row, all with the same widths
    (a dict {"1x1": 64, "3x3": 128, "5x5": 32})."""
    return in_channels + modules * sum(widths.values())


@module_exercise(
    Case((12, row(4, 8, 3)), "12, widths 4, 8, 3", (2, 12, 8, 8)),
    Case((5, row(5, 5, 5)), "5, widths 5, 5, 5", (3, 5, 9, 7)),
    Case((3, row(2, 4, 6)), "3, widths 2, 4, 6", (2, 3, 6, 10)),
    note_on_norms=NO_NORM,
    lesson=1,
)
def naive_module(x, conv, in_channels, widths):
    """Figure 2(a): 1x1, 3x3 and 5x5 convolutions, each with a ReLU, and a 3x3 max
    pool on the same input, concatenated along the channels in that order."""
    return conv.join(
        {
            "1x1": conv(x, "1x1", widths["1x1"], 1),
            "3x3": conv(x, "3x3", widths["3x3"], 3),
            "5x5": conv(x, "5x5", widths["5x5"], 5),
            "pool": F.max_pool2d(x, 3, 1, 1),
        }
    )
