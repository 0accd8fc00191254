"""Every network: what it returns and refuses; options from BN-Inception on."""

import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.networks.inception_resnet import Residual
from inception_edu.networks.inception_v3 import average_pool
from inception_edu.networks.inception_v4 import InceptionA, InceptionB, InceptionC
from tests.models import on_meta

WITH_HEAD = {
    "googlenet": ["inception_4a", "inception_4d"],
    "inception_v3": ["mixed_6e"],
    "inception_v4": ["inception_b7"],
    "inception_resnet_v2": ["inception_resnet_b20"],
}
FAMILY = (
    "googlenet_naive",
    "googlenet",
    "bn_inception",
    "inception_v3",
    "inception_v4",
    "inception_resnet_v1",
    "inception_resnet_v2",
)


def image(size, batch=1):
    return torch.empty(batch, 3, size, size, device="meta")


def test_the_family_is_listed_in_the_order_of_the_story():
    assert tuple(ie.list_models()[:7]) == FAMILY


@pytest.mark.parametrize("name", ie.list_models())
def test_eval_returns_a_tensor_and_the_smallest_image_is_what_it_says(name):
    model = on_meta(name, 11).eval()
    assert model(image(model.input_size, 2)).shape == (2, 11)
    smallest = model.min_size
    assert model(image(smallest)).shape == (1, 11)
    with pytest.raises(ValueError, match=f"is smaller than .*{smallest}"):
        model(image(smallest - 1))
    if name in FAMILY:  # no smaller one would run
        model.min_size = 1
        with pytest.raises((RuntimeError, ValueError)):
            model(image(smallest - 1))


@pytest.mark.parametrize(("name", "stages"), WITH_HEAD.items())
def test_train_mode_returns_the_heads_too(name, stages):
    model = on_meta(name, 11, aux=True).train()
    assert list(model.aux_heads) == stages
    size = model.input_size
    out = model(image(size, 2))
    assert out.logits.shape == (2, 11)
    assert [tuple(head.shape) for head in out.aux] == [(2, 11)] * len(stages)
    with pytest.raises(ValueError, match=f"{size}x{size} images or aux=False"):
        model(image(251, 2))
    if name != "googlenet":  # whose heads read a 14x14 grid only
        assert model(image(331, 2)).aux[0].shape == (2, 11)
    model.eval()
    assert isinstance(model(image(size)), torch.Tensor)
    assert model(image(352)).shape == (1, 11)


@pytest.mark.parametrize("name", [*FAMILY[2:], "googlenet"])
def test_norms_are_the_releases(name):
    layout = {"layout": "torchvision"} if name == "googlenet" else {}
    model = on_meta(name, aux=name in WITH_HEAD, **layout)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {1e-3}


@pytest.mark.parametrize(
    "name", ["bn_inception", "inception_v3", "inception_v4", "inception_resnet_v2"]
)
def test_average_pools_leave_the_padding_out_like_tensorflow(name):
    pools = [m for m in on_meta(name).modules() if isinstance(m, nn.AvgPool2d)]
    assert {pool.count_include_pad for pool in pools} == {False}
    corner = average_pool()(torch.ones(1, 1, 5, 5))
    assert torch.all(corner == 1)


def test_the_torchvision_layout_of_v3_counts_the_padding():
    model = on_meta("inception_v3", layout="torchvision")
    pools = [m for m in model.modules() if isinstance(m, nn.AvgPool2d)]
    assert len(pools) == 9
    assert all(pool.count_include_pad for pool in pools)
    assert model.dropout.p == 0.5


def test_pools_of_bn_inception_are_figure_5s():
    model = on_meta("bn_inception")
    pools = {name[10:]: m["pool"] for name, m in model.stages() if "_" in name}
    kinds = {name: type(getattr(pool, "pool", pool)) for name, pool in pools.items()}
    of_maxima = {name for name, kind in kinds.items() if kind is nn.MaxPool2d}
    assert of_maxima == {"3c", "4e", "5b"}
    assert set(kinds.values()) == {nn.MaxPool2d, nn.AvgPool2d}


def test_an_odd_grid_of_bn_inception_is_refused_in_words():
    with pytest.raises(ValueError, match="multiples of 32"):
        on_meta("bn_inception")(image(200))
    assert on_meta("bn_inception")(image(256)).shape == (1, 1000)


@pytest.mark.parametrize(("a", "b", "c"), [(0, 0, 0), (1, 0, 2), (4, 7, 3), (30, 1, 1)])
def test_any_number_of_modules_can_be_composed(a, b, c):
    model = on_meta("inception_v4", a=a, b=b, c=c, aux=True).train()
    assert model(image(299, 2)).aux[0].shape == (2, 1000)
    kinds = [type(module) for _, module in model.stages()]
    counts = tuple(map(kinds.count, (InceptionA, InceptionB, InceptionC)))
    assert counts == (a, b, c)
    resnet = on_meta("inception_resnet_v2", a=a, b=b, c=c)
    assert resnet(image(299)).shape == (1, 1000)


def scales(model):
    blocks = [m for m in model.modules() if isinstance(m, Residual)]
    return [block.scale for block in blocks]


def test_residual_scales_are_the_releases_and_an_argument():
    released = on_meta("inception_resnet_v2")
    assert scales(released) == [0.17] * 10 + [0.10] * 20 + [0.20] * 9 + [1.0]
    last = released.inception_resnet_c10
    assert isinstance(last.relu, nn.Identity)
    assert isinstance(released.inception_resnet_c9.relu, nn.ReLU)
    assert set(scales(on_meta("inception_resnet_v2", scale=1.0))) == {1.0}
    three = on_meta("inception_resnet_v1", scale=(0.1, 0.2, 0.3))
    assert scales(three) == [0.1] * 5 + [0.2] * 10 + [0.3] * 5
