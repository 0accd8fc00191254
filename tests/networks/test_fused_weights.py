"""A fused network after its first image: changed, trained, copied, exported."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune
from torch.utils.flop_counter import FlopCounterMode

import inception_edu as ie
from inception_edu.networks.layers import ConvUnit
from tests.models import live


def small():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 40, 1)]
    layers += [nn.Identity(), nn.ReLU(), nn.Conv2d(40, 99, 3)]  # 35,640 weights
    return live(nn.Sequential(*layers))


IMAGES = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))


def by_hand(fused):
    y = F.relu(F.conv2d(IMAGES, fused[0].weight, fused[0].bias))
    y = F.relu(F.conv2d(y, fused[3].weight, fused[3].bias))
    return F.conv2d(y, fused[6].weight, fused[6].bias)


def train(fused):
    fused.requires_grad_(True)
    optimizer = torch.optim.SGD(fused.parameters(), 0.1)
    with torch.enable_grad():
        fused(IMAGES).square().mean().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in fused.parameters())
    optimizer.step()


CHANGES = {
    "in place": lambda fused: fused[0].weight[2].zero_(),
    "through .data": lambda fused: fused[0].weight.data[2].zero_(),
    "one filter of many": lambda fused: fused[6].weight.data[77].zero_(),
    "a new parameter": lambda fused: setattr(
        fused[0], "weight", nn.Parameter(torch.randn(8, 3, 3, 3))
    ),
    "a bias": lambda fused: fused[0].bias.data.add_(1),
    "loaded": lambda fused: fused.load_state_dict(
        {key: 2 * value for key, value in fused.state_dict().items()}
    ),
    "masked": lambda fused: prune.l1_unstructured(fused[0], "weight", 0.5),
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


@torch.no_grad()
def test_filters_that_changed_places_are_used():
    fused = ie.fuse(small())
    fused[0].weight.copy_(torch.eye(8, 27).reshape(8, 3, 3, 3))
    before = fused(IMAGES)
    fused[0].weight.data.copy_(fused[0].weight.roll(1, 0))  # of the same sum
    assert not torch.equal(fused(IMAGES), before)
    assert torch.allclose(fused(IMAGES), by_hand(fused), atol=1e-4)


def test_who_counts_or_differentiates_sees_plain_convolutions():
    fused = ie.fuse(nn.Sequential(nn.Conv2d(3, 8, 3)))
    with FlopCounterMode(display=False) as counter:
        before = fused(IMAGES)
    assert counter.get_total_flops() == ie.trace(fused, IMAGES.shape).flops
    _, change = torch.func.jvp(fused, (IMAGES,), (torch.ones_like(IMAGES),))
    assert torch.allclose(change, fused(IMAGES + 1) - before, atol=1e-4)


EXPORTS = {
    "a copy": lambda fused: copy.deepcopy(fused),
    "a pickle": lambda fused: pickle.loads(pickle.dumps(fused)),
    "torch.export": lambda fused: torch.export.export(fused, (IMAGES,)).module(),
    "torch.jit.trace": lambda fused: torch.jit.trace(fused, IMAGES),
    "torch.jit.script": torch.jit.script,
    "make_fx": lambda fused: make_fx(fused)(IMAGES),
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


def test_every_type_stays_what_it_is():
    half = ie.fuse(live(ConvUnit(3, 4, 1)).bfloat16())
    assert half.conv.weight.dtype == torch.bfloat16
    norm = small().double()
    norm[1].running_mean.add_(1e-9)  # lost in float32
    assert (ie.fuse(norm)(IMAGES.double()) - norm(IMAGES.double())).abs().max() < 1e-12
