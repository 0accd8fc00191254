"""Given the same weights, the same outputs as torchvision and timm.

Neither library is a dependency: each test is skipped where its library is not
installed (`pip install torchvision timm`). Everything runs in float64, with batch
statistics as training leaves them, so that a swapped branch cannot hide.
"""

import pytest
import torch
from torch import nn

import inception_edu as ie
from tests.models import live

BOUND = 1e-8  # relative error in float64


def relative_error(ours, theirs):
    assert ours.shape == theirs.shape
    assert theirs.std() > 1e-3  # an output that says something
    return float((ours - theirs).abs().max() / theirs.abs().max())


def image(size, batch=1):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, 3, size, size, dtype=torch.float64, generator=generator)


def without_dropout(model):
    """Train mode, so that heads run, with every random or running part stopped."""
    model.train()
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        elif isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    return model


def load(name, theirs, **options):
    ours = ie.create_model(name, **options).double()
    report = ie.load_weights(ours, theirs.state_dict())
    return ours, report


@pytest.mark.parametrize(("name", "size"), [("googlenet", 224), ("inception_v3", 299)])
@torch.no_grad()
def test_torchvision_main_and_auxiliary(name, size):
    torchvision = pytest.importorskip("torchvision")
    options = {"weights": None, "aux_logits": True, "init_weights": False}
    theirs = live(getattr(torchvision.models, name)(**options)).double()
    ours, report = load(name, theirs, layout="torchvision", aux=True)
    assert report.left_out == ()
    x = image(size)
    assert relative_error(ours.eval()(x), theirs.eval()(x)) < BOUND
    out, reference = without_dropout(ours)(x), without_dropout(theirs)(x)
    # torchvision hands out its heads from the last to the first
    heads = reference[:0:-1]
    for a, b in zip([out.logits, *out.aux], [reference[0], *heads], strict=True):
        assert relative_error(a, b) < BOUND


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("inception_v3", {"layout": "torchvision"}),
        ("inception_v4", {}),
        ("inception_resnet_v2", {}),
    ],
)
@torch.no_grad()
def test_timm(name, layout):
    timm = pytest.importorskip("timm")
    theirs = live(timm.create_model(name, pretrained=False)).double()
    ours, report = load(name, theirs, **layout)
    assert "timm" in report.source
    x = image(299)
    assert relative_error(ours.eval()(x), theirs(x)) < BOUND
    assert relative_error(ie.fuse(ours)(x), theirs(x)) < BOUND


def test_preprocessing_is_torchvisions():
    torchvision = pytest.importorskip("torchvision")
    import numpy as np
    from PIL import Image
    from torchvision.models import GoogLeNet_Weights, Inception_V3_Weights

    from inception_edu.networks.pretrained import PRETRAINED

    pixels = np.random.default_rng(0).integers(0, 256, (300, 411, 3), np.uint8)
    picture = Image.fromarray(pixels)
    for name, weights in (
        ("googlenet", GoogLeNet_Weights.IMAGENET1K_V1),
        ("inception_v3", Inception_V3_Weights.IMAGENET1K_V1),
    ):
        url, ours = PRETRAINED[name]
        theirs = weights.transforms()(picture)[None]
        transform = getattr(torchvision.models, name)(
            weights=None, transform_input=True, init_weights=False, aux_logits=False
        )._transform_input
        assert torch.allclose(ours(picture), transform(theirs), atol=1e-6)
        assert url == weights.url
