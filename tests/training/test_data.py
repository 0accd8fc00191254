"""Digits at every scale: no test digit in training, the same on every machine."""

import hashlib
import sys
import types

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inception_edu.training import cache
from inception_edu.training import data as module
from inception_edu.training.contest import Contest
from inception_edu.training.data import (
    BINS,
    as_input,
    digits_at_scale,
    handwritten_digits,
    load_data,
    plain_digits,
)

# scikit-learn's two photographs as Pillow's usual decoder gives them.
PHOTOGRAPHS = "99310b92a8963a4b9118f3a93695bf9d2f7c20a03361f1962972901ccd5560da"
PINNED = {  # of 200 and 50 images, seed 0
    "train": "0d642c5682b7be8912cdae6335508e70d637ef74bb2b80a8d5108222a0010f8b",
    "test": "6f82a18954f708ae7c90a8bcf88a1124f7bbfa4dc8cc8f9d81e125a53ae9245f",
}


@pytest.mark.parametrize("seed", range(3))
def test_the_handwriting_is_split_before_anything_is_drawn(seed):
    (train, train_labels), (test, test_labels) = (
        handwritten_digits(part, seed) for part in ("train", "test")
    )
    assert len(train) + len(test) == 1797
    assert set(train_labels) == set(test_labels) == set(range(10))
    assert not {d.tobytes() for d in train} & {d.tobytes() for d in test}


def test_shapes_types_and_ranges_drawn_and_from_the_cache(monkeypatch):
    data = digits_at_scale(600, n_test=300)
    monkeypatch.setattr(module, "draw_digits", None)  # any drawing would raise
    again = digits_at_scale(600, n_test=300)
    assert torch.equal(data.train.images, again.train.images)
    assert torch.equal(data.test.scales, again.test.scales)
    assert data.train.images.shape == (600, 3, 48, 48)
    assert data.test.images.dtype == torch.uint8
    assert data.train.scales.min() >= 10 and data.train.scales.max() <= 40
    assert set(data.train.labels.tolist()) == set(range(10))
    assert data.bins == BINS
    assert repr(data) == (
        "<Data digits_at_scale: 600 train and 300 test images, 3x48x48, 10 classes>"
    )


def test_scales_places_and_digits_are_spread_evenly():
    random = np.random.RandomState(3)
    digits = np.full((10, 8, 8), 16)
    black = np.zeros((1, 60, 60, 3), np.uint8)
    images, chosen, scales = module.compose(digits, black, random, 3000, 48)
    counts = np.bincount(scales, minlength=41)[10:]
    assert counts.sum() == 3000 and counts.min() > 3000 / 31 * 0.6
    assert np.bincount(chosen).min() > 240
    # The ink of a full square shows where it is and how large it is.
    inked = images.max(1) > 60
    assert (inked.any(2).sum(1) == scales).all()
    assert (inked.any(1).sum(1) == scales).all()
    top = inked.any(2).argmax(1) / np.maximum(48 - scales, 1)
    assert 0.45 < top[scales < 40].mean() < 0.55


@pytest.mark.parametrize("size", [10, 17, 40])
def test_digits_are_enlarged_as_bilinear_interpolation_does(size):
    """Against torch's, which shares no line with ours; ours counts in 1/256."""
    digit = torch.rand(8, 8, generator=torch.Generator().manual_seed(size))
    rows = torch.from_numpy(module.enlarge(size)).float() / 256
    expected = F.interpolate(digit[None, None], (size, size), mode="bilinear")[0, 0]
    assert torch.allclose(rows @ digit @ rows.T, expected, atol=0.01)


def test_the_pictures_are_those_of_every_other_machine():
    """Ours, pinned: numpy, scikit-learn or torch must not change the data set."""
    photographs = np.stack(module.photographs())
    if hashlib.sha256(photographs.tobytes()).hexdigest() != PHOTOGRAPHS:
        pytest.skip("this JPEG decoder gives slightly other photographs")
    drawn = digits_at_scale(200, n_test=50)
    for part, expected in PINNED.items():
        split = getattr(drawn, part)
        content = split.images.numpy().tobytes() + split.labels.numpy().tobytes()
        assert hashlib.sha256(content).hexdigest() == expected


def test_plain_digits_are_split_by_their_seed():
    data = plain_digits(200, 3, 32, n_test=1597)
    assert data.train.images.shape == (200, 3, 32, 32)
    assert data.test.images.shape == (1597, 3, 32, 32)
    train, test = (
        {image.numpy().tobytes() for image in split.images}
        for split in (data.train, data.test)
    )
    assert not train & test
    assert data.train.images.float().amax((1, 2, 3)).min() > 200
    assert not torch.equal(data.train.labels, plain_digits(200, 4).train.labels)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_cache_is_drawn_again(damage):
    first = digits_at_scale(30, n_test=10)
    (path,) = cache.cache_folder().iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    parts = {"cut": content[: len(content) // 2], "flipped": content, "empty": b""}
    path.write_bytes(parts[damage])
    again = digits_at_scale(30, n_test=10)
    assert torch.equal(first.train.images, again.train.images)
    assert list(cache.cache_folder().iterdir()) == [path]


def test_the_data_is_there_without_a_cache_and_leaves_no_part_behind(
    tmp_path, monkeypatch
):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    assert len(digits_at_scale(30, n_test=10).train) == 30
    assert list(cache.cache_folder().iterdir()) == []
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("INCEPTION_EDU_CACHE", str(tmp_path / "file" / "cache"))
    assert len(digits_at_scale(30, n_test=10).train) == 30


@pytest.mark.parametrize("given", ["", "~/kept"])
@pytest.mark.parametrize(
    ("kind", "folder", "inside"),
    [("CACHE", cache.cache_folder, ""), ("DATA", lambda: Contest().folder, "contest")],
)
def test_an_empty_variable_is_not_a_folder_and_a_tilde_is_home(
    tmp_path, monkeypatch, kind, folder, inside, given
):
    for name in ("HOME", "USERPROFILE", f"XDG_{kind}_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv(f"INCEPTION_EDU_{kind}", given)
    assert folder() == tmp_path / ("kept" if given else "inception_edu") / inside


def test_as_input_is_centred_and_channels_last():
    images = torch.tensor([0, 255], dtype=torch.uint8).expand(2, 3, 4, 2)
    floats = as_input(images)
    assert floats.min() == -2 and floats.max() == 2
    assert floats.shape == (2, 3, 4, 2)
    assert floats.is_contiguous(memory_format=torch.channels_last)
    assert images.dtype == torch.uint8


class Downloaded(list):
    """A data set of torchvision's: `(PIL image, label)` pairs, and its classes."""

    def __init__(self, size, count, classes):
        from PIL import Image

        super().__init__(
            (Image.new("RGB", size, (i, 0, 0)), i % 10) for i in range(count)
        )
        self.classes = classes


def fake_torchvision(monkeypatch, cifar):
    datasets = types.ModuleType("torchvision.datasets")
    datasets.CIFAR10 = cifar
    datasets.Imagenette = lambda folder, split, size, download: Downloaded(
        (200, 160), 12, [("tench", "Tinca tinca")] * 10
    )
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)


def test_cifar_without_a_network_or_torchvision_says_so_in_one_line(monkeypatch):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    fake_torchvision(monkeypatch, offline)
    with pytest.raises(RuntimeError, match=r"^.*digits_at_scale.*\Z"):
        load_data("cifar10")
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(RuntimeError, match=r"^.*inception_edu\[data\].*\Z"):
        load_data("cifar10")


def test_cifar_and_imagenette_have_the_shape_of_the_digits(monkeypatch):
    def cifar(folder, train, download):
        return Downloaded((32, 32), 20 if train else 10, ["airplane"] * 10)

    fake_torchvision(monkeypatch, cifar)
    data = load_data("cifar10")
    assert data.train.images.shape == (20, 3, 48, 48)
    assert data.classes[0] == "airplane" and data.train.scales is None
    assert (data.train.images[:, 0, 5, 5] % 10 == data.train.labels).all()
    other = load_data("imagenette")
    assert other.test.images.shape == (12, 3, 96, 96)
    assert other.classes[0] == "tench"
