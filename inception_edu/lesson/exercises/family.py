"""Lessons 5 to 7: v4's stem and modules, fusing for inference, residual blocks.

Inception-v4, Inception-ResNet and the Impact of Residual Connections on
Learning, arXiv 1602.07261v2: figures 3, 4, 9, 16, section 3.3.
"""

import torch
from torch.nn import functional as F

from inception_edu.lesson.checking import Case, FunctionExercise
from inception_edu.lesson.structures import Build, ModuleExercise, noise, relu

stem_v4 = FunctionExercise(
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
    cases=(Case((64, 96, 96, 192)), Case((10, 1, 2, 4)), Case((32, 48, 40, 64))),
    mistakes={
        "a max pool passes its input's channels on: they are added": (
            lambda i, a, b, c: (a, 2 * b, c)
        ),
        "the branches lie side by side: both count": lambda i, a, b, c: (
            i + a,
            b,
            b + c,
        ),
        "step 5 has no pool: both its branches end in a convolution": (
            lambda i, a, b, c: (i + a, i + a + b, i + a + b + c)
        ),
        "step 5 passes nothing of step 4 on: both its branches end in a convolution": (
            lambda i, a, b, c: (i + a, i + a + 2 * b, i + a + 2 * b + c)
        ),
        "the third concatenation adds the pooled output of the second": (
            lambda i, a, b, c: (i + a, 2 * b, i + a + c)
        ),
        "these are the paper's numbers whatever is asked: use the arguments": (
            lambda i, a, b, c: (160, 192, 384)
        ),
    },
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


def a_reference(pool=average, after=relu):
    """Inception-A; the switches make the known mistakes."""

    def run(x, conv, i, w):
        def chain(*names):
            y = x
            for name in names:
                y = after(conv(y, name))
            return y

        return torch.cat(
            [
                chain("1x1"),
                chain("3x3 reduce", "3x3"),
                chain("double reduce", "double 3x3 a", "double 3x3 b"),
                after(conv(pool(x), "pool proj")),
            ],
            1,
        )

    return run


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
    missing={
        "double 3x3 b": "the third branch has two 3x3, one after the other",
        "pool proj": "the pool is followed by a 1x1",
    },
    plans={
        "these are the paper's widths whatever is asked: use in_channels and widths": (
            lambda shapes, i, w: {outputs for outputs, *_ in shapes} == {64, 96}
        ),
    },
    reference=a_reference(),
    mistakes={
        "the pool of v4 is an average pool": a_reference(
            lambda x: F.max_pool2d(x, 3, 1, 1)
        ),
        "the padding is left out of the average: count_include_pad=False": a_reference(
            lambda x: average(x, True)
        ),
        "a ReLU follows every convolution": a_reference(after=lambda x: x),
    },
    order="all branches are there, in another order: 1x1, 3x3, double 3x3, pool proj",
    cases=(
        Build(
            (12, a_row(2, 3, 4, 5, 6, 7, 8)),
            (2, 12, 7, 7),
            "12, seven different widths",
        ),
        Build(
            (24, a_row(6, 4, 8, 5, 9, 10, 7)),
            (1, 24, 9, 6),
            "24, seven different widths",
        ),
    ),
)

# Parameters of Inception v4 without auxiliary head: one A, one B, one C, and the
# stem, both reductions and the classifier together.
V4_A, V4_B, V4_C = 317_632, 2_936_256, 4_553_088
V4_REST = 605_728 + 2_306_112 + 2_747_392 + 1_537_000


def v4_total(a, b, c):
    return V4_REST + a * V4_A + b * V4_B + c * V4_C


compose_v4 = FunctionExercise(
    name="compose_v4",
    lesson=5,
    call="compose_v4(a, b, c)",
    task=(
        "The parameters of an Inception v4 with a A modules, b B and c C, from "
        "317,632, 2,936,256 and 4,553,088 a module; stem 605,728, Reduction-A "
        "2,306,112, Reduction-B 2,747,392, classifier 1,537,000."
    ),
    right=v4_total,
    cases=(Case((4, 7, 3)), Case((1, 0, 0)), Case((0, 0, 0)), Case((2, 10, 5))),
    mistakes={
        "stem, reductions and classifier are forgotten": (
            lambda a, b, c: v4_total(a, b, c) - V4_REST
        ),
        "the stem is forgotten": lambda a, b, c: v4_total(a, b, c) - 605_728,
        "the classifier is forgotten": lambda a, b, c: v4_total(a, b, c) - 1_537_000,
        "the two reductions are forgotten": (
            lambda a, b, c: v4_total(a, b, c) - 2_306_112 - 2_747_392
        ),
        "Reduction-A is forgotten": lambda a, b, c: v4_total(a, b, c) - 2_306_112,
        "Reduction-B is forgotten": lambda a, b, c: v4_total(a, b, c) - 2_747_392,
        "this is the paper's 4, 7, 3 whatever is asked: use a, b and c": (
            lambda a, b, c: v4_total(4, 7, 3)
        ),
        "A and B are swapped": lambda a, b, c: v4_total(b, a, c),
        "A and C are swapped": lambda a, b, c: v4_total(c, b, a),
        "B and C are swapped": lambda a, b, c: v4_total(a, c, b),
    },
)


def fold(
    weight, bias, mean, var, gamma, beta, eps, *, over=0, with_eps=True, plus=True
):
    """Weight and bias with the normalisation folded in, and the known mistakes."""
    factor = gamma / (var + (eps if with_eps else 0)).sqrt()
    shape = [1] * weight.dim()
    shape[over] = -1
    old = torch.zeros_like(mean) if bias is None or not plus else bias
    return weight * factor.reshape(shape), (old - mean) * factor + beta


def fold_no_mean(weight, bias, mean, var, gamma, beta, eps):
    return fold(weight, bias, torch.zeros_like(mean), var, gamma, beta, eps)


def fold_no_root(weight, bias, mean, var, gamma, beta, eps):
    return fold(weight, bias, mean, (var + eps) ** 2, gamma, beta, 0.0)


def fold_eps_outside(weight, bias, mean, var, gamma, beta, eps):
    return fold(weight, bias, mean, (var.sqrt() + eps) ** 2, gamma, beta, 0.0)


def fold_mean_late(weight, bias, mean, var, gamma, beta, eps):
    folded, _ = fold(weight, bias, mean, var, gamma, beta, eps)
    old = torch.zeros_like(mean) if bias is None else bias
    return folded, old - mean + beta


def fold_bias_late(weight, bias, mean, var, gamma, beta, eps):
    folded, new = fold(weight, None, mean, var, gamma, beta, eps)
    return folded, new if bias is None else new + bias


def fold_case(seed, outputs, inputs, with_bias, eps):
    args = (
        noise(seed, outputs, inputs, 3, 3).double(),
        noise(seed + 1, outputs).double() if with_bias else None,
        noise(seed + 2, outputs).double(),
        noise(seed + 3, outputs).double().abs() + 0.1,
        noise(seed + 4, outputs).double(),
        noise(seed + 5, outputs).double(),
        eps,
    )
    bias = "with bias" if with_bias else "bias None"
    return Case(args, f"3x3 {inputs}->{outputs}, {bias}, eps {eps}")


fold_batch_norm = FunctionExercise(
    name="fold_batch_norm",
    lesson=6,
    call="fold_batch_norm(weight, bias, mean, var, gamma, beta, eps)",
    task=(
        "(weight, bias) of one convolution that gives what the convolution "
        "followed by its batch norm gives in eval mode; bias may be None."
    ),
    parts=("weight", "bias"),
    right=fold,
    cases=(
        fold_case(1, 4, 3, False, 1e-3),
        fold_case(2, 5, 5, True, 0.1),
        fold_case(3, 2, 6, True, 1e-3),
    ),
    mistakes={
        "eps is forgotten: gamma / sqrt(var + eps)": (
            lambda *args: fold(*args, with_eps=False)
        ),
        "the convolution's own bias is forgotten: (bias - mean) * factor + beta": (
            lambda *args: fold(*args, plus=False)
        ),
        "the mean is forgotten: (bias - mean) * factor + beta": fold_no_mean,
        "the mean is scaled too: (bias - mean) * factor + beta": fold_mean_late,
        "the old bias is scaled too: (bias - mean) * factor + beta": fold_bias_late,
        "divide by the standard deviation, the root of var + eps": fold_no_root,
        "eps belongs under the root: sqrt(var + eps)": fold_eps_outside,
        "the factor belongs to the output channels, dimension 0 of the weight": (
            lambda *args: fold(*args, over=1)
        ),
    },
)


def siblings_case(seed, inputs, outputs):
    weights = [noise(seed + k, o, inputs, 1, 1) for k, o in enumerate(outputs)]
    biases = [noise(seed + 50 + k, o) for k, o in enumerate(outputs)]
    return Case((weights, biases), f"1x1 from {inputs} to {outputs} channels")


merge_siblings = FunctionExercise(
    name="merge_siblings",
    lesson=6,
    call="merge_siblings(weights, biases)",
    task=(
        "(weight, bias) of one 1x1 convolution that gives the outputs of several, "
        "which all read the same input, one after the other along the channels."
    ),
    parts=("weight", "bias"),
    right=lambda weights, biases: (torch.cat(weights, 0), torch.cat(biases, 0)),
    cases=(
        siblings_case(1, 6, (2, 3, 4)),
        siblings_case(2, 4, (4, 4)),
        siblings_case(3, 3, (5,)),
    ),
    mistakes={
        "join along the output channels, dimension 0: the input is the same": (
            lambda weights, biases: (torch.cat(weights, 1), torch.cat(biases, 0))
        ),
        "join, do not add: each keeps its own output channels": (
            lambda weights, biases: (sum(weights), sum(biases))
        ),
        "torch.cat joins along a dimension; torch.stack makes a new one": (
            lambda weights, biases: (torch.stack(weights), torch.stack(biases))
        ),
        "the weight comes first, the bias after it": (
            lambda weights, biases: (torch.cat(biases, 0), torch.cat(weights, 0))
        ),
        "the order of the outputs is turned round": (
            lambda weights, biases: (
                torch.cat(weights[::-1], 0),
                torch.cat(biases[::-1], 0),
            )
        ),
    },
)


def block_layers(channels, widths, scale):
    return {
        "1x1": (widths["1x1"], channels, 1, 1),
        "3x3 reduce": (widths["3x3 reduce"], channels, 1, 1),
        "3x3": (widths["3x3"], widths["3x3 reduce"], 3, 3),
        "up": (channels, widths["1x1"] + widths["3x3"], 1, 1),
    }


def block(scale_of=None, up=lambda x: x, after=relu, join=None, inner=relu):
    """A residual block as a reference; the switches make the known mistakes."""

    def run(x, conv, channels, widths, scale):
        one = inner(conv(x, "1x1"))
        three = inner(conv(inner(conv(x, "3x3 reduce")), "3x3"))
        branch = up(conv(torch.cat([one, three], 1), "up"))
        scale = scale if scale_of is None else scale_of(scale)
        return after(join(x, branch, scale) if join else x + scale * branch)

    return run


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
    missing={
        "up": "a 1x1 brings the concatenated branches back to the input's channels",
    },
    reference=block(),
    mistakes={
        "the scale is forgotten: x + scale * branch": block(lambda scale: 1.0),
        "the up-projection is linear: no ReLU before the addition": block(up=relu),
        "the ReLU after the addition is forgotten": block(after=lambda x: x),
        "the scale belongs to the branch, not to the input": block(
            join=lambda x, branch, scale: scale * x + branch
        ),
        "scale the branch only, not the sum": block(
            join=lambda x, branch, scale: scale * (x + branch)
        ),
        "the input is forgotten: a residual block adds it": block(
            join=lambda x, branch, scale: scale * branch
        ),
        "add the input, do not concatenate it": block(
            join=lambda x, branch, scale: torch.cat([x, scale * branch], 1)
        ),
        "the branches need their ReLU": block(inner=lambda x: x),
    },
    cases=(
        Build(
            (12, {"1x1": 3, "3x3 reduce": 4, "3x3": 5}, 0.1),
            (2, 12, 6, 6),
            "12, widths 3, 4, 5, 0.1",
        ),
        Build(
            (7, {"1x1": 4, "3x3 reduce": 2, "3x3": 6}, 0.3),
            (1, 7, 5, 8),
            "7, widths 4, 2, 6, 0.3",
        ),
    ),
)

EXERCISES = (
    stem_v4,
    inception_a,
    compose_v4,
    fold_batch_norm,
    merge_siblings,
    residual_block,
)
