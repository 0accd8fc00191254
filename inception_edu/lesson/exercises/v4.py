"""Lessons 5 and 7: v4's stem and modules, residual blocks.

Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning, arXiv 1602.07261v2: figures 3, 4, 9, 16, section 3.3.
"""

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Case, Exercise, known_mistakes
from inception_edu.lesson.module_mistakes import identity

stem_v4 = Exercise(
    name="stem_v4",
    lesson=5,
    call="stem_v4(in_channels, first, second, third)",
    task=(
        "The channels after each of the stem's three concatenations (figure 3): a "
        "max pool beside a convolution of `first` filters; two branches that both "
        "end on `second`; a convolution of `third` filters beside a max pool."
    ),
    parts=("after_first", "after_second", "after_third"),
    right=lambda i, a, b, c: (i + a, 2 * b, 2 * b + c),
    cases=(
        Case((64, 96, 96, 192)),
        Case((10, 1, 2, 5)),
        Case((32, 48, 41, 64)),
        Case((7, 13, 30, 11)),
    ),
    mistakes=known_mistakes("stem_v4", globals()),
)

A_COLUMNS = (
    "1x1",
    "3x3 reduce",
    "3x3",
    "double reduce",
    "double 3x3 a",
    "double 3x3 b",
    "pool proj",
)


def a_row(*widths):
    return dict(zip(A_COLUMNS, widths, strict=True))


def a_layers(i, w):
    return {
        "1x1": (w["1x1"], i, 1, 1),
        "3x3 reduce": (w["3x3 reduce"], i, 1, 1),
        "3x3": (w["3x3"], w["3x3 reduce"], 3, 3),
        "double reduce": (w["double reduce"], i, 1, 1),
        "double 3x3 a": (w["double 3x3 a"], w["double reduce"], 3, 3),
        "double 3x3 b": (w["double 3x3 b"], w["double 3x3 a"], 3, 3),
        "pool proj": (w["pool proj"], i, 1, 1),
    }


def average(x, count_padding=False):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=count_padding)


def a_branches(x, net, i, w, *, pool=average, last="double 3x3 b", project="after"):
    """Inception-A; the keywords make the known mistakes."""

    def chain(y, *names):
        for name in names:
            y = net(y, name)
        return y

    double = ["double reduce", "double 3x3 a"] + ([last] if last else [])
    before = project == "before"
    return {
        "1x1": lambda: net(x, "1x1"),
        "3x3": lambda: chain(x, "3x3 reduce", "3x3"),
        "double 3x3": lambda: chain(x, *double),
        "pool proj": lambda: (
            pool(net(x, "pool proj")) if before else net(pool(x), "pool proj")
        ),
    }


inception_a = ModuleExercise(
    name="inception_a",
    lesson=5,
    call="inception_a(in_channels, widths)",
    task=(
        "Figure 4, in the released order: 1x1; 1x1 then 3x3; 1x1 then two 3x3; a 3x3 "
        "average pool (padding left out of the average) then 1x1; ReLU after every "
        f"convolution. widths has the columns {', '.join(A_COLUMNS)}."
    ),
    layers=a_layers,
    branches=("1x1", "3x3", "double 3x3", "pool proj"),
    right=a_branches,
    mistakes=known_mistakes("inception_a", globals()),
    cases=(
        Case(
            (12, a_row(2, 3, 4, 5, 6, 7, 8)),
            "12, seven different widths",
            (2, 12, 7, 8),
        ),
        Case(
            (20, a_row(6, 4, 8, 5, 9, 10, 7)),
            "20, seven different widths",
            (3, 20, 9, 6),
        ),
    ),
)


# Parameters of Inception v4 without auxiliary head.
V4 = {
    "A": 317_632,
    "B": 2_936_256,
    "C": 4_553_088,
    "stem": 605_728,
    "Reduction-A": 2_306_112,
    "Reduction-B": 2_747_392,
    "classifier": 1_537_000,
}


def v4_total(a, b, c, *, without=(), once=()):
    """The parameters of a v4; `without` parts, or with some modules only once."""
    counts = dict.fromkeys(V4, 1) | {"A": a, "B": b, "C": c}
    counts |= dict.fromkeys(without, 0) | dict.fromkeys(once, 1)
    return sum(V4[part] * count for part, count in counts.items())


compose_v4 = Exercise(
    name="compose_v4",
    lesson=5,
    call="compose_v4(a, b, c)",
    task=(
        "The parameters of an Inception v4 with a A modules, b B and c C, from "
        "317,632, 2,936,256 and 4,553,088 a module; stem 605,728, Reduction-A "
        "2,306,112, Reduction-B 2,747,392, classifier 1,537,000."
    ),
    right=v4_total,
    cases=(Case((4, 7, 3)), Case((1, 0, 2)), Case((0, 0, 0)), Case((2, 10, 5))),
    mistakes=known_mistakes("compose_v4", globals()),
)


def block_layers(channels, widths, scale):
    return {
        "1x1": (widths["1x1"], channels, 1, 1),
        "3x3 reduce": (widths["3x3 reduce"], channels, 1, 1),
        "3x3": (widths["3x3"], widths["3x3 reduce"], 3, 3),
        "up": (channels, widths["1x1"] + widths["3x3"], 1, 1),
    }


def shortcut(x, branch, scale):
    return x + scale * branch


def block(x, net, i, w, scale, *, up=identity, after=None, add=shortcut, factor=None):
    """A residual block; the keywords make the known mistakes."""
    one = net(x, "1x1")
    three = net(net(x, "3x3 reduce"), "3x3")
    branch = up(net.conv(torch.cat([one, three], 1), "up"))
    return (after or net.act)(add(x, branch, scale if factor is None else factor))


residual_block = ModuleExercise(
    name="residual_block",
    lesson=7,
    call="residual_block(channels, widths, scale)",
    task=(
        "A small Inception-ResNet block: 1x1, and 1x1 reduce then 3x3 (ReLU after "
        "each), concatenated; a 1x1 back up to channels without ReLU; times scale, "
        "added to the input; ReLU. widths has 1x1, 3x3 reduce, 3x3."
    ),
    layers=block_layers,
    norms={"up": False},
    right=block,
    mistakes=known_mistakes("residual_block", globals()),
    cases=(
        Case(
            (12, {"1x1": 3, "3x3 reduce": 4, "3x3": 5}, 0.15),
            "12, widths 3, 4, 5, 0.15",
            (2, 12, 6, 7),
        ),
        Case(
            (7, {"1x1": 4, "3x3 reduce": 2, "3x3": 6}, 0.35),
            "7, widths 4, 2, 6, 0.35",
            (3, 7, 5, 8),
        ),
    ),
)

EXERCISES = (stem_v4, inception_a, compose_v4, residual_block)
