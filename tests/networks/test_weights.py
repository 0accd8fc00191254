"""Weights: every library's keys, whole or not at all, and files that lie."""

import contextlib
import gzip
import hashlib
import http.server
import json
import pickle
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import inception_edu as ie
from inception_edu.networks import weights as module
from inception_edu.networks.layers import Branches, ConvUnit, Network
from inception_edu.networks.library_keys import library_names, translate
from inception_edu.networks.weights import (
    PRETRAINED,
    TRAINED,
    Preprocessing,
    Published,
    fetch,
    load_pretrained,
    load_weights,
    read_weights,
    recognise,
)
from inception_edu.training import as_input

# Key and shape of every entry, in order, of torchvision 0.29.1's and timm 1.0.31's
# state dicts, as those libraries build them.
with gzip.open(Path(__file__).parents[1] / "data" / "state_dict_keys.json.gz") as file:
    LIBRARIES = json.load(file)
FITS = {
    "torchvision_googlenet": ("googlenet", {"layout": "torchvision", "aux": True}),
    "torchvision_inception_v3": ("inception_v3", {"aux": True}),
    "timm_inception_v4": ("inception_v4", {}),
    "timm_inception_resnet_v2": ("inception_resnet_v2", {}),
}


def small(aux=False, seed=0):
    """A network of a few thousand weights with everything a big one has."""
    torch.manual_seed(seed)
    stages = {
        "conv1": ConvUnit(3, 4, 3, stride=2, padding=1),
        "mixed": Branches({"1x1": ConvUnit(4, 2, 1), "3x3": ConvUnit(4, 3, 3)}),
        "avgpool": torch.nn.AdaptiveAvgPool2d(1),
        "flatten": torch.nn.Flatten(),
        "fc": torch.nn.Linear(5, 3),
    }
    head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4 * 16, 3))
    heads = {"conv1": head} if aux else None
    return Network(stages, heads, name="small", input_size=8, min_size=4)


def snapshot(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(one[key], other[key]) for key in one
    )


def refused(model, weights, error=ValueError):
    """The words in which `weights` are refused, the model being as it was."""
    before = snapshot(model)
    with pytest.raises(error) as refusal:
        load_weights(model, weights)
    assert same(before, snapshot(model))
    return str(refusal.value)


# --- keys ---------------------------------------------------------------------


@pytest.mark.parametrize("library", FITS)
def test_every_key_of_the_library_has_its_place_and_shape_here(library):
    name, options = FITS[library]
    with torch.device("meta"):
        model = ie.create_model(name, **options)
        theirs = {key: torch.empty(shape) for key, shape in LIBRARIES[library]}
    own = model.state_dict()
    source, found = recognise(model, theirs, own)
    assert library.split("_")[0] in source
    assert found.keys() == own.keys()
    assert {key: v.shape for key, v in found.items()} == {
        key: v.shape for key, v in own.items()
    }


# Shapes cannot tell these from a neighbour; read in the libraries' sources.
@pytest.mark.parametrize(
    ("network", "theirs", "ours"),
    [
        ("googlenet", "conv3.bn.bias", "conv2.3x3.norm.bias"),
        ("googlenet", "aux2.fc2.bias", "aux_heads.inception_4d.fc2.bias"),
        (
            "inception_v3",
            "Mixed_6e.branch7x7dbl_2.conv.weight",
            "mixed_6e.double_7x7.7x1_a.conv.weight",
        ),
        (
            "inception_v3",
            "Mixed_7a.branch3x3_1.bn.weight",
            "mixed_7a.3x3.reduce.norm.weight",
        ),
        (
            "inception_v3",
            "Mixed_7c.branch3x3dbl_3b.conv.weight",
            "mixed_7c.double_3x3.expand.3x1.conv.weight",
        ),
        (
            "inception_v4",
            "features.12.branch2.3.bn.running_var",
            "inception_b2.double_7x7.7x1_b.norm.running_var",
        ),
        (
            "inception_v4",
            "features.21.branch2_3a.conv.weight",
            "inception_c3.double_3x3.expand.1x3.conv.weight",
        ),
        (
            "inception_resnet_v2",
            "mixed_7a.branch1.0.bn.bias",
            "reduction_b.3x3_b.reduce.norm.bias",
        ),
        ("inception_resnet_v2", "block8.conv2d.bias", "inception_resnet_c10.up.bias"),
        (
            "inception_resnet_v2",
            "repeat_1.19.branch0.conv.weight",
            "inception_resnet_b20.branches.1x1.conv.weight",
        ),
        ("inception_resnet_v2", "classif.weight", "fc.weight"),
        ("inception_v3", "Mixed_9z.branch1x1.conv.weight", None),
        ("inception_v3", "Mixed_5b.branch9x9.conv.weight", None),
        ("inception_v3", "nonsense", None),
    ],
)
def test_a_key_is_translated_by_name(network, theirs, ours):
    with torch.device("meta"):
        model = ie.create_model(network)
    _, stages, branches = library_names(model)
    assert translate(theirs, stages, branches) == (ours or theirs)


def torchvision_googlenet():
    """A state dict as torchvision would hand it out, heads included."""
    generator = torch.Generator().manual_seed(0)
    table = {}
    for key, shape in LIBRARIES["torchvision_googlenet"]:
        if key.endswith("num_batches_tracked"):
            table[key] = torch.tensor(3)
        else:
            table[key] = torch.rand(shape, generator=generator)
    return table


def test_torchvisions_googlenet_loads_with_and_without_heads():
    theirs = torchvision_googlenet()
    model = ie.create_model("googlenet", layout="torchvision")
    report = load_weights(model, theirs)
    assert report.loaded == 344
    assert report.source == "torchvision's"
    assert len(report.left_out) == 20
    assert "heads left out" in str(report)
    reduce = model.inception_4c["5x5"].reduce
    assert torch.equal(reduce.conv.weight, theirs["inception4c.branch3.0.conv.weight"])
    assert torch.equal(
        reduce.norm.running_mean, theirs["inception4c.branch3.0.bn.running_mean"]
    )
    assert torch.equal(model.fc.bias, theirs["fc.bias"])
    assert model.conv1.norm.num_batches_tracked == 3


def test_torchvisions_googlenet_does_not_fit_the_papers_and_says_what_does():
    words = refused(ie.create_model("googlenet"), torchvision_googlenet())
    assert "layout='torchvision'" in words
    assert "missing" in words and "conv1.conv.bias" in words


# --- strictness ---------------------------------------------------------------


def test_our_own_state_dict_loads():
    source, model = small(seed=1), small(seed=2)
    report = load_weights(model, source.state_dict())
    assert (report.source, report.left_out) == ("our own", ())
    assert report.loaded == len(source.state_dict())
    assert same(snapshot(model), snapshot(source))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors", ".SafeTensors"])
def test_files_load(tmp_path, suffix):
    source, model = small(seed=1), small(seed=2)
    path = tmp_path / f"weights{suffix}"
    save = save_file if suffix.lower() == ".safetensors" else torch.save
    save(source.state_dict(), path)
    load_weights(model, str(path))
    assert same(snapshot(model), snapshot(source))


def test_a_compiled_network_loads_what_the_network_does():
    source, model = small(seed=1), small(seed=2)
    load_weights(torch.compile(model, backend="eager"), source.state_dict())
    assert same(snapshot(model), snapshot(source))


def test_the_files_of_old_torch_versions_load(tmp_path):
    source, model = small(seed=1), small(seed=2)
    path = tmp_path / "old.pth"
    torch.save(source.state_dict(), path, _use_new_zipfile_serialization=False)
    load_weights(model, path)
    assert same(snapshot(model), snapshot(source))


def test_batch_counters_may_be_missing():
    weights = small(seed=1).state_dict()
    weights = {k: v for k, v in weights.items() if not k.endswith("tracked")}
    load_weights(small(), weights)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w.pop("fc.bias"), "missing (1): fc.bias"),
        (lambda w: w.update(extra=torch.ones(2)), "unexpected (1): extra"),
        (lambda w: w.update({7: torch.ones(2)}), "unexpected (1): 7"),
        (
            lambda w: w.update({"fc.weight": torch.ones(1001, 5)}),
            "of another shape (1): fc.weight 1001x5 for 3x5",
        ),
        (
            lambda w: w.update({"fc.bias": torch.tensor([1.0, float("nan"), 0])}),
            "not finite (1): fc.bias",
        ),
        (lambda w: w.update({"fc.bias": [1.0, 2.0, 3.0]}), "fc.bias is list"),
        (
            lambda w: w.update({"fc.bias": torch.ones(3, dtype=torch.int64)}),
            "fc.bias is torch.int64",
        ),
        (
            lambda w: w.update({"fc.bias": torch.ones(3).to_sparse()}),
            "not a tensor of numbers (1): fc.bias",
        ),
        (lambda w: w.clear(), "missing (17)"),
        (lambda w: w.update(aux=torch.ones(1)), "unexpected (1): aux"),
    ],
)
def test_what_differs_is_named_and_nothing_is_loaded(change, words):
    weights = small(seed=1).state_dict()
    change(weights)
    found = refused(small(), weights)
    assert words in found
    assert "nothing was loaded" in found


def test_many_differences_are_counted_and_the_first_few_named():
    weights = {f"x{i}": torch.ones(1) for i in range(100)}
    assert "unexpected (100): x0, x1, x2, x3, x4, x5 and 94 more" in refused(
        small(), weights
    )


def test_heads_in_the_weights_alone_are_left_out_and_named():
    report = load_weights(small(), small(aux=True, seed=1).state_dict())
    assert report.left_out == ("aux_heads.conv1.1.weight", "aux_heads.conv1.1.bias")


def test_heads_in_the_model_alone_are_an_error():
    words = refused(small(aux=True), small(seed=1).state_dict())
    assert "aux_heads.conv1.1.bias" in words
    assert "create the model with aux=False" in words


def test_a_model_without_memory_is_refused():
    with torch.device("meta"):
        model = small()
    with pytest.raises(ValueError, match="meta"):
        load_weights(model, small().state_dict())


def test_any_module_of_the_readers_own_can_be_loaded():
    model, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    load_weights(model, other.state_dict())
    assert torch.equal(model.weight, other.weight)
    assert "do not fit Linear" in refused(model, {})


# --- files that lie -----------------------------------------------------------


class Bomb:
    """Unpickled without care, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def weight_file(path):
    torch.save(small(seed=1).state_dict(), path)
    return path.read_bytes()


def test_code_in_a_file_is_never_run(tmp_path):
    sign = tmp_path / "it-ran"
    plain, torch_file = tmp_path / "plain.pth", tmp_path / "torch.pth"
    plain.write_bytes(pickle.dumps({"fc.bias": Bomb(sign)}, 2))
    torch.save({"fc.bias": Bomb(sign)}, torch_file)
    for path in (plain, torch_file):
        words = refused(small(), path)
        assert "not a readable file of weights" in words
        assert "weights_only" not in words
    assert not sign.exists()
    pickle.loads(plain.read_bytes())  # the bomb is a real one
    assert sign.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, suffix):
    path = tmp_path / f"weights{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(small(seed=1).state_dict(), path)
    whole = path.read_bytes()
    model = small()
    for share in (0, 0.001, 0.1, 0.5, 0.9, 0.999):
        path.write_bytes(whole[: int(share * len(whole))])
        assert "not a readable file" in refused(model, path)


def test_a_damaged_file_is_refused_wherever_the_damage_is(tmp_path):
    path = tmp_path / "weights.pth"
    whole = weight_file(path)
    expected = read_weights(path)
    undetected = 0
    for position in range(0, len(whole), len(whole) // 60):
        broken = bytearray(whole)
        broken[position] ^= 0x41
        path.write_bytes(broken)
        with contextlib.suppress(ValueError):
            undetected += not same(read_weights(path), expected)
    assert undetected == 0


def test_a_compressed_archive_is_refused(tmp_path):
    path, packed = tmp_path / "weights.pth", tmp_path / "packed.pth"
    weight_file(path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", 8) as new:
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    assert "not a readable file" in refused(small(), packed)


@pytest.mark.parametrize(
    "content", [b"", b"not a file of weights", b"<html>404</html>", b"\x80\x02N."]
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".txt"])
def test_other_files_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    assert str(path) in refused(small(), path)


def test_a_list_in_a_file_and_a_missing_file_are_refused(tmp_path):
    path = tmp_path / "list.pth"
    torch.save([torch.ones(2)], path)
    assert "holds a list" in refused(small(), path)
    assert "no weight file" in refused(small(), tmp_path / "x.pth", FileNotFoundError)
    assert "no weight file" in refused(small(), tmp_path, FileNotFoundError)


# --- downloads ----------------------------------------------------------------


@pytest.fixture
def server(tmp_path):
    """A loopback server of the folder it also returns."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=folder)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def published(url, content):
    digest = hashlib.sha256(content).hexdigest()[:8]
    return Published(url, digest, Preprocessing(9, 8, (0,) * 3, (1,) * 3))


def test_a_download_is_checked_kept_and_not_repeated(server, tmp_path, capfd):
    folder, address = server
    content = weight_file(folder / "w.pth")
    cache = tmp_path / "cache"
    source = published(f"{address}/w.pth", content)
    path = fetch(source, cache)
    assert path.read_bytes() == content
    assert "w.pth" in capfd.readouterr().err  # the progress bar
    (folder / "w.pth").unlink()
    assert fetch(source, cache, progress=False) == path
    assert capfd.readouterr().err == ""
    assert [p.name for p in cache.iterdir()] == ["w.pth"]


def test_a_damaged_copy_in_the_cache_is_downloaded_again(server, tmp_path):
    folder, address = server
    content = weight_file(folder / "w.pth")
    (tmp_path / "w.pth").write_bytes(content[:-9])
    path = fetch(published(f"{address}/w.pth", content), tmp_path, progress=False)
    assert path.read_bytes() == content


@pytest.mark.parametrize("harm", [lambda b: b[:-100], lambda b: b"x" + b[1:]])
def test_a_damaged_download_is_refused_and_leaves_nothing(server, tmp_path, harm):
    folder, address = server
    content = weight_file(folder / "w.pth")
    (folder / "w.pth").write_bytes(harm(content))
    cache = tmp_path / "cache"
    with pytest.raises(ValueError, match="damaged or cut short"):
        fetch(published(f"{address}/w.pth", content), cache, progress=False)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("place", ["nothing.pth", "gone/deep.pth"])
def test_a_file_that_is_not_there_is_one_clear_line(server, tmp_path, place):
    _, address = server
    with pytest.raises(ConnectionError) as refusal:
        fetch(published(f"{address}/{place}", b""), tmp_path / "c", progress=False)
    words = str(refusal.value)
    assert "404" in words and "put that file at" in words
    assert "\n" not in words
    assert list((tmp_path / "c").iterdir()) == []


def test_without_a_network_the_line_says_what_to_do(tmp_path, monkeypatch):
    nowhere = replace(PRETRAINED["googlenet"], url="http://127.0.0.1:9/g-0.pth")
    monkeypatch.setitem(PRETRAINED, "googlenet", nowhere)
    with pytest.raises(
        ConnectionError, match="without a network, put that file at"
    ) as words:
        load_pretrained("googlenet", cache=tmp_path, progress=False)
    assert "load_pretrained('mini_v4')" in str(words.value)
    assert list(tmp_path.iterdir()) == []


def test_a_network_without_published_weights_is_refused():
    for name in ("bn_inception", "inception_resnet_v1", "mini_naive", "resnet"):
        with pytest.raises(ValueError, match="there are some for googlenet") as words:
            load_pretrained(name)
        assert "mini_v4" in str(words.value)


def test_a_pretrained_network_comes_in_eval_mode_with_its_preprocessing(
    tmp_path, monkeypatch
):
    theirs = torchvision_googlenet()
    file = tmp_path / "googlenet.pth"
    torch.save(theirs, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    source = replace(PRETRAINED["googlenet"], url=file.as_uri(), sha256=digest)
    monkeypatch.setitem(PRETRAINED, "googlenet", source)
    model = ie.load_pretrained("googlenet", cache=tmp_path / "cache", progress=False)
    assert not model.training
    assert model.aux_heads is None
    assert torch.equal(model.fc.weight, theirs["fc.weight"])
    assert model.preprocessing.crop == 224
    assert (model.classes[0], model.classes[999]) == ("tench", "toilet tissue")
    assert (tmp_path / "cache" / "googlenet.pth").is_file()


def test_the_background_class_of_tensorflow_is_dropped(tmp_path, monkeypatch):
    table = {key: torch.zeros(shape) for key, shape in LIBRARIES["timm_inception_v4"]}
    table["last_linear.weight"] = torch.zeros(1001, 1536)
    table["last_linear.bias"] = torch.arange(1001.0)
    seen = {}
    monkeypatch.setattr(module, "fetch", lambda *_: "file")
    monkeypatch.setattr(module, "read_weights", lambda _: table)
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

SHIPPED = ("mini_reduced", "mini_v3", "mini_v4", "mini_resnet")


def test_the_shipped_minis_are_few_kilobytes():
    rows = module.trained_minis()
    assert set(rows) >= set(SHIPPED)
    sizes = {path.stem: path.stat().st_size for path in TRAINED.glob("*.safetensors")}
    assert sizes == {name: int(row["bytes"]) for name, row in rows.items()}
    assert sum(sizes.values()) < 600_000


@pytest.mark.parametrize("name", SHIPPED)
def test_a_mini_needs_no_network_and_brings_what_it_needs(name, monkeypatch):
    monkeypatch.setattr(module, "fetch", None)
    model = ie.load_pretrained(name)
    assert model.name == name and not model.training
    assert model.classes == tuple("0123456789")
    images = torch.randint(0, 256, (5, 3, 48, 48), dtype=torch.uint8)
    ours = model.preprocessing.normalise(images / 255)
    assert torch.allclose(ours, as_input(images), atol=1e-5)
    image = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    assert torch.allclose(model.preprocessing(image), as_input(images[:1]), atol=1e-5)


@pytest.mark.parametrize("harm", ["changed", "cut short", "gone"])
def test_a_damaged_mini_is_refused(tmp_path, monkeypatch, harm):
    for path in TRAINED.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(module, "TRAINED", tmp_path)
    load_pretrained("mini_v4")
    file = tmp_path / "mini_v4.safetensors"
    whole = file.read_bytes()
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(
            whole[:-2] if harm == "cut short" else whole[:-1] + bytes([whole[-1] ^ 1])
        )
    with pytest.raises(ValueError, match="not the file that was shipped") as words:
        load_pretrained("mini_v4")
    assert "experiments.minis --models mini_v4" in str(words.value)


def test_a_mini_comes_without_auxiliary_heads():
    with pytest.raises(ValueError, match="no auxiliary head"):
        load_pretrained("mini_v3", aux=True)


# --- preprocessing ------------------------------------------------------------


def test_preprocessing_is_what_was_published():
    assert {
        name: (entry.preprocessing.resize, entry.preprocessing.crop, entry.sha256)
        for name, entry in PRETRAINED.items()
    } == {
        "googlenet": (256, 224, "1378be20"),
        "inception_v3": (342, 299, "0cc3c7bd"),
        "inception_v4": (341, 299, "8e4777a0"),
        "inception_resnet_v2": (333, 299, "940b1cd6"),
    }
    for entry in PRETRAINED.values():
        assert entry.sha256 in entry.file_name
        assert entry.url.startswith("https://")


def test_transform_input_turns_imagenets_mean_into_one_half():
    pixels = torch.rand(2, 3, 8, 8)
    shipped = PRETRAINED["inception_v3"].preprocessing
    assert shipped.transform_input
    halves = PRETRAINED["inception_v4"].preprocessing
    assert torch.allclose(shipped.normalise(pixels), (pixels - 0.5) / 0.5, atol=1e-6)
    assert torch.allclose(halves.normalise(pixels), (pixels - 0.5) / 0.5, atol=1e-6)
    without = replace(shipped, transform_input=False).normalise(pixels)
    assert torch.allclose(without[:, 0], (pixels[:, 0] - 0.485) / 0.229, atol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "1", "P", "CMYK"])
@pytest.mark.parametrize("size", [(40, 30), (7, 200), (1, 1), (640, 480)])
def test_any_picture_becomes_one_batch(mode, size):
    prepare = Preprocessing(36, 32, (0.5,) * 3, (0.5,) * 3)
    batch = prepare(Image.new(mode, size))
    assert batch.shape == (1, 3, 32, 32)
    assert batch.dtype == torch.float32
    assert batch.min() >= -1.0001 and batch.max() <= 1.0001


def test_the_window_is_what_the_batch_is_made_of():
    random = torch.randint(0, 256, (90, 70, 3), dtype=torch.uint8)
    prepare = PRETRAINED["inception_v4"].preprocessing
    image = Image.fromarray(random.numpy())
    window = prepare.window(image)
    assert (window.mode, window.size) == ("RGB", (299, 299))
    again = replace(prepare, resize=299)(window)
    assert torch.allclose(again, prepare(image), atol=1e-6)


def test_the_middle_of_the_picture_is_cut_out():
    image = Image.new("RGB", (90, 30))
    image.paste((255, 0, 0), (30, 0, 60, 30))
    prepare = Preprocessing(30, 30, (0,) * 3, (1,) * 3, interpolation="bilinear")
    batch = prepare(image)
    assert torch.all(batch[0, 0] == 1)
    assert torch.all(batch[0, 1:] == 0)
