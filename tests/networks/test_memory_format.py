"""Channels last is earned: by a device in a small test, by a model in a run of each."""

import copy

import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.modules import independent_copy
from inception_edu.networks import memory_format
from inception_edu.networks.memory_format import (
    accepts_channels_last,
    is_right_on,
    preferred_memory_format,
)
from tests.models import Flattening

LAST, CONTIGUOUS = torch.channels_last, torch.contiguous_format


@pytest.mark.parametrize(
    ("device", "version", "test_passes", "expected"),
    [
        ("cpu", "2.6.0", False, LAST),
        ("mps", "2.14.0", True, CONTIGUOUS),  # whatever a test would say
        ("cuda", "2.12.1+cu130", True, CONTIGUOUS),
        ("cuda:1", "2.13.0+cu130", False, CONTIGUOUS),
        ("cuda:1", "2.14.0a0+git1234", True, LAST),
        ("xpu", "2.6.0", True, LAST),
    ],
)
def test_each_device_has_its_memory_format(
    monkeypatch, device, version, test_passes, expected
):
    assert not is_right_on(torch.device("xpu"))  # none is here to try it
    monkeypatch.setattr(memory_format, "is_right_on", lambda device: test_passes)
    assert preferred_memory_format(torch.device(device), version) is expected


@pytest.mark.parametrize("padded", [True, False])
def test_a_wrong_gradient_of_a_padded_pool_is_seen(monkeypatch, padded):
    """What CUDA did: windows without the padding's offset, in channels last only."""
    pool = torch.nn.functional.avg_pool2d

    def wrong_pool(x, kernel, stride, padding, *options):
        y = pool(x, kernel, stride, padding, *options)
        if padded and x.is_contiguous(memory_format=LAST):
            y = y.detach() + (moved := y.roll(1, -1)) - moved.detach()
        return y

    monkeypatch.setattr(torch.nn.functional, "avg_pool2d", wrong_pool)
    is_right_on.cache_clear()
    assert is_right_on(torch.device("cpu")) != padded
    is_right_on.cache_clear()


class ViewsGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.relu()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.view(len(gradient), -1).view(gradient.shape)


def only_contiguous(x):
    assert x.is_contiguous()
    return x.flatten(1)


@pytest.mark.parametrize(
    ("flatten", "accepted"),
    [
        (lambda x: x.flatten(1), True),
        (lambda x: x.reshape(len(x), -1), True),
        (lambda x: x.view(len(x), -1), False),
        (lambda x: x.as_strided((len(x), 256), (256, 1)), False),
        (only_contiguous, False),
        (lambda x: nn.AvgPool2d(1)(ViewsGradient.apply(x)).flatten(1), False),
    ],
)
def test_a_model_that_reads_strides_is_recognized_and_stays_as_it_was(
    flatten, accepted
):
    model, images = Flattening(flatten), torch.randn(2, 3, 8, 8)
    model(images)["logits"].sum().backward()
    random, before = torch.get_rng_state(), copy.deepcopy(model.state_dict())
    assert accepts_channels_last(model, images) == accepted
    assert len(model.kept) == 1 and model.training
    assert torch.equal(torch.get_rng_state(), random)
    torch.testing.assert_close(
        model.state_dict(), before, rtol=0, atol=0, check_stride=True
    )


def test_torchs_modules_and_ours_need_images_alone_and_no_run():
    family = ie.create_model("mini_v3", aux=True)
    assert accepts_channels_last(family, torch.randn(2, 3, 48, 48))
    too_wide = nn.Conv2d(9, 2, 1)  # could not take these
    assert accepts_channels_last(too_wide, torch.randn(2, 3, 8, 8))
    assert not accepts_channels_last(nn.Conv3d(3, 2, 1), torch.randn(2, 3, 4, 4, 4))
    assert not accepts_channels_last(nn.Linear(3, 2), torch.randn(2, 3))


def test_a_copy_keeps_results_without_their_history():
    model = Flattening(lambda x: x.flatten(1))
    model(torch.randn(2, 3, 8, 8))
    (maps,) = model.kept
    model.kept.append({"maps": maps})
    copied = independent_copy(torch.compile(model, backend="eager"))
    assert torch.equal(copied.kept[0], maps) and copied.kept[0].is_leaf
    assert copied.kept[1]["maps"] is copied.kept[0]
    assert not maps.is_leaf
