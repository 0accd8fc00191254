"""Every exercise takes right answers and names each mistake it knows."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import inception_edu as ie
from inception_edu import papers
from inception_edu.lesson.checking import FunctionExercise, judge
from inception_edu.lesson.structures import ModuleExercise, Weights
from inception_edu.networks.googlenet import (
    TABLE_1,
    InceptionModule,
    NaiveModule,
    downsample,
)
from inception_edu.networks.inception_v3 import AuxiliaryHead
from inception_edu.networks.inception_v4 import InceptionA
from inception_edu.networks.layers import Branches, ConvUnit

EXERCISES = {exercise.name: exercise for exercise in ie.check.exercises()}
FUNCTIONS = [e for e in EXERCISES.values() if isinstance(e, FunctionExercise)]
MODULES = [e for e in EXERCISES.values() if isinstance(e, ModuleExercise)]


def feedback(name, candidate):
    return judge(EXERCISES[name], candidate)


def one_line(text):
    return " ".join(str(text).split())


class Written(nn.Module):
    """A candidate that computes what a function says, with its own layers."""

    def __init__(self, exercise, forward, args):
        super().__init__()
        self.wanted, self.run, self.args = exercise.layers(*args), forward, args
        for index, (outputs, inputs, *kernel) in enumerate(self.wanted.values()):
            self.add_module(f"conv{index}", nn.Conv2d(inputs, outputs, kernel))
        if exercise.name == "bn_auxiliary":
            self.norms = nn.ModuleList([nn.BatchNorm2d(128), nn.BatchNorm2d(768)])

    def forward(self, x):
        return self.run(x, Weights(self, self.wanted, {}), *self.args)


def written(exercise, forward):
    return lambda *args: Written(exercise, forward, args)


MISTAKES = [
    pytest.param(exercise, hint, id=f"{exercise.name}-{number}")
    for exercise in EXERCISES.values()
    for number, hint in enumerate(exercise.mistakes)
]


@pytest.mark.parametrize(("exercise", "hint"), MISTAKES)
def test_a_known_mistake_gets_its_hint(exercise, hint):
    wrong = exercise.mistakes[hint]
    candidate = wrong if exercise in FUNCTIONS else written(exercise, wrong)
    answer = judge(exercise, candidate)
    assert not answer.passed
    assert f"-> {hint}" in one_line(answer), answer


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_two_mistakes_never_share_a_hint_and_hints_are_sentences(exercise):
    hints = list(exercise.mistakes)
    assert hints, "an exercise without a known mistake gives no help"
    assert all(10 < len(hint) < 200 and not hint.endswith(".") for hint in hints)
    assert all(len(line) <= 78 for line in judge(exercise, lambda *a: 0).lines)


# ---- right answers, each from a source of its own


def test_numbers_agree_with_the_papers():
    def right(name, *args):
        return EXERCISES[name].right(*args)

    # Going deeper, table 1, and the counts of reference implementations.
    assert right("conv_params", 3, 64, 7, False) == 9_408
    assert right("conv_params", 3, 64, 7, True) == 9_472
    assert right("conv_macs", 3, 64, 7, 112, 112) == 118_013_952
    widths = {"1x1": 64, "3x3": 128, "5x5": 32}
    assert right("naive_width", 192, widths, 1) == 416
    assert right("reduced_cost", 192, TABLE_1["3a"], 28) == (163_328, 128_049_152)
    assert right("reduced_cost", 480, TABLE_1["4a"], 14) == (375_552, 73_608_192)
    # Rethinking, sections 3.2 and 7.
    saved = papers.figure(
        "rethinking/section-3-2/factorization/3x3-as-3x1-and-1x3-saving"
    )
    assert round(100 * right("saving", 3)) == saved.value == 33
    assert round(right("smoothing_floor", 10, 0.1), 5) == 0.50029
    assert round(right("smoothing_floor", 1000, 0.1), 5) == 1.01485
    # Inception-v4, figure 3; TF-slim's count of parameters.
    assert right("stem_v4", 64, 96, 96, 192) == (160, 192, 384)
    assert right("compose_v4", 4, 7, 3) == 42_679_816
    # google-research/receptive_field: VGG-16 sees 212 pixels before its last pool.
    kernels, strides = [], []
    for convolutions in (2, 2, 3, 3, 3):
        kernels += [3] * convolutions + [2]
        strides += [1] * convolutions + [2]
    assert right("receptive_field_of_stack", kernels, strides) == 212


def test_tensors_agree_with_torch():
    torch.manual_seed(0)
    x, w, b = torch.randn(2, 5, 4, 3), torch.randn(7, 5), torch.randn(7)
    ours = EXERCISES["pointwise"].right(x, w, b)
    assert torch.allclose(ours, F.conv2d(x, w[:, :, None, None], b).relu(), atol=1e-5)

    norm = nn.BatchNorm2d(5, eps=0.01, momentum=0.3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    state = (norm.running_mean.clone(), norm.running_var.clone())
    affine = (norm.weight.detach(), norm.bias.detach())
    y, mean, var = EXERCISES["batch_norm"].right(x, *affine, *state, True, 0.3, 0.01)
    assert torch.allclose(y, norm(x), atol=1e-5)
    assert torch.allclose(mean, norm.running_mean, atol=1e-6)
    assert torch.allclose(var, norm.running_var, atol=1e-6)
    norm.eval()
    y, *_ = EXERCISES["batch_norm"].right(x, *affine, mean, var, False, 0.3, 0.01)
    assert torch.allclose(y, norm(x), atol=1e-5)

    logits, targets = torch.randn(6, 9), torch.arange(6)
    ours = EXERCISES["label_smoothing_loss"].right(logits, targets, 0.2)
    torchs = F.cross_entropy(logits, targets, label_smoothing=0.2)
    assert ours.item() == pytest.approx(torchs.item(), abs=1e-6)

    gradients = [torch.randn(3), torch.randn(2, 2)]
    weights = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient.clone()
    nn.utils.clip_grad_norm_(weights, 0.5)
    clipped = EXERCISES["clip"].right(gradients, 0.5)
    for weight, gradient in zip(weights, clipped, strict=True):
        assert torch.allclose(weight.grad, gradient, atol=1e-5)

    conv, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3).eval()
    nn.init.normal_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    image = torch.randn(1, 3, 6, 6)
    parts = (norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.eps)
    folded = EXERCISES["fold_batch_norm"].right(conv.weight, conv.bias, *parts)
    assert torch.allclose(F.conv2d(image, *folded), norm(conv(image)), atol=1e-5)


def test_rmsprop_is_torchs_to_six_digits():
    exercise = EXERCISES["rmsprop_step"]
    for case in exercise.cases:
        start, gradients, rate, decay, eps = case.args
        weight = nn.Parameter(start.clone())
        optimizer = torch.optim.RMSprop([weight], rate, alpha=decay, eps=eps)
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimizer.step()
        ours, _ = exercise.answer(exercise.right, case)
        assert torch.allclose(ours, weight.detach(), rtol=0, atol=1e-6)


def test_tensorflows_rmsprop_takes_the_published_steps():
    # Rate 0.045, decay 0.9, eps 1, no momentum: first and 200th step of ApplyRMSProp.
    step = EXERCISES["rmsprop_tf_step"].right
    for gradient, first, late in (
        (0.01, 0.000326, 0.000450),
        (1.0, 0.03182, 0.03182),
        (10.0, 0.1304, 0.0448),
    ):
        w, square, buffer = (torch.tensor(v).double() for v in (0.0, 1.0, 0.0))
        moves = []
        for _ in range(200):
            before = w
            w, square, buffer = step(
                w, torch.tensor(gradient).double(), square, buffer, 0.045, 0.9, 0.0, 1.0
            )
            moves.append((before - w).item())
        # g = 0.01: the square average starts at 1 and decays to almost nothing.
        assert moves[0] == pytest.approx(first, rel=5e-3)
        assert moves[-1] == pytest.approx(late, rel=5e-3)


class Stage(nn.Sequential):
    def __init__(self, in_channels, rows):
        super().__init__()
        for number, widths in enumerate(rows):
            module = InceptionModule(in_channels, widths)
            self.add_module(f"module{number}", module)
            in_channels = module.out_channels
        self.add_module("pool", downsample())


class PlainNaive(nn.Module):
    """As a student writes it: four attributes and one torch.cat."""

    def __init__(self, in_channels, widths, dim=1, padding=2):
        super().__init__()
        self.one = nn.Conv2d(in_channels, widths["1x1"], 1)
        self.three = nn.Conv2d(in_channels, widths["3x3"], 3, padding=1)
        self.five = nn.Conv2d(in_channels, widths["5x5"], 5, padding=padding)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.dim = dim

    def forward(self, x):
        convolutions = [self.one(x), self.three(x), self.five(x)]
        outputs = [torch.relu(y) for y in convolutions] + [self.pool(x)]
        return torch.cat(outputs, dim=self.dim)


class Asymmetric(nn.Sequential):
    def __init__(self, i, o, n):
        super().__init__(
            nn.Conv2d(i, o, (1, n), padding=(0, n // 2), bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU(),
            nn.Conv2d(o, o, (n, 1), padding=(n // 2, 0), bias=False),
            nn.BatchNorm2d(o),
            nn.ReLU(),
        )


@pytest.mark.parametrize(
    ("name", "candidate"),
    [
        ("naive_module", NaiveModule),
        ("naive_module", PlainNaive),
        ("naive_module", lambda i, w: NaiveModule(i, w, norm="batch")),
        ("inception_module", InceptionModule),
        ("inception_module", lambda i, w: InceptionModule(i, w, norm="batch")),
        ("googlenet_stage", Stage),
        ("asymmetric", Asymmetric),
        ("bn_auxiliary", AuxiliaryHead),
        *[pytest.param(e.name, written(e, e.reference), id=e.name) for e in MODULES],
        *[pytest.param(e.name, e.right, id=e.name) for e in FUNCTIONS],
    ],
)
def test_a_right_answer_passes(name, candidate):
    answer = feedback(name, candidate)
    assert answer.passed, answer
    assert len(answer.lines) == 1
    assert answer.lines[0].startswith(f"[ok] {name}: ")


# ---- mistakes as students make them


def test_missing_padding_is_named():
    answer = feedback("naive_module", lambda i, w: PlainNaive(i, w, padding=0))
    assert "no padding (3x3 needs 1, 5x5 needs 2)" in one_line(answer)


@pytest.mark.parametrize("dim", [0, 2, 3])
def test_the_wrong_concatenation_dimension_is_named(dim):
    answer = feedback("naive_module", lambda i, w: PlainNaive(i, w, dim=dim))
    assert "channels are dimension 1, torch.cat(outputs, dim=1)" in one_line(answer)


def test_the_bias_and_the_factor_two_are_named():
    answer = feedback("conv_params", lambda i, o, k, bias: i * o * k * k + o)
    assert str(answer).startswith(
        "[x] conv_params(3, 64, 7, False): expected 9,408, got 9,472\n"
        "    -> you counted the bias: with bias=False only the weights count\n"
    )
    answer = feedback("conv_macs", lambda i, o, k, h, w: 2 * i * o * k * k * h * w)
    assert "you counted FLOPs" in str(answer)
    assert answer.lines[-1] == "[x] conv_macs: 0 of 4 checks passed"


def test_the_order_of_the_branches_is_named():
    class Turned(PlainNaive):
        def forward(self, x):
            outputs = [self.one(x), self.five(x), self.three(x)]
            return torch.cat([*map(torch.relu, outputs), self.pool(x)], 1)

    answer = feedback("naive_module", Turned)
    assert "in another order: 1x1, 3x3, 5x5, pool" in one_line(answer)


def test_torchvisions_slip_is_named():
    answer = feedback(
        "inception_module", lambda i, w: InceptionModule(i, w, wide_kernel=3)
    )
    assert "no 5x5 convolution from 16 to 32 channels (5x5)" in one_line(answer)
    assert "a 3x3 there is torchvision's slip" in one_line(answer)


def pair_of(first, second):
    """Two convolutions with ReLU, one after the other: (inputs, outputs, kernel)."""
    return nn.Sequential(ConvUnit(*first, norm="none"), ConvUnit(*second, norm="none"))


def halves(i, o, n):
    """A thin pair side by side, half of the outputs each."""
    widths = {(1, n): o // 2, (n, 1): o - o // 2}
    return Branches({str(k): ConvUnit(i, w, k, norm="none") for k, w in widths.items()})


@pytest.mark.parametrize(
    ("name", "candidate", "hint"),
    [
        (
            "asymmetric",
            lambda i, o, n: pair_of((i, i, (1, n)), (i, o, (n, 1))),
            "order and kernels are right, the width is not",
        ),
        ("asymmetric", halves, "one after the other, not side by side"),
        (
            "asymmetric",
            lambda i, o, n: pair_of((i, o, (n, 1)), (o, o, (1, n))),
            "the other way round",
        ),
        (
            "asymmetric",
            lambda i, o, n: pair_of((i, o, (1, n)), (i, o, (n, 1))),
            "reads what the 1 x n wrote",
        ),
        (
            "inception_a",
            lambda i, w: InceptionA(),
            "these are the paper's widths whatever is asked",
        ),
        (
            "factorize_5x5",
            lambda i, o: pair_of((i, i, 3), (i, o, 3)),
            "not yet the width of the first",
        ),
        (
            "factorize_5x5",
            lambda i, o: ConvUnit(i, o, 3, norm="none"),
            "a second one must follow",
        ),
        (
            "grid_reduction",
            lambda i, o: nn.Sequential(
                nn.Conv2d(i, o, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2)
            ),
            "the pool stands beside the convolution",
        ),
        (
            "grid_reduction",
            lambda i, o: nn.Sequential(
                nn.MaxPool2d(3, 2), nn.Conv2d(i, o, 3, 2), nn.ReLU()
            ),
            "the convolution stands beside the pool",
        ),
    ],
)
def test_a_wrong_plan_of_layers_gets_one_hint_and_it_fits(name, candidate, hint):
    answer = feedback(name, candidate)
    assert not answer.passed
    assert hint in one_line(answer)
    assert sum(line.startswith("    ->") for line in answer.lines) == 1, answer


def test_a_value_set_in_one_branch_only_is_named():
    def batch_norm(x, gamma, beta, mean, var, training, momentum, eps):
        if training:
            new = mean
        return x, new, var

    answer = one_line(feedback("batch_norm", batch_norm))
    assert "UnboundLocalError" in answer
    assert "in a branch that was not taken" in answer
    assert "is the name spelt right" not in answer


def test_an_unprojected_pool_is_named():
    answer = feedback("inception_module", NaiveModule)
    assert "3x3 branch begins with a 1x1" in one_line(answer)

    class NoProjection(InceptionModule):
        def __init__(self, i, w):
            super().__init__(i, w)
            self["pool"] = nn.MaxPool2d(3, stride=1, padding=1)

    assert "the pool is not projected" in one_line(
        feedback("inception_module", NoProjection)
    )


def test_a_projection_in_the_naive_module_is_one_layer_too_many():
    class Projected(PlainNaive):
        def __init__(self, i, w):
            super().__init__(i, w)
            self.proj = nn.Conv2d(i, 32, 1)

    answer = one_line(feedback("naive_module", Projected))
    assert "one layer too many: 1x1 convolution from 192 to 32 channels" in answer
    assert "the pool is not followed by a convolution" in answer


@pytest.mark.parametrize("first", [True, False])
def test_a_forward_that_spoils_its_input_is_named(first):
    class Inplace(PlainNaive):
        def forward(self, x):
            if first:
                return super().forward(x.relu_())
            output = super().forward(x)
            x.relu_()
            return output

    answer = one_line(feedback("naive_module", Inplace))
    assert "forward changed its input -> something writes into it" in answer


def test_layers_in_a_plain_list_are_named():
    class Listed(nn.Module):
        def __init__(self, i, w):
            super().__init__()
            self.layers = [nn.Conv2d(i, w["1x1"], 1)]

    assert "nn.ModuleList" in one_line(feedback("naive_module", Listed))


def a_module(skip=(), swap=(), **fixed):
    """Inception-A with layers left out, two widths swapped, or widths written in."""

    def build(i, w):
        w = w | {name.replace("_", " "): width for name, width in fixed.items()}
        if swap:
            one, other = swap
            w = w | {one: w[other], other: w[one]}
        layers = EXERCISES["inception_a"].layers(i, w)
        return Branches(
            {
                f"layer{number}": nn.Conv2d(c_in, c_out, kernel)
                for number, (name, (c_out, c_in, *kernel)) in enumerate(layers.items())
                if name not in skip
            }
        )

    return build


@pytest.mark.parametrize(
    "candidate",
    [
        a_module(skip=["3x3"]),
        a_module(swap=["3x3 reduce", "3x3"]),
        a_module(double_reduce=64),
    ],
    ids=["left out", "swapped", "hard-coded"],
)
def test_a_missing_layer_is_not_blamed_on_a_list(candidate):
    answer = one_line(feedback("inception_a", candidate))
    assert "your module has 1x1 12->2" in answer
    assert "compare this list with the layers that are asked for" in answer
    assert "not registered" not in answer and "__init__" not in answer


def test_a_line_of_the_package_is_not_given_as_the_readers():
    answer = one_line(feedback("inception_a", a_module()))  # no chains
    assert "your code raised RuntimeError" in answer
    assert "in line" not in answer


@pytest.mark.parametrize(
    ("join", "hint"),
    [
        (lambda parts: torch.cat(parts, 1), "join along the output channels"),
        (sum, "join, do not add"),
        (torch.stack, "torch.stack makes a new one"),
    ],
    ids=["dimension 1", "added", "stacked"],
)
def test_an_error_of_a_known_mistake_has_its_hint(join, hint):
    """Sisters of different widths: the mistake raises before it can be compared."""
    answer = one_line(feedback("merge_siblings", lambda w, b: (join(w), torch.cat(b))))
    assert hint in answer.split("[x]")[1]
    assert "end on different grids" not in answer


def test_a_number_with_commas_is_explained():
    answer = one_line(feedback("compose_v4", lambda a, b, c: (605, 728) + a * 317))
    assert "write a large number as 317_632" in answer


def test_a_plain_list_deep_inside_is_named():
    class Listed(nn.Module):
        def __init__(self, i, w):
            super().__init__()
            self.layers = [nn.Conv2d(w["3x3 reduce"], w["3x3"], 3, padding=1)]

    def build(i, w):
        whole = a_module(skip=["3x3"])(i, w)
        whole["listed"] = Listed(i, w)
        return whole

    answer = one_line(feedback("inception_a", build))
    assert "layers in a plain list or dict are not registered" in answer


@pytest.mark.parametrize(
    ("norms", "hint"),
    [
        ((nn.BatchNorm2d, nn.Identity, nn.Identity), "768 channels"),
        ((nn.BatchNorm2d, nn.BatchNorm2d, nn.BatchNorm1d), "classifier has no batch"),
        ((nn.Identity, nn.Identity, nn.Identity), "got none"),
    ],
)
def test_batch_norm_on_the_wrong_layers_of_the_head_is_named(norms, hint):
    def head(channels, classes):
        one, full, last = norms
        return nn.Sequential(
            nn.AvgPool2d(5, 3),
            nn.Conv2d(channels, 128, 1),
            one(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 5),
            full(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, classes),
            last(classes),
        )

    assert hint in one_line(feedback("bn_auxiliary", head))


def tf_with_one_added(w, g, square, buffer, rate, decay, momentum, eps):
    square = decay * (1 + square) + (1 - decay) * g * g
    buffer = momentum * buffer + rate * g / torch.sqrt(square + eps)
    return w - buffer, square, buffer


def eps_for_every_class(logits, targets, eps):
    wanted = torch.full_like(logits, eps)
    wanted[torch.arange(len(targets)), targets] += 1 - eps
    return -(wanted * F.log_softmax(logits, 1)).sum(1).mean()


def eps_for_e(logits, targets, eps):
    wanted = torch.full_like(logits, eps)
    wanted[torch.arange(len(targets)), targets] = 1 - (logits.shape[1] - 1) * eps
    return -(wanted * F.log_softmax(logits, 1)).sum(1).mean()


def two_shares(classes, eps):
    return -sum(p * math.log(p) for p in (1 - eps, eps) if p)


def one_class_too_many(classes, eps):
    e = eps / classes
    true = 1 - eps + e
    return -true * math.log(true) - (classes * e * math.log(e) if e else 0)


def clip_with_a_tiny_term(gradients, max_norm):
    norm = sum((g**2).sum() for g in gradients) ** 0.5
    return [g * min(1, max_norm / (norm + 1e-4)) for g in gradients]


def ema_in_a_loop(average, weights, decay):
    return [decay * a + (1 - decay) * w for a, w in zip(average, weights, strict=True)]


@pytest.mark.parametrize(
    ("name", "candidate", "said"),
    [
        ("rmsprop_tf_step", tf_with_one_added, "the caller hands in the running mean"),
        (
            "label_smoothing_loss",
            eps_for_every_class,
            "eps / K to every class, not eps",
        ),
        ("label_smoothing_loss", eps_for_e, "yours takes e = eps"),
        ("smoothing_floor", two_shares, "eps is spread over all K classes"),
        ("smoothing_floor", one_class_too_many, "K - 1 others are left, not K"),
        ("clip", clip_with_a_tiny_term, "at [0] expected 0.87781, got 0.87780"),
        ("ema_update", ema_in_a_loop, "return one tensor, not several"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_mistake_with_a_training_trick_is_named_at_its_first_case(
    name, candidate, said
):
    answer = feedback(name, candidate)
    first, *_ = one_line(answer).split(" [x] ")
    assert said in first, answer


def test_a_hard_coded_answer_fails():
    assert not feedback("conv_params", lambda *args: 9408).passed
    assert not feedback("saving", lambda n: 1 / 3).passed
    assert not feedback("stem_v4", lambda *args: (160, 192, 384)).passed
    assert not feedback("smoothing_floor", lambda *args: math.log(2)).passed


def test_floats_that_are_whole_numbers_are_fine():
    def conv_params(i, o, k, bias):
        return float(i * o * k**2 + o * bool(bias))

    assert feedback("conv_params", conv_params).passed
    assert feedback("conv_params", lambda *a: torch.tensor(conv_params(*a))).passed
