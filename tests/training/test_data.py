"""Digits at every scale: honest, the same everywhere, and never in the way."""

import hashlib
import io
import os
import sys
import types

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inception_edu.training import data as module
from inception_edu.training.data import as_input, digits_at_scale, load_data

# scikit-learn's two photographs as Pillow's usual decoder gives them.
PHOTOGRAPHS = "99310b92a8963a4b9118f3a93695bf9d2f7c20a03361f1962972901ccd5560da"


@pytest.fixture(scope="module")
def arrays():
    return module.draw_digits(600, 300, 0, 48)


def test_no_test_digit_was_seen_in_training(arrays):
    train = set(arrays["train_handwriting"].tolist())
    test = set(arrays["test_handwriting"].tolist())
    assert not train & test
    assert len(train) > 350 and len(test) > 150


def test_no_picture_of_a_test_digit_equals_one_in_training():
    from sklearn.datasets import load_digits

    digits = load_digits()
    for seed in range(5):
        train, test = module.split_handwriting(
            digits.target, np.random.RandomState(seed)
        )
        assert not set(train) & set(test)
        assert len(train) + len(test) == 1797
        assert set(digits.target[train]) == set(digits.target[test]) == set(range(10))


def test_shapes_types_and_ranges(arrays):
    assert arrays["train_images"].shape == (600, 3, 48, 48)
    assert arrays["test_images"].dtype == np.uint8
    assert arrays["train_scales"].min() >= 10
    assert arrays["train_scales"].max() <= 40
    assert set(arrays["train_labels"]) == set(range(10))


def test_labels_are_those_of_the_handwriting(arrays):
    from sklearn.datasets import load_digits

    target = load_digits().target
    for part in ("train", "test"):
        drawn = arrays[f"{part}_handwriting"]
        assert (target[drawn] == arrays[f"{part}_labels"]).all()


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


def test_ink_is_bright_on_dark_and_dark_on_bright():
    random = np.random.RandomState(0)
    digits = np.full((1, 8, 8), 16)
    for level, sign in ((20, 1), (235, -1)):
        photo = np.full((1, 50, 50, 3), level, np.uint8)
        images, _, _ = module.compose(digits, photo, random, 200, 48)
        change = sign * (images.astype(int) - level)
        strongest = change.mean(1).reshape(200, -1).max(1)
        assert strongest.min() >= 0.8 * (120 - 30) - 2
        assert change.min() >= -1


@pytest.mark.parametrize("size", [10, 17, 40])
def test_digits_are_enlarged_as_bilinear_interpolation_does(size):
    """Against torch's, which shares no line with ours; ours counts in 1/256."""
    digit = torch.rand(8, 8, generator=torch.Generator().manual_seed(size))
    rows = torch.from_numpy(module.enlarge(size)).float() / 256
    expected = F.interpolate(digit[None, None], (size, size), mode="bilinear")[0, 0]
    assert torch.allclose(rows @ digit @ rows.T, expected, atol=0.01)


def test_the_same_seed_gives_the_same_pictures_and_another_others():
    first = module.draw_digits(40, 10, 5, 48)
    again = module.draw_digits(40, 10, 5, 48)
    other = module.draw_digits(40, 10, 6, 48)
    assert all((first[key] == again[key]).all() for key in first)
    assert (first["train_images"] != other["train_images"]).any()


def test_the_pictures_are_those_of_every_other_machine():
    """Ours, pinned: numpy, scikit-learn or torch must not change the data set."""
    from sklearn.datasets import load_sample_images

    photographs = np.stack(load_sample_images().images)
    if hashlib.sha256(photographs.tobytes()).hexdigest() != PHOTOGRAPHS:
        pytest.skip("this JPEG decoder gives slightly other photographs")
    drawn = digits_at_scale(200, n_test=50)
    assert (
        module.sha256(drawn.train)
        == "0d642c5682b7be8912cdae6335508e70d637ef74bb2b80a8d5108222a0010f8b"
    )
    assert (
        module.sha256(drawn.test)
        == "6f82a18954f708ae7c90a8bcf88a1124f7bbfa4dc8cc8f9d81e125a53ae9245f"
    )


def test_the_cache_gives_back_what_was_drawn(monkeypatch):
    first = digits_at_scale(30, n_test=10)
    monkeypatch.setattr(module, "draw_digits", None)  # any drawing would raise
    second = digits_at_scale(30, n_test=10)
    assert torch.equal(first.train.images, second.train.images)
    assert torch.equal(first.test.scales, second.test.scales)


@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "nonsense", "empty", "no arrays", "pipe"]
)
def test_a_damaged_cache_is_drawn_again(damage):
    first = digits_at_scale(30, n_test=10)
    (path,) = module.cache_folder().iterdir()
    stored = bytearray(path.read_bytes())
    if damage == "cut":
        stored = stored[: len(stored) // 2]
    elif damage == "flipped":
        stored[len(stored) // 2] ^= 255
    elif damage == "nonsense":
        stored = b"no archive"
    elif damage == "no arrays":  # the checksum of nothing is 0
        np.savez(archive := io.BytesIO(), checksum=np.array(0))
        stored = archive.getvalue()
    else:
        stored = b""
    path.write_bytes(stored)
    if damage == "pipe" and hasattr(os, "mkfifo"):
        path.unlink()
        os.mkfifo(path)
    again = digits_at_scale(30, n_test=10)
    assert torch.equal(first.train.images, again.train.images)
    assert list(module.cache_folder().iterdir()) == [path]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("INCEPTION_EDU_CACHE", str(tmp_path / "file" / "cache"))
    assert len(digits_at_scale(30, n_test=10).train) == 30


@pytest.mark.parametrize("given", ["", "~/kept"])
def test_a_cache_folder_is_never_one_by_accident(tmp_path, monkeypatch, given):
    """Set to nothing is not set; the tilde is the reader's home, as in a shell."""
    for name in ("HOME", "USERPROFILE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("INCEPTION_EDU_CACHE", given)
    name = "kept" if given else "inception_edu"
    assert module.cache_folder() == tmp_path / name


def test_a_full_disk_leaves_no_part_behind(monkeypatch):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(module.np, "savez", full)
    assert len(digits_at_scale(30, n_test=10).train) == 30
    assert list(module.cache_folder().iterdir()) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n": 0}, "n=0"),
        ({"n": 2.5}, "whole number"),
        ({"seed": -1}, "seed=-1"),
        ({"n_test": 0}, "n_test=0"),
        ({"size": 39}, "size=39"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(given, words):
    with pytest.raises(ValueError, match=words):
        digits_at_scale(**given)


def test_data_prints_itself():
    data = digits_at_scale(30, n_test=10)
    assert repr(data) == (
        "<Data digits_at_scale: 30 train and 10 test images, 3x48x48, 10 classes>"
    )


def test_as_input_is_centred_and_channels_last():
    images = torch.tensor([0, 255], dtype=torch.uint8).expand(2, 3, 4, 2)
    floats = as_input(images)
    assert floats.min() == -2 and floats.max() == 2
    assert floats.shape == (2, 3, 4, 2)
    assert floats.is_contiguous(memory_format=torch.channels_last)
    assert images.dtype == torch.uint8


def test_an_unknown_data_set_names_the_known():
    with pytest.raises(ValueError, match="cifar10, imagenette"):
        load_data("mnist")


def test_cifar_without_torchvision_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(ModuleNotFoundError, match=r"inception_edu\[data\]") as raised:
        load_data("cifar10")
    assert "\n" not in str(raised.value)


def fake_torchvision(monkeypatch, cifar):
    from PIL import Image

    torchvision = types.ModuleType("torchvision")
    torchvision.datasets = types.SimpleNamespace(
        CIFAR10=cifar,
        Imagenette=lambda folder, split, size, download: [
            (Image.new("L", (200, 160), 90), i % 10) for i in range(12)
        ],
    )
    monkeypatch.setitem(sys.modules, "torchvision", torchvision)


def test_cifar_without_a_network_says_so_in_one_line(monkeypatch):
    def offline(*_, **__):
        raise OSError("Name or service not known")

    fake_torchvision(monkeypatch, offline)
    with pytest.raises(ConnectionError, match="digits_at_scale") as raised:
        load_data("cifar10")
    assert "\n" not in str(raised.value)


def test_cifar_and_imagenette_have_the_shape_of_the_digits(monkeypatch):
    from PIL import Image

    def cifar(folder, train, download):
        return [
            (Image.new("RGB", (32, 32), (i, 0, 0)), i % 10)
            for i in range(20 if train else 10)
        ]

    fake_torchvision(monkeypatch, cifar)
    data = load_data("cifar10", n=8)
    assert data.train.images.shape == (8, 3, 48, 48)
    assert data.classes[0] == "airplane" and data.train.scales is None
    assert (data.train.images[:, 0, 5, 5] % 10 == data.train.labels).all()
    assert load_data("imagenette").test.images.shape == (12, 3, 96, 96)
