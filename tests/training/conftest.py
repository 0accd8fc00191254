import pytest
import torch
from torch import nn

from inception_edu.training.data import Data, Split


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, one_thread):
    """No test reads or writes the user's cache."""
    monkeypatch.setenv("INCEPTION_EDU_CACHE", str(tmp_path / "cache"))


def stripes(n, classes=2, size=8, seed=0):
    """A split that anything can learn: class k is bright in the k-th band."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (n,), generator=random)
    images = torch.randint(0, 60, (n, 3, size, size), generator=random)
    for image, label in zip(images, labels.tolist(), strict=True):
        image[:, label * (size // classes) : (label + 1) * (size // classes)] += 150
    scales = torch.arange(n) % 2
    return Split(images.to(torch.uint8), labels, scales)


@pytest.fixture
def data():
    """64 and 32 images of 8x8 with two classes and two scales."""
    return Data(
        stripes(64),
        stripes(32, seed=1),
        "stripes",
        classes=("top", "bottom"),
        bins={"even": (0, 0), "odd": (1, 1)},
    )


@pytest.fixture
def network():
    """A small network with all that a checkpoint must remember: BN and dropout."""

    def build(seed=0):
        torch.manual_seed(seed)
        features = nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU()
        return nn.Sequential(*features, nn.Flatten(), nn.Dropout(0.3), nn.Linear(36, 2))

    return build
