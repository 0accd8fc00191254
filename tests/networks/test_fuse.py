"""The fused copy: the same outputs, fewer operations, the model untouched."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.utils.flop_counter import FlopCounterMode

import inception_edu as ie
from inception_edu.networks.fuse import STEPS, MergedBranches, steps_on
from inception_edu.networks.inception_v3 import AsymmetricModule
from inception_edu.networks.layers import Branches, ConvUnit
from tests.models import Flattening, Work, live

FEW = {"a": 1, "b": 1, "c": 1}
FAMILY = [
    ("googlenet", {"aux": True}, 64),
    ("googlenet", {"layout": "torchvision"}, 64),
    ("bn_inception", {"separable_stem": True}, 64),
    ("inception_v3", {"aux": True}, 107),
    ("inception_v3", {"layout": "torchvision"}, 107),
    ("inception_v4", FEW, 107),
    ("inception_resnet_v1", FEW, 107),
    ("inception_resnet_v2", FEW, 107),
]
FAMILY += [(name, {}, 48) for name in ie.list_models() if name.startswith("mini")]


def error(outputs, exact):
    return float((outputs.double() - exact).abs().max() / exact.abs().max())


def assert_rounds_alike(fused, model, x):
    """No further than `model` itself, or nearly, from its outputs in float64."""
    exact = copy.deepcopy(model).double()(x.double())
    assert error(fused(x), exact) <= 1.5 * error(model(x), exact) + 1e-6


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_part_is_copied_where_gradients_are_on():
    model = nn.Sequential(torch.jit.script(live(unit())), nn.ReLU()).eval()
    x = torch.randn(1, 4, 8, 8)
    assert torch.equal(ie.fuse(model)(x), model(x))


@pytest.mark.parametrize(("name", "options", "size"), FAMILY)
@torch.no_grad()
def test_every_network_has_the_same_outputs_and_macs_without_a_norm(
    name, options, size
):
    model = live(ie.create_model(name, 10, **options))
    before = copy.deepcopy(model)
    x = torch.randn(2, 3, size, size)
    fused = ie.fuse(model)
    double = copy.deepcopy(model).double()
    assert error(ie.fuse(double)(x.double()), double(x.double())) < 1e-10
    assert_rounds_alike(fused, model, x)
    torch.testing.assert_close(model.state_dict(), before.state_dict(), rtol=0, atol=0)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    plain, short = (ie.trace(m, (1, 3, size, size)) for m in (model, fused))
    assert short.macs == plain.macs and short.unknown == []
    assert not fused.training
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert getattr(fused, "aux_heads", None) is None


@pytest.mark.parametrize("step", STEPS)
@torch.no_grad()
def test_every_step_alone_keeps_the_outputs(step):
    model = live(ie.create_model("mini_v4"))
    fused = ie.fuse(model, step)
    assert_rounds_alike(fused, model, torch.randn(2, 3, 48, 48))
    kinds = {type(module) for module in fused.modules()}
    assert (nn.BatchNorm2d not in kinds) == (step == "fold")
    assert (MergedBranches in kinds) == (step == "merge")
    laid_out = any(not weight.is_contiguous() for weight in fused.parameters())
    assert laid_out == (step == "channels_last")


class LibraryUnit(nn.Module):
    """A unit as torchvision writes it: the ReLU is in its forward."""

    def __init__(self, *sizes):
        super().__init__()
        self.conv = nn.Conv2d(*sizes, bias=False)
        self.bn = nn.BatchNorm2d(self.conv.out_channels, eps=1e-3)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class Summed(nn.Sequential):
    """A sequence with a `forward` of its own: every step is added to its input."""

    def forward(self, x):
        for step in self:
            x = x + step(x)
        return x


class NormLast(ConvUnit):
    def forward(self, x):
        return self.norm(self.relu(self.conv(x)))


class Sliced(nn.Module):
    """Reads its sequence in two pieces, by number, as style transfer does."""

    def __init__(self):
        super().__init__()
        unit = [nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU()]
        self.features = nn.Sequential(*unit, nn.Conv2d(4, 4, 1), nn.Sigmoid())

    def forward(self, x):
        first = self.features[:3](x)
        return torch.cat([first, self.features[3:](first)], 1)


def rows(x):
    return x.view(len(x), -1).view(x.shape) * 2


def hooked(model, path, hook=lambda module, inputs, output: output.sin() + 1):
    model.get_submodule(path).register_forward_hook(hook)
    return model


def pooled(*rest):
    """An average pool, then a unit with these steps behind its 1x1."""
    unit = ConvUnit(4, 3, 1, norm="none")
    del unit.relu
    for number, step in enumerate(rest):
        unit.add_module(f"step{number}", step)
    return nn.Sequential(nn.AvgPool2d(3, 1), unit)


def siblings(*first):
    return Branches({"a": list(first), "b": ConvUnit(4, 2, 1), "c": ConvUnit(4, 2, 1)})


def unit():
    return nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU())


def shared():
    conv, norm, inner = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), unit()
    return nn.Sequential(conv, norm, conv, inner, norm, inner, nn.Tanh(), conv)


def weight_norm(conv):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.utils.weight_norm(conv)


def with_norm(conv):
    norm = getattr(nn, f"BatchNorm{type(conv).__name__[-2:]}")
    return nn.Sequential(conv, norm(conv.out_channels), nn.ReLU())


def averaged(**options):
    pool = nn.AvgPool2d(3, **options)
    plain = ConvUnit(4, 3, 1, norm="none")
    return Branches({"a": [pool, plain], "b": [pool, ConvUnit(4, 2, 1)]})


class Centered2d(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        rows = weight.view(len(weight), -1)
        rows = rows - rows.mean(1, keepdim=True)
        return super()._conv_forward(x, rows.view_as(weight), bias)


PADDED = {"stride": 1, "padding": 1}
STRANGERS = {
    "an average": averaged,
    "an average of zeros": lambda: averaged(**PADDED),
    "an average without zeros": lambda: averaged(**PADDED, count_include_pad=False),
    "an average, rounded up": lambda: averaged(
        **PADDED, count_include_pad=False, ceil_mode=True
    ),
    "a sum": lambda: averaged(stride=1, divisor_override=4),
    "an average by lists": lambda: averaged(stride=[1, 1], padding=[1, 1]),
    "a sequence that adds": lambda: Summed(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)),
    "a unit in another order": lambda: siblings(NormLast(4, 4, 1)),
    "a sequence read in pieces": Sliced,
    "a unit of another library": lambda: LibraryUnit(4, 4, 1),
    "hook on a convolution": lambda: hooked(unit(), "0"),
    "hook on branches": lambda: hooked(siblings(ConvUnit(4, 2, 1)), ""),
    "hook on a pool": lambda: hooked(pooled(nn.ReLU()), "0"),
    "norm by the image": lambda: pooled(nn.InstanceNorm2d(3), nn.ReLU()),
    "a branch in place": lambda: siblings(nn.ReLU(inplace=True), nn.Sigmoid()),
    "activation in place": lambda: siblings(nn.Conv2d(4, 2, 1), nn.SiLU(inplace=True)),
    "shared modules": shared,
    "weight norm": lambda: with_norm(weight_norm(nn.Conv2d(4, 4, 3))),
    "reflected borders": lambda: with_norm(
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    ),
    "transposed": lambda: with_norm(nn.ConvTranspose2d(4, 4, 3)),
    "norm by the batch, and two norms": lambda: nn.Sequential(
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.Conv2d(4, 4, 1),
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(4),
    ),
    "a branch that reads strides": lambda: siblings(nn.Conv2d(4, 4, 1), Work(rows)),
    "odd convolutions": lambda: Branches(
        {
            "a": ConvUnit(4, 2, 1, stride=2),
            "b": ConvUnit(4, 2, 1, stride=2, padding="valid"),
            "c": [nn.Conv2d(4, 4, 1, groups=4), nn.MaxPool2d(1, 2)],
        }
    ),
    "one axis": lambda: with_norm(nn.Conv1d(4, 4, 1)),
    "centered weights": lambda: with_norm(Centered2d(4, 4, 3)),
    "made by torch.fx": lambda: torch.fx.symbolic_trace(with_norm(nn.Conv2d(4, 4, 3))),
}


@pytest.mark.parametrize("name", STRANGERS)
@torch.no_grad()
def test_strangers_keep_their_outputs(name):
    torch.manual_seed(0)
    model = live(STRANGERS[name]().eval())
    x = 9 * torch.randn(2, 4, *[9] * (1 if name == "one axis" else 2))
    exact = model(x.clone()).double()
    assert error(ie.fuse(model)(x.clone()), exact) < 1e-5


def test_gradients_reach_the_input_and_every_weight():
    in_place = siblings(nn.Conv2d(4, 2, 1), nn.SiLU(inplace=True))
    for module, channels in ((AsymmetricModule(16, 4), 16), (in_place, 4)):
        x = torch.randn(1, channels, 9, 9, requires_grad=True)
        fused = ie.fuse(live(module)).requires_grad_(True)
        fused(x).sum().backward()
        assert all(leaf.grad.abs().sum() > 0 for leaf in (x, *fused.parameters()))


IMAGES = torch.randn(2, 16, 9, 9)
CHANGES = {
    "in place": lambda conv: conv.weight[2].zero_(),
    "through .data": lambda conv: conv.weight.data[2].zero_(),
    "a new parameter": lambda conv: setattr(
        conv, "weight", nn.Parameter(torch.randn(conv.weight.shape))
    ),
    "a bias": lambda conv: conv.bias.data.add_(1),
    "loaded": lambda conv: conv.load_state_dict(
        {key: 2 * value for key, value in conv.state_dict().items()}
    ),
    "masked": lambda conv: prune.ln_structured(conv, "weight", 0.5, n=2, dim=0),
    "normed": lambda conv: parametrizations.spectral_norm(conv),
}


@pytest.mark.parametrize("name", CHANGES)
@torch.no_grad()
def test_a_changed_weight_is_used(name):
    fused = ie.fuse(live(nn.Sequential(nn.Conv2d(16, 8, 3), nn.BatchNorm2d(8))))
    before = fused(IMAGES)
    CHANGES[name](fused[0])
    after = fused(IMAGES)
    assert not torch.equal(before, after)
    expected = F.conv2d(IMAGES, fused[0].weight, fused[0].bias)
    assert torch.allclose(after, expected, atol=1e-4)


@torch.no_grad()
def test_a_network_is_pruned_after_fuse_without_channels_last_or_before():
    model = live(nn.Sequential(nn.Conv2d(16, 8, 3), nn.BatchNorm2d(8)))
    fused = ie.fuse(model, {*STEPS} - {"channels_last"})
    prune.l1_unstructured(fused[0], "weight", 0.5)
    assert (fused[0].weight == 0).float().mean() == 0.5
    expected = F.conv2d(IMAGES, fused[0].weight, fused[0].bias)
    assert torch.allclose(fused(IMAGES), expected, atol=1e-5)
    prune.l1_unstructured(model[0], "weight", 0.5)
    prune.remove(model[0], "weight")
    fused = ie.fuse(model)
    assert (fused[0].weight == 0).float().mean() == 0.5
    assert type(fused[1]) is nn.Identity
    assert torch.allclose(fused(IMAGES), model(IMAGES), atol=1e-5)


def test_who_counts_or_differentiates_sees_plain_convolutions():
    fused = ie.fuse(nn.Sequential(nn.Conv2d(16, 8, 3)))
    with FlopCounterMode(display=False) as counter:
        before = fused(IMAGES)
    assert counter.get_total_flops() == ie.trace(fused, IMAGES.shape).flops
    _, change = torch.func.jvp(fused, (IMAGES,), (torch.ones_like(IMAGES),))
    assert torch.allclose(change, fused(IMAGES + 1) - before, atol=1e-4)


IN_GENERAL = {
    "a copy": copy.deepcopy,
    "a pickle": lambda fused: pickle.loads(pickle.dumps(fused)),
    "torch.export": lambda fused: torch.export.export(fused, (IMAGES,)).module(),
    "torch.jit.trace": lambda fused: torch.jit.trace(fused, IMAGES),
    "make_fx": lambda fused: make_fx(fused)(IMAGES),
    "torch.compile": lambda f: torch.compile(f, backend="eager", fullgraph=True),
    "fused again": ie.fuse,
}
OF_A_CHAIN = {"torch.jit.script": torch.jit.script, "torch.fx": torch.fx.symbolic_trace}


@pytest.mark.parametrize("way", IN_GENERAL | OF_A_CHAIN)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@torch.no_grad()
def test_a_fused_module_can_be_copied_and_exported(way):
    chain = nn.Sequential(nn.Conv2d(16, 4, 3), unit(), nn.Conv2d(4, 9, 3))
    for module in (chain, AsymmetricModule(16, 4))[: 1 if way in OF_A_CHAIN else 2]:
        fused = ie.fuse(live(module))
        found = (IN_GENERAL | OF_A_CHAIN)[way](fused)(IMAGES)
        assert torch.allclose(found, fused(IMAGES), atol=1e-5)


def test_half_precision_stays():
    assert ie.fuse(live(unit()).bfloat16())[0].weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "flatten",
    [
        lambda x: x.view(len(x), -1),
        lambda x: x.as_strided((len(x), x[0].numel()), (x[0].numel(), 1)),
        lambda x: x.flatten(1),
    ],
)
def test_a_network_that_reads_strides_and_has_run_is_fused(flatten):
    model, images = Flattening(flatten).eval(), torch.randn(2, 3, 8, 8)
    expected = model(images)["logits"]
    assert torch.allclose(ie.fuse(model)(images)["logits"], expected, atol=1e-5)
    assert len(model.kept) == 1 and not model.kept[0].is_leaf


@pytest.mark.parametrize(
    ("device", "memory_format", "left_out"),
    [
        ("cpu", torch.channels_last, set()),
        ("cuda", torch.contiguous_format, {"channels_last"}),
        ("mps", torch.contiguous_format, {"channels_last", "merge"}),
    ],
)
def test_a_device_gets_the_steps_that_are_right_there(device, memory_format, left_out):
    steps = steps_on(torch.device(device), set(STEPS), memory_format)
    assert set(STEPS) - steps == left_out
