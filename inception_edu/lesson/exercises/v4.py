"""Lessons 5 and 7: v4's stem and modules, residual blocks.

Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning, arXiv 1602.07261v2: figures 3, 4, 9, 16, section 3.3.
"""

import torch
from torch.nn import functional as F

from inception_edu.lesson.compare_modules import module_exercise
from inception_edu.lesson.exercise import Case, exercise


@exercise(
    *map(Case, ((64, 96, 96, 192), (10, 1, 2, 5), (32, 48, 41, 64), (7, 13, 30, 11))),
    parts=("after_first", "after_second", "after_third"),
    lesson=5,
)
def stem_v4(in_channels, first, second, third):
    """The channels after each of the stem's three concatenations (figure 3): a max
    pool beside a convolution of `first` filters; two branches that both end on
    `second`; a convolution of `third` filters beside a max pool."""
    return in_channels + first, 2 * second, 2 * second + third


def a_row(*widths):
    names = ("1x1", "3x3 reduce", "3x3", "double reduce", "double 3x3 a")
    return dict(zip((*names, "double 3x3 b", "pool proj"), widths, strict=True))


@module_exercise(
    Case((12, a_row(2, 3, 4, 6, 5, 7, 10)), "12, seven widths", (2, 12, 7, 8)),
    Case((20, a_row(6, 4, 8, 5, 9, 10, 7)), "20, seven widths", (3, 20, 9, 6)),
    lesson=5,
)
def inception_a(x, conv, in_channels, widths):
    """Figure 4, in the released order: 1x1; 1x1 then 3x3; 1x1 then two 3x3; a 3x3
    average pool (padding left out of the average) then 1x1; ReLU after every
    convolution. widths has the columns 1x1, 3x3 reduce, 3x3, double reduce, double
    3x3 a, double 3x3 b, pool proj."""
    one = conv(x, "1x1", widths["1x1"], 1)
    three = conv(x, "3x3 reduce", widths["3x3 reduce"], 1)
    three = conv(three, "3x3", widths["3x3"], 3)
    double = conv(x, "double reduce", widths["double reduce"], 1)
    double = conv(double, "double 3x3 a", widths["double 3x3 a"], 3)
    double = conv(double, "double 3x3 b", widths["double 3x3 b"], 3)
    pool = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    pool = conv(pool, "pool proj", widths["pool proj"], 1)
    return conv.join(
        {"1x1": one, "3x3": three, "double 3x3": double, "pool proj": pool}
    )


@exercise(*map(Case, ((4, 7, 3), (1, 0, 2), (0, 0, 0), (2, 10, 5))), lesson=5)
def compose_v4(a, b, c):
    """The parameters of an Inception v4 with a A modules, b B and c C, from 317,632,
    2,936,256 and 4,553,088 a module; stem 605,728, Reduction-A 2,306,112, Reduction-B
    2,747,392, classifier 1,537,000."""
    modules = a * 317_632 + b * 2_936_256 + c * 4_553_088
    return modules + 605_728 + 2_306_112 + 2_747_392 + 1_537_000


def block_case(image, scale, *widths):
    label = f"{image[1]}, widths {', '.join(map(str, widths))}, {scale}"
    columns = dict(zip(("1x1", "3x3 reduce", "3x3"), widths, strict=True))
    return Case((image[1], columns, scale), label, image)


@module_exercise(
    block_case((2, 12, 6, 7), 0.15, 3, 4, 5),
    block_case((3, 7, 5, 8), 0.35, 4, 2, 6),
    lesson=7,
)
def residual_block(x, conv, channels, widths, scale):
    """A small Inception-ResNet block: 1x1, and 1x1 reduce then 3x3 (ReLU after each),
    concatenated; a 1x1 back up to channels without ReLU; times scale, added to the
    input; ReLU. widths has 1x1, 3x3 reduce, 3x3."""
    one = conv(x, "1x1", widths["1x1"], 1)
    three = conv(x, "3x3 reduce", widths["3x3 reduce"], 1)
    three = conv(three, "3x3", widths["3x3"], 3)
    both = torch.cat([one, three], 1)
    up = conv(both, "up-projection", channels, 1, relu=False, norm=False)
    y = x + scale * up
    return conv.act(y)
