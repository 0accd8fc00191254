"""Lesson 1: counting parameters and MACs, the naive module.

Going deeper with convolutions, arXiv 1409.4842: figure 2(a), table 1. Widths are
columns of a row of table 1: {"1x1": 64, "3x3": 128, "5x5": 32}.
"""

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise, formulas
from inception_edu.lesson.exercises.pools import NO_NORM, POOLS, max_pool

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
    mistakes=formulas(
        "i, o, k, bias",
        {
            "with `bias=False` only the weights count": "i*o*k*k + o",
            "with `bias=True` each output channel has one bias": "i*o*k*k",
            "each output channel has one bias, not each input channel": (
                "i*o*k*k + i*bias"
            ),
            "one bias is too few: each output channel has its own": "i*o*k*k + bias",
            "`bias` is the other way round: True adds the biases": (
                "i*o*k*k + o*(not bias)"
            ),
            "one bias per filter, not one per weight": "i*o*k*k + i*o*bias",
            "a kernel is a square: kernel_size * kernel_size weights": (
                ("i*o*k + o*bias", "i*o*k", "i*o*k + o")
            ),
            "each output channel reads all inputs: multiply by in_channels": (
                ("o*k*k + o*bias", "o*k*k")
            ),
            "each output channel has its own filter: multiply by out_channels": (
                ("i*k*k + o*bias", "i*k*k")
            ),
            "multiply in_channels and out_channels, do not add them": (
                ("(i + o)*k*k + o*bias", "(i + o)*k*k")
            ),
            "kernel_size is a side, not the number of positions": "i*o + o*bias",
        },
    ),
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
    mistakes=formulas(
        "i, o, k, h, w",
        {
            "these are FLOPs: a multiply-add is one MAC, and two FLOPs": (
                "2*i*o*k*k*h*w"
            ),
            "these are the weights: each is used at every output position": "i*o*k*k",
            "the grid has out_height * out_width positions": ("i*o*k*k*h", "i*o*k*k*w"),
            "the grid need not be square": ("i*o*k*k*h*h", "i*o*k*k*w*w"),
            "multiply out_height and out_width, do not add them": "i*o*k*k*(h + w)",
            "by the convention a bias costs no MACs": (
                ("(i*o*k*k + o)*h*w", "i*o*k*k*h*w + o")
            ),
            "a kernel is a square: kernel_size * kernel_size": "i*o*k*h*w",
            "the kernel is missing: multiply by kernel_size * kernel_size": "i*o*h*w",
            "each output channel reads all inputs: multiply by in_channels": (
                "o*k*k*h*w"
            ),
            "each output channel has its own filter: multiply by out_channels": (
                "i*k*k*h*w"
            ),
            "multiply in_channels and out_channels, do not add them": "(i + o)*k*k*h*w",
            "return the count itself, not millions or billions": (
                ("i*o*k*k*h*w/1e6", "i*o*k*k*h*w/1e9")
            ),
        },
    ),
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
    mistakes=formulas(
        "i, widths, n, total=lambda widths: sum(widths.values())",
        {
            "the pool passes the input on: start from in_channels": (
                ("total(widths) if n else i", "total(widths)", "n*total(widths)")
            ),
            "each module adds its three widths: multiply them by `modules`": (
                "i + total(widths)"
            ),
            "the input counts once; each module adds only the three widths": (
                "n*(i + total(widths))"
            ),
            "a module adds its three widths; it does not double what comes in": (
                "i*2**n"
            ),
            "add the widths, do not multiply them by the input": "i*total(widths)**n",
            "concatenation adds the widths up; it does not take the largest": (
                "i + n*max(widths.values())"
            ),
            "add the widths: `len(widths)` only counts them": "i + n*len(widths)",
            "all three widths count": tuple(
                f"i + n*(total(widths) - {left})"
                for left in (
                    "widths['1x1']",
                    "widths['3x3']",
                    "widths['5x5']",
                    "widths['1x1'] - widths['3x3']",
                    "widths['1x1'] - widths['5x5']",
                    "widths['3x3'] - widths['5x5']",
                )
            ),
            "one module too many or too few": (
                ("i + (n - 1)*total(widths)", "i + (n + 1)*total(widths)")
            ),
        },
    ),
)


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
    mistakes=POOLS
    | {"in the naive module no convolution follows the pool": naive_projected},
    cases=(
        Case((12, {"1x1": 4, "3x3": 8, "5x5": 3}), "12, widths 4, 8, 3", (2, 12, 8, 8)),
        Case((5, {"1x1": 5, "3x3": 5, "5x5": 5}), "5, widths 5, 5, 5", (3, 5, 9, 7)),
        Case((3, {"1x1": 2, "3x3": 4, "5x5": 6}), "3, widths 2, 4, 6", (2, 3, 6, 10)),
    ),
)


EXERCISES = (conv_params, conv_macs, naive_width, naive_module)
