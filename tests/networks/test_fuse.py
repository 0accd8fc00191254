"""The fused copy: the same outputs, fewer operations, the model untouched."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

import inception_edu as ie
from inception_edu.networks.fuse import (
    STEPS,
    MergedBranches,
    PackedConv,
    exchange_obstacle,
    steps_on,
)
from inception_edu.networks.inception_v3 import AsymmetricModule, ExpandedModule
from inception_edu.networks.layers import Branches, ConvUnit

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


def live(model):
    """`model` with statistics and scales as training leaves them, in eval mode."""
    torch.manual_seed(0)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            nn.init.normal_(norm.running_mean, 0, 0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            if norm.affine:
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.normal_(norm.bias, 0, 0.3)
    return model.eval()


def error(outputs, exact):
    return float((outputs.double() - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize(("name", "options", "size"), FAMILY)
@torch.no_grad()
def test_outputs_are_the_same_for_every_network(name, options, size):
    model = live(ie.create_model(name, 10, **options))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    x = torch.randn(2, 3, size, size)
    fused = ie.fuse(model)
    double = copy.deepcopy(model).double()
    exact = double(x.double())
    assert error(ie.fuse(double)(x.double()), exact) < 1e-10
    assert error(fused(x), exact) <= 1.5 * error(model(x), exact) + 1e-6

    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not fused.training
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert getattr(fused, "aux_heads", None) is None


@pytest.mark.parametrize(("name", "options", "size"), FAMILY)
def test_no_normalization_is_left_and_macs_are_the_same(name, options, size):
    with torch.device("meta"):
        model = ie.create_model(name, 10, **options).eval()
        fused = ie.fuse(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    before, after = (ie.trace(m, (1, 3, size, size)) for m in (model, fused))
    assert after.macs == before.macs
    assert len(after.ops) <= len(before.ops)
    assert after.unknown == []


def convolutions(trace):
    return sum(op.kind == "conv" for op in trace.ops)


# Counted by hand in the papers' figures: each 17x17 module of v3 has four leading
# 1x1 (one behind the average pool), each GoogLeNet module three (its pool is a
# maximum, so its projection stays).
@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("googlenet", 57, 57 - 9 * 2),
        ("inception_v3", 94, 94 - 9 * 3 - 1),
        ("inception_v4", 149, 149 - 14 * 3 - 2),
    ],
)
def test_sibling_convolutions_are_merged(name, before, after):
    with torch.device("meta"):
        model = ie.create_model(name).eval()
        size = model.input_size
        fused = ie.fuse(model)
    assert convolutions(ie.trace(model, (1, 3, size, size))) == before
    assert convolutions(ie.trace(fused, (1, 3, size, size))) == after


def test_a_module_alone_is_fused_too():
    module = live(AsymmetricModule(256, 8))
    fused = ie.fuse(module)
    assert isinstance(fused, MergedBranches)
    assert fused.conv.out_channels == 192 + 8 + 8 + 192
    assert isinstance(ie.fuse(nn.Sequential(ExpandedModule(32)))[0], MergedBranches)


def test_the_pool_moves_behind_the_convolution_only_where_that_is_exact():
    unit = ie.fuse(live(ConvUnit(8, 4, 1)), "fold")
    nn.init.uniform_(unit.conv.bias, 1, 2)
    x = torch.randn(1, 8, 6, 6, dtype=torch.float64)
    unit = unit.double()
    for pool, why_not in (
        (nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), ""),
        (nn.AvgPool2d(3, 1), ""),
        (nn.AvgPool2d(3, 1, padding=1), "zeros of the padding"),
        (nn.AvgPool2d(3, 1, divisor_override=5), "divisor_override"),
        (nn.MaxPool2d(3, 1, padding=1), "not linear"),
    ):
        exchanged = torch.relu(pool(unit.conv(x)))
        exact = torch.allclose(unit(pool(x)), exchanged, rtol=1e-12)
        obstacle = exchange_obstacle(pool, unit)
        assert exact == (obstacle == "")
        assert why_not in obstacle
    # Exact, and dearer that way.
    assert "thins the grid" in exchange_obstacle(nn.AvgPool2d(2, stride=2), unit)
    wide = ie.fuse(live(ConvUnit(4, 8, 1)), "fold")
    assert "dearer" in exchange_obstacle(nn.AvgPool2d(3, 1), wide)


def test_refused_pools_are_named_with_the_reason():
    with torch.device("meta"):
        googlenet = ie.create_model("googlenet")
        v4 = ie.create_model("inception_v4")
    googlenet, v4 = ie.fuse(googlenet), ie.fuse(v4)
    assert len(googlenet.refused) == 9  # a maximum before every pool projection
    assert "linear" in googlenet.refused["inception_3a.pool.pool"]
    assert v4.refused == {}  # 14 averages, all exchanged


@pytest.mark.parametrize("step", STEPS)
@torch.no_grad()
def test_every_step_alone_keeps_the_outputs(step):
    model = live(ie.create_model("mini_v4"))
    x = torch.randn(2, 3, 48, 48)
    exact = copy.deepcopy(model).double()(x.double())
    fused = ie.fuse(model, step)
    assert error(fused(x), exact) <= 1.5 * error(model(x), exact) + 1e-6
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
    merged = sum(isinstance(m, MergedBranches) for m in fused.modules())
    packed = sum(isinstance(m, PackedConv) for m in fused.modules())
    assert (norms == 0) == (step == "fold")
    assert (merged > 0) == (step == "merge")
    assert (packed > 0) == (step == "pack")


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match="no step is called 'folding'"):
        ie.fuse(nn.Sequential(), ["folding"])


class LibraryUnit(nn.Module):
    """A unit as torchvision writes it: the ReLU is in its forward."""

    def __init__(self, inputs, outputs, kernel, act=None, **options):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, bias=False, **options)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x):
        return torch.relu(self.bn(self.conv(x)))


class ActingNorm(nn.BatchNorm2d):
    """A norm as timm writes it: it has the ReLU inside."""

    def __init__(self, channels):
        super().__init__(channels)
        self.drop, self.act = nn.Identity(), nn.ReLU()

    def forward(self, x):
        return self.act(self.drop(super().forward(x)))


class ActingUnit(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, (1, 3))
        self.bn = ActingNorm(outputs)

    def forward(self, x):
        return self.bn(self.conv(x))


class NormFirst(LibraryUnit):
    """The same children, run the other way round: nothing may be folded."""

    def forward(self, x):
        return self.conv(self.bn(x))


@torch.no_grad()
def test_units_of_other_libraries_are_folded_where_a_run_shows_no_change():
    x = torch.randn(2, 6, 9, 9)
    for unit, norms in (
        (LibraryUnit(6, 4, 3, stride=2, padding=1), 0),
        (ActingUnit(6, 5), 0),
        (NormFirst(6, 6, 3), 1),
    ):
        model = live(nn.Sequential(unit))
        fused = ie.fuse(model)
        assert torch.allclose(fused(x), model(x), atol=1e-5)
        found = sum(isinstance(m, nn.BatchNorm2d) for m in fused.modules())
        assert found == norms


@torch.no_grad()
def test_it_can_be_compiled():
    """Whole, without a break; the real compiler is timed in the benchmarks."""
    fused = ie.fuse(live(AsymmetricModule(16, 4)))
    compiled = torch.compile(fused, backend="eager", fullgraph=True)
    x = torch.randn(1, 16, 9, 9)
    assert torch.allclose(compiled(x), fused(x), atol=1e-5)


def test_what_is_not_a_plain_1x1_is_left_alone():
    branches = Branches(
        {
            "a": ConvUnit(4, 2, 1, stride=2),
            "b": ConvUnit(4, 2, 1, stride=2, padding="valid"),
            "c": [nn.Conv2d(4, 4, 1, groups=4), nn.MaxPool2d(1, 2)],
            "d": nn.AvgPool2d(2),
        }
    )
    fused = ie.fuse(live(branches))
    assert isinstance(fused, Branches)
    x = torch.randn(2, 4, 8, 8)
    assert torch.allclose(fused(x), branches(x), atol=1e-5)


def test_normalization_by_the_batch_and_other_layers_stay():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.Conv2d(4, 4, 1),
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(4),
        nn.LeakyReLU(),
        nn.ConvTranspose2d(4, 4, 1),
        nn.BatchNorm2d(4),
    )
    fused = ie.fuse(live(model))
    x = torch.randn(2, 3, 8, 8)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in fused) == 3
    assert torch.allclose(fused(x), model(x), atol=1e-5)


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


class Sized(LibraryUnit):
    """A unit that does otherwise on a larger grid."""

    def forward(self, x):
        y = self.conv(x)
        return self.bn(y) if y.shape[-1] < 4 else self.bn(y.relu())


class Clipped(LibraryUnit):
    """A unit whose clip only large values reach."""

    def forward(self, x):
        return self.bn(self.conv(x).clamp(-9, 9))


class Paired(LibraryUnit):
    def forward(self, x):
        return self.bn(self.conv(x)), x


class Headed(nn.Module):
    """No network of the family, though an attribute is called as there."""

    def __init__(self):
        super().__init__()
        self.aux_heads = nn.ModuleList([nn.Conv2d(4, 2, 1)])

    def forward(self, x):
        return self.aux_heads[0](x)


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


def with_norm(conv, **options):
    norm = getattr(nn, f"BatchNorm{type(conv).__name__[-2:]}")
    return nn.Sequential(conv, norm(conv.out_channels, **options), nn.ReLU())


STRANGERS = {
    "a sequence that adds": lambda: Summed(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)),
    "a branch that adds": lambda: siblings(Summed(nn.Conv2d(4, 4, 1))),
    "a unit in another order": lambda: siblings(NormLast(4, 4, 1)),
    "such a unit behind a pool": lambda: nn.Sequential(
        nn.AvgPool2d(3, 1), NormLast(4, 3, 1)
    ),
    "a sequence read in pieces": Sliced,
    "a unit that looks at the size": lambda: Sized(4, 4, 1),
    "a unit that clips": lambda: Clipped(4, 4, 1),
    "a unit of two outputs": lambda: Paired(4, 4, 1),
    "heads of its own": Headed,
    "hook on a convolution": lambda: hooked(unit(), "0"),
    "hook on a norm": lambda: hooked(unit(), "1"),
    "hook on a ReLU": lambda: hooked(unit(), "2"),
    "hook on a unit's norm": lambda: hooked(LibraryUnit(4, 4, 1), "bn"),
    "hook on a branch": lambda: hooked(siblings(ConvUnit(4, 2, 1)), "b"),
    "hook on branches": lambda: hooked(siblings(ConvUnit(4, 2, 1)), ""),
    "hook on a pool": lambda: hooked(pooled(nn.ReLU()), "0"),
    "hook behind a pool": lambda: hooked(pooled(nn.ReLU()), "1.conv"),
    "another activation": lambda: pooled(nn.BatchNorm2d(3), nn.SiLU()),
    "norm by the image": lambda: pooled(nn.InstanceNorm2d(3), nn.ReLU()),
    "norm by the batch": lambda: pooled(nn.BatchNorm2d(3, track_running_stats=False)),
    "one more convolution": lambda: pooled(nn.ReLU(), nn.Conv2d(3, 2, 3)),
    "a branch in place": lambda: siblings(nn.ReLU(inplace=True), nn.Sigmoid()),
    "activation in place": lambda: siblings(nn.Conv2d(4, 2, 1), nn.SiLU(inplace=True)),
    "shared modules": shared,
    "weight norm": lambda: with_norm(weight_norm(nn.Conv2d(4, 4, 3))),
    "weight norm in a branch": lambda: siblings(weight_norm(nn.Conv2d(4, 4, 1))),
    "reflected borders": lambda: with_norm(
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
    ),
    "transposed": lambda: with_norm(nn.ConvTranspose2d(4, 4, 3)),
    "no scale": lambda: with_norm(nn.Conv2d(4, 4, 3), affine=False),
    "three axes": lambda: with_norm(nn.Conv3d(4, 4, 1)),
    "one axis": lambda: with_norm(nn.Conv1d(4, 4, 1)),
}


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@torch.no_grad()
def test_strangers_keep_their_outputs(name, dtype):
    torch.manual_seed(0)
    model = live(STRANGERS[name]().eval()).to(dtype)
    axes = {"three axes": 3, "one axis": 1}.get(name, 2)
    x = 9 * torch.randn(2, 4, *[9] * axes, dtype=dtype)
    answers, exact = both(ie.fuse(model)(x.clone())), both(model(x.clone()))
    bound = 1e-5 if dtype == torch.float32 else 1e-12
    for ours, theirs in zip(answers, exact, strict=True):
        assert error(ours, theirs.double()) < bound


def both(answer):
    return answer if isinstance(answer, tuple) else (answer,)


AVERAGES = [
    {},
    {"stride": 1},
    {"stride": 1, "padding": 1},
    {"stride": 1, "padding": 1, "count_include_pad": False},
    {"stride": 1, "padding": 1, "count_include_pad": False, "ceil_mode": True},
    {"stride": 2, "ceil_mode": True},
    {"stride": 1, "divisor_override": 4},
    {"stride": [1, 1], "padding": [1, 1]},
]


@pytest.mark.parametrize("options", AVERAGES, ids=str)
@pytest.mark.parametrize("bias", [True, False])
@torch.no_grad()
def test_every_average_before_a_1x1_keeps_the_outputs(options, bias):
    plain = ConvUnit(6, 4, 1, norm="none")
    plain.conv = nn.Conv2d(6, 4, 1, bias=bias)
    pool = nn.AvgPool2d(3, **options)
    model = Branches({"a": [pool, plain], "b": [pool, ConvUnit(6, 2, 1)]})
    model = live(model).double()
    x = torch.randn(2, 6, 9, 8, dtype=torch.float64)
    assert error(ie.fuse(model)(x), model(x)) < 1e-12


def test_an_activation_in_place_lets_gradients_through():
    fused = ie.fuse(siblings(nn.Conv2d(4, 2, 1), nn.SiLU(inplace=True)))
    x = torch.randn(1, 4, 5, 5, requires_grad=True)
    fused(x).sum().backward()
    assert x.grad.abs().sum() > 0


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_scripted_layer_inside_keeps_its_outputs():
    inner = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    model, x = nn.Sequential(inner, nn.ReLU()).eval(), torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.allclose(ie.fuse(model)(x), model(x), atol=1e-6)


def test_a_compiled_script_is_refused():
    script = torch.jit.trace(nn.Conv2d(3, 3, 1), torch.ones(1, 3, 4, 4))
    with pytest.raises(TypeError, match="not TopLevelTracedModule"):
        ie.fuse(script)


def test_half_precision_keeps_its_type():
    fused = ie.fuse(live(ConvUnit(3, 4, 1)).bfloat16())
    assert fused.conv.weight.dtype == torch.bfloat16


def test_gradients_still_reach_the_input():
    fused = ie.fuse(live(AsymmetricModule(16, 4)))
    x = torch.randn(1, 16, 9, 9, requires_grad=True)
    fused(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match="not str"):
        ie.fuse("inception_v4")


# --- weights that change after the first image -----------------------------------


def small():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 1)
    return live(nn.Sequential(*layers))


IMAGES = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))


def by_hand(fused):
    first, last = fused[0], fused[3]
    y = F.relu(F.conv2d(IMAGES, first.weight, first.bias))
    return F.conv2d(y, last.weight, last.bias)


def train(fused):
    fused.requires_grad_(True)
    optimizer = torch.optim.SGD(fused.parameters(), 0.1)
    with torch.enable_grad():
        fused(IMAGES).square().mean().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in fused.parameters())
    optimizer.step()


def pruned(fused):
    prune.l1_unstructured(fused[0], "weight", 0.5)
    prune.remove(fused[0], "weight")


CHANGES = {
    "in place": lambda fused: fused[0].weight[2].zero_(),
    "through .data": lambda fused: fused[0].weight.data[2].zero_(),
    "through numpy": lambda fused: fused[0].weight.numpy()[2].fill(0),
    "every parameter's data": lambda fused: [
        p.data.mul_(2) for p in fused.parameters()
    ],
    "a new parameter": lambda fused: setattr(
        fused[0], "weight", nn.Parameter(torch.randn(8, 3, 3, 3))
    ),
    "drawn anew": lambda fused: nn.init.normal_(fused[3].weight),
    "a bias": lambda fused: fused[0].bias.data.add_(1),
    "loaded": lambda fused: fused.load_state_dict(
        {key: 2 * value for key, value in fused.state_dict().items()}
    ),
    "another type and back": lambda fused: fused.bfloat16().float(),
    "masked": lambda fused: prune.l1_unstructured(fused[0], "weight", 0.5),
    "pruned": pruned,
    "normed": lambda fused: parametrizations.spectral_norm(fused[0]),
    "trained": train,
}


@pytest.mark.parametrize("name", CHANGES)
@torch.no_grad()
def test_a_changed_weight_is_used(name):
    fused = ie.fuse(small())
    before = fused(IMAGES)
    CHANGES[name](fused)
    after = fused(IMAGES)
    assert not torch.equal(before, after)
    assert torch.allclose(after, by_hand(fused), atol=1e-4)


EXPORTS = {
    "a copy": lambda fused: copy.deepcopy(fused),
    "a pickle": lambda fused: pickle.loads(pickle.dumps(fused)),
    "torch.export": lambda fused: torch.export.export(fused, (IMAGES,)).module(),
    "torch.jit.trace": lambda fused: torch.jit.trace(fused, IMAGES),
    "torch.jit.script": torch.jit.script,
    "torch.fx": torch.fx.symbolic_trace,
    "torch.compile": lambda f: torch.compile(f, backend="eager", fullgraph=True),
    "fused again": ie.fuse,
}


@pytest.mark.parametrize("way", EXPORTS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@torch.no_grad()
def test_a_fused_network_can_be_exported_after_its_first_image(way):
    fused = ie.fuse(small())
    expected = fused(IMAGES)
    assert torch.allclose(EXPORTS[way](fused)(IMAGES), expected, atol=1e-5)


def test_in_inference_mode_it_is_made_and_run():
    with torch.inference_mode():
        fused = ie.fuse(small())
        assert torch.allclose(fused(IMAGES), by_hand(fused), atol=1e-5)


def test_float64_stays_float64():
    norm = small().double()
    norm[1].running_mean.add_(1e-9)  # lost in float32
    assert (ie.fuse(norm)(IMAGES.double()) - norm(IMAGES.double())).abs().max() < 1e-12


# --- models of every kind ----------------------------------------------------------


class Flattening(nn.Module):
    """A network whose forward may read strides; keeps what it saw."""

    def __init__(self, flatten, size=8):
        super().__init__()
        self.conv, self.flatten, self.kept = nn.Conv2d(3, 4, 3, padding=1), flatten, []
        self.scale = nn.Parameter(torch.ones(1, 1, 1, 1, 2))
        self.linear = nn.Linear(4 * size * size, 3)

    def forward(self, x):
        self.kept.append(self.conv(x))
        return self.linear(self.flatten(self.kept[-1])) * self.scale.sum()


@pytest.mark.parametrize("size", [8, 37])  # 37: nothing can be tried
@pytest.mark.parametrize(
    "flatten",
    [
        lambda x: x.view(len(x), -1),
        lambda x: x.view_as(x.new_empty(len(x), x[0].numel())),
        lambda x: x.as_strided((len(x), x[0].numel()), (x[0].numel(), 1)),
        lambda x: x.flatten(1),
    ],
)
def test_a_network_that_reads_strides_and_has_run_is_fused(flatten, size):
    model, images = Flattening(flatten, size).eval(), torch.randn(2, 3, size, size)
    expected = model(images)
    assert torch.allclose(ie.fuse(model)(images), expected, atol=1e-5)
    assert len(model.kept) == 1 and not model.kept[0].is_leaf


class Rows(nn.Module):
    def forward(self, x):
        return x.view(len(x), -1).view(x.shape) * 2


def test_a_branch_that_reads_strides_gets_no_slice():
    branches = Branches({"a": [nn.Conv2d(3, 4, 1), Rows()], "b": nn.Conv2d(3, 4, 1)})
    fused = ie.fuse(branches.eval())
    assert torch.allclose(fused(IMAGES), branches(IMAGES), atol=1e-5)


@pytest.mark.parametrize("layer", [nn.LazyConv2d(3, 1), nn.LazyBatchNorm2d()])
def test_lazy_layers_are_refused_in_words(layer):
    with pytest.raises(ValueError, match="run the model once"):
        ie.fuse(nn.Sequential(layer))


@pytest.mark.parametrize(
    ("device", "layout", "left_out"),
    [
        ("cpu", torch.channels_last, set()),
        ("cuda", torch.channels_last, set()),
        ("cuda", torch.contiguous_format, {"channels_last"}),
        ("mps", torch.contiguous_format, {"channels_last", "merge"}),
    ],
)
def test_a_device_gets_the_steps_that_are_right_there(device, layout, left_out):
    steps = steps_on(torch.device(device), set(STEPS), layout)
    assert set(STEPS) - steps == left_out
