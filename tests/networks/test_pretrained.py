"""Trained networks: downloads that are checked, minis that came along, images."""

import hashlib

import pytest
import torch
from PIL import Image
from torch import nn

import inception_edu as ie
from inception_edu.networks import pretrained as module
from inception_edu.networks.pretrained import (
    PRETRAINED,
    TRAINED_MINIS,
    Preprocessing,
    download,
    load_pretrained,
)
from inception_edu.training import as_input

# --- downloads ----------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder in which torch.hub keeps files."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    return tmp_path / "torch" / "hub" / "checkpoints"


def published(folder, weights):
    """The address of a file of weights, whose name has its hash."""
    torch.save(weights, folder / "w.pth")
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()[:8]
    return (folder / "w.pth").rename(folder / f"w-{digest}.pth")


def test_a_download_is_checked_kept_and_not_repeated(tmp_path, cache, capfd):
    expected = nn.Linear(300, 40).state_dict()
    served = published(tmp_path, expected)
    url, content = served.as_uri(), served.read_bytes()
    torch.testing.assert_close(download(url), expected, rtol=0, atol=0)
    assert "100%" in capfd.readouterr().err  # the progress bar
    served.unlink()
    torch.testing.assert_close(download(url), expected, rtol=0, atol=0)
    assert capfd.readouterr().err == ""
    (kept,) = cache.iterdir()
    assert kept.read_bytes() == content
    kept.write_bytes(content[:-999])
    with pytest.raises(ValueError, match="damaged or cut short"):
        download(url)


@pytest.mark.parametrize("harm", [lambda b: b[:-100], lambda b: b"x" + b[1:]])
def test_a_damaged_download_is_refused_and_leaves_nothing(tmp_path, cache, harm):
    served = published(tmp_path, nn.Linear(300, 40).state_dict())
    served.write_bytes(harm(served.read_bytes()))
    with pytest.raises(ValueError, match="damaged or cut short"):
        download(served.as_uri())
    assert list(cache.iterdir()) == []


def test_without_a_network_the_line_says_what_to_do(cache, monkeypatch):
    nowhere = "http://127.0.0.1:9/g-0.pth", PRETRAINED["googlenet"][1]
    monkeypatch.setitem(PRETRAINED, "googlenet", nowhere)
    with pytest.raises(
        ConnectionError, match="without a network, put that file there"
    ) as words:
        load_pretrained("googlenet")
    assert "load_pretrained('mini_v4')" in str(words.value)
    assert list(cache.iterdir()) == []


def test_a_pretrained_network_comes_in_eval_mode_with_its_preprocessing(
    tmp_path, cache, monkeypatch
):
    ours = ie.create_model("googlenet", aux=True, layout="torchvision")
    served = published(tmp_path, ours.state_dict())
    file = served.as_uri(), PRETRAINED["googlenet"][1]
    monkeypatch.setitem(PRETRAINED, "googlenet", file)
    model = ie.load_pretrained("googlenet")
    assert not model.training
    assert model.aux_heads is None
    assert torch.equal(model.fc.weight, ours.fc.weight)
    assert model.preprocessing.crop == 224
    assert (model.classes[0], model.classes[999]) == ("tench", "toilet tissue")
    assert (cache / served.name).is_file()


def test_the_background_class_of_tensorflow_is_dropped(monkeypatch):
    stored = {
        "last_linear.weight": torch.zeros(1001, 1536),
        "last_linear.bias": torch.arange(1001.0),
    }
    seen = {}
    monkeypatch.setattr(module, "download", lambda *_: stored)
    monkeypatch.setattr(module, "load_weights", lambda _, given: seen.update(given))
    with torch.device("meta"):
        load_pretrained("inception_v4")
    assert seen["last_linear.weight"].shape == (1000, 1536)
    assert seen["last_linear.bias"][0] == 1


def test_imagenets_names_are_in_the_order_of_the_outputs():
    names = module.imagenet_classes()
    assert len(names) == len(set(names)) == 1000
    # Well-known places of ILSVRC 2012, from its own list of WordNet numbers.
    known = {1: "goldfish", 207: "golden retriever", 281: "tabby", 538: "dome"}
    known |= {817: "sports car", 832: "stupa", 954: "banana", 985: "daisy"}
    assert {place: names[place] for place in known} == known


# --- minis that come with the package ------------------------------------------


@pytest.mark.parametrize("name", TRAINED_MINIS)
def test_a_mini_needs_no_network_and_brings_what_it_needs(name, monkeypatch):
    monkeypatch.setattr(module, "download", None)
    model = ie.load_pretrained(name)
    assert model.name == name and not model.training
    assert model.classes == tuple("0123456789")
    images = torch.randint(0, 256, (1, 3, 48, 48), dtype=torch.uint8)
    image = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    assert torch.allclose(model.preprocessing(image), as_input(images), atol=1e-5)


# --- preprocessing ------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "1", "P", "CMYK"])
@pytest.mark.parametrize("size", [(7, 200), (1, 1), (640, 480)])
def test_any_picture_becomes_one_batch(mode, size):
    batch = Preprocessing(36, 32)(Image.new(mode, size))
    assert batch.shape == (1, 3, 32, 32)
    assert batch.dtype == torch.float32
    assert batch.min() >= -1.0001 and batch.max() <= 1.0001


def test_the_middle_of_the_picture_is_cut_out():
    image = Image.new("RGB", (90, 30))
    image.paste((255, 0, 0), (30, 0, 60, 30))
    batch = Preprocessing(30, 30, 0, 1, "bilinear")(image)
    assert torch.all(batch[0, 0] == 1)
    assert torch.all(batch[0, 1:] == 0)
