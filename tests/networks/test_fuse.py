"""The fused copy: the same outputs, fewer operations, the model untouched."""

import copy

import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.networks.fuse import MergedBranches, is_exchangeable
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
def test_no_normalisation_is_left_and_macs_are_the_same(name, options, size):
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
    unit = ie.fuse(live(ConvUnit(8, 4, 1)))
    nn.init.uniform_(unit.conv.bias, 1, 2)
    x = torch.randn(1, 8, 6, 6, dtype=torch.float64)
    unit = unit.double()
    for pool, exact in (
        (nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), True),
        (nn.AvgPool2d(3, 1), True),
        (nn.AvgPool2d(3, 1, padding=1), False),
        (nn.AvgPool2d(3, 1, divisor_override=5), False),
        (nn.MaxPool2d(3, 1, padding=1), False),
    ):
        exchanged = torch.relu(pool(unit.conv(x)))
        assert torch.allclose(unit(pool(x)), exchanged, rtol=1e-12) == exact
        assert is_exchangeable(pool, unit) == exact
    assert not is_exchangeable(nn.AvgPool2d(2, stride=2), unit)  # dearer that way


def test_what_is_not_a_plain_1x1_is_left_alone():
    branches = Branches(
        {
            "a": ConvUnit(4, 2, 1, stride=2),
            "b": ConvUnit(4, 2, 1, stride=2, padding="valid"),
            "c": [ConvUnit(4, 4, 1, groups=4), nn.MaxPool2d(1, 2)],
            "d": nn.AvgPool2d(2),
        }
    )
    fused = ie.fuse(live(branches))
    assert isinstance(fused, Branches)
    x = torch.randn(2, 4, 8, 8)
    assert torch.allclose(fused(x), branches(x), atol=1e-5)


def test_normalisation_by_the_batch_and_other_layers_stay():
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
