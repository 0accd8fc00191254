"""Weights: every library's keys, in full or not at all, and files that lie."""

import contextlib
import copy
import gzip
import json
import random
import zipfile
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import inception_edu as ie
from inception_edu.networks.layers import Branches, ConvUnit, Network
from inception_edu.networks.weights import load_weights, read_weights, under_our_keys
from tests.models import on_meta

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


assert_same = partial(torch.testing.assert_close, rtol=0, atol=0)


def refused(model, weights):
    """The words in which `weights` are refused, the model being as it was."""
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError) as refusal:
        load_weights(model, weights)
    assert_same(model.state_dict(), before)
    return str(refusal.value)


# --- keys ---------------------------------------------------------------------


def library(name):
    """A network on the meta device, and a library's state dict for it."""
    weights = {key: torch.empty(shape, device="meta") for key, shape in LIBRARIES[name]}
    return on_meta(FITS[name][0], **FITS[name][1]), weights


# Shapes cannot tell these layers from a neighbor; read in the libraries' sources.
PLACES = {
    "torchvision_googlenet": {
        "conv3.bn": "conv2.3x3.norm",
        "inception4c.branch3.0.conv": "inception_4c.5x5.reduce.conv",
        "aux1.fc2": "aux_heads.inception_4a.fc2",
        "aux2.fc2": "aux_heads.inception_4d.fc2",
    },
    "torchvision_inception_v3": {
        "Mixed_6e.branch1x1.conv": "mixed_6e.1x1.conv",
        "Mixed_6e.branch_pool.conv": "mixed_6e.pool.proj.conv",
        "Mixed_6e.branch7x7dbl_2.conv": "mixed_6e.double_7x7.7x1_a.conv",
        "Mixed_7a.branch3x3_1.bn": "mixed_7a.3x3.reduce.norm",
        "Mixed_7c.branch3x3dbl_3b.conv": "mixed_7c.double_3x3.expand.3x1.conv",
        "AuxLogits.conv1.conv": "aux_heads.mixed_6e.full.conv",
    },
    "timm_inception_v4": {
        "features.12.branch2.3.bn": "inception_b2.double_7x7.7x1_b.norm",
        "features.21.branch2_3a.conv": "inception_c3.double_3x3.expand.1x3.conv",
        "last_linear": "fc",
    },
    "timm_inception_resnet_v2": {
        "mixed_7a.branch1.0.bn": "reduction_b.3x3_b.reduce.norm",
        "repeat_1.19.branch0.conv": "inception_resnet_b20.branches.1x1.conv",
        "block8.conv2d": "inception_resnet_c10.up",
        "classif": "fc",
    },
}


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("counters", [True, False])
def test_every_key_of_the_library_has_its_place_and_shape_here(name, counters):
    model, theirs = library(name)
    own = model.state_dict()
    if not counters:
        theirs = {k: v for k, v in theirs.items() if not k.endswith("tracked")}
        own = {k: v for k, v in own.items() if not k.endswith("tracked")}
    source, found = under_our_keys(model.name, theirs, model.state_dict())
    assert name.split("_")[0] in source
    wrapped = {f"module.{key}": value for key, value in theirs.items()}
    source, _ = under_our_keys(model.name, wrapped, model.state_dict())
    assert name.split("_")[0] in source
    headless = {key: value for key, value in theirs.items() if "aux" not in key.lower()}
    source, body = under_our_keys(model.name, headless, model.state_dict())
    assert name.split("_")[0] in source and body.items() <= found.items()
    assert found.keys() == own.keys()
    assert all(found[key].shape == own[key].shape for key in own)
    for layer, place in PLACES[name].items():
        keys = [key for key in theirs if key.startswith(f"{layer}.")]
        assert keys
        assert all(found[key.replace(layer, place)] is theirs[key] for key in keys)


@pytest.mark.parametrize("name", FITS)
def test_a_library_s_file_in_another_order_is_refused(name):
    """Sorted, reversed, or with two layers of equal shapes in each other's place."""
    model, theirs = library(name)
    own, layers = model.state_dict(), {}
    for key in theirs:
        unit = key.rpartition(".")[0].rpartition(".")[0] or key.rpartition(".")[0]
        layers.setdefault(unit, []).append(key)
    looks = {
        unit: [(key.rpartition(".")[2], theirs[key].shape) for key in keys]
        for unit, keys in layers.items()
    }
    units, swaps = list(layers), []
    for place, one in enumerate(units):
        for other in units[place + 1 :]:
            if looks[one] == looks[other]:
                swapped = {one: other, other: one}
                swaps.append([swapped.get(unit, unit) for unit in units])
    assert len(swaps) > 10
    orders = [[key for unit in swap for key in layers[unit]] for swap in swaps]
    orders = random.Random(0).sample(orders, min(60, len(orders)))
    for order in (sorted(theirs), list(theirs)[::-1], *orders):
        moved = {key: theirs[key] for key in order}
        source, found = under_our_keys(model.name, moved, own)
        assert source == "our own" and found == moved


def test_torchvisions_googlenet_loads_without_its_heads_into_its_layout_alone():
    generator = torch.Generator().manual_seed(0)
    theirs = {
        key: torch.rand(shape, generator=generator)
        for key, shape in LIBRARIES["torchvision_googlenet"]
    }
    model = ie.create_model("googlenet", layout="torchvision")
    report = load_weights(model, theirs)
    assert (report.loaded, report.source) == (344, "torchvision's")
    assert len(report.left_out) == 20
    reduce = model.inception_4c["5x5"].reduce
    assert torch.equal(reduce.conv.weight, theirs["inception4c.branch3.0.conv.weight"])
    assert "has lost that order" in refused(model, dict(sorted(theirs.items())))
    words = refused(ie.create_model("googlenet"), theirs)
    assert "layout='torchvision'" in words
    assert "missing" in words and "conv1.conv.bias" in words


@pytest.mark.parametrize(
    "wrap",
    [
        lambda key: f"module.{key}",
        lambda key: f"_orig_mod.module.{key}",
        lambda key: key.replace("mixed.", "mixed._orig_mod."),
        lambda key: key.replace("mixed.", "mixed._checkpoint_wrapped_module."),
        lambda key: f"trainer.net.{key}",
    ],
)
def test_what_is_put_before_the_keys_is_left_out(wrap):
    model, weights = small(seed=2), small(seed=1).state_dict()
    wrapped = {wrap(key): value for key, value in weights.items()}
    report = load_weights(torch.nn.DataParallel(model), wrapped)
    assert_same(model.state_dict(), weights)
    assert report.source == "our own"


def test_the_prefix_of_one_network_among_several_is_named():
    state = small().state_dict().items()
    pair = {f"{who}.{k}": v for who in ("teacher", "student") for k, v in state}
    assert "begin with 'teacher.' or 'student.'" in refused(small(), pair)


def test_batch_counters_may_be_missing_or_averaged_to_floats():
    model, weights = small(), small(seed=1).state_dict()
    average = {key: (value + 4.0) / 2 for key, value in weights.items()}
    load_weights(model, average)
    assert_same(model.state_dict(), average, check_dtype=False)
    load_weights(model, {k: v[None] if v.dim() == 0 else v for k, v in average.items()})
    weights = {k: v for k, v in weights.items() if not k.endswith("tracked")}
    load_weights(model, weights)


# --- strictness ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dict", ".pth", "old.pt", ".SafeTensors"])
def test_state_dicts_and_files_load_into_a_network_that_may_be_compiled(tmp_path, kind):
    source, model, path = small(seed=1), small(seed=2), tmp_path / f"weights{kind}"
    weights = source.state_dict()
    if kind == ".SafeTensors":
        save_file(weights, path)
    else:
        torch.save(weights, path, _use_new_zipfile_serialization="old" not in kind)
    compiled = torch.compile(model, backend="eager")
    report = load_weights(compiled, weights if kind == "dict" else str(path))
    assert (report.source, report.left_out) == ("our own", ())
    assert report.loaded == len(weights)
    assert_same(model.state_dict(), weights)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("extra", torch.ones(2), "unexpected (1): extra"),
        ("fc.weight", torch.ones(1001, 5), "shape (1): fc.weight 1001x5 for 3x5"),
        ("fc.bias", torch.full((3,), torch.nan), "not finite (1): fc.bias"),
        ("fc.bias", [1.0, 2.0, 3.0], "fc.bias is list"),
        ("fc.bias", torch.ones(3).long(), "fc.bias is torch.int64"),
        ("fc.bias", torch.ones(3).to_sparse(), "tensor of numbers (1): fc.bias"),
    ],
)
def test_what_differs_is_named_and_nothing_is_loaded(key, value, words):
    weights = small(seed=1).state_dict()
    found = refused(small(), weights | {key: value})
    assert words in found
    assert "nothing was loaded" in found
    weights.pop("fc.bias")
    assert "missing (1): fc.bias" in refused(small(), weights)


def test_many_differences_are_counted_and_the_first_few_named():
    weights = {f"x{i}": torch.ones(1) for i in range(100)}
    words = refused(torch.nn.Linear(2, 3), weights)
    assert "unexpected (100): x0, x1, x2, x3, x4, x5 and 94 more" in words
    assert "do not fit Linear" in words


def test_heads_may_be_in_the_weights_alone_and_not_in_the_model_alone():
    report = load_weights(small(), small(aux=True, seed=1).state_dict())
    assert report.left_out == ("aux_heads.conv1.1.weight", "aux_heads.conv1.1.bias")
    words = refused(small(aux=True), small(seed=1).state_dict())
    assert "aux_heads.conv1.1.bias" in words
    assert "create the model with aux=False" in words


# --- files that lie; more of them are in tests/test_hostile_input.py -----------


def test_a_damaged_file_is_refused_wherever_the_damage_is(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(small(seed=1).state_dict(), path)
    whole, expected = path.read_bytes(), read_weights(path)
    for position in range(0, len(whole), len(whole) // 60):
        broken = bytearray(whole)
        broken[position] ^= 0x41
        path.write_bytes(broken)
        with contextlib.suppress(ValueError):
            assert_same(read_weights(path), expected)


def test_a_compressed_archive_is_refused(tmp_path):
    path, packed = tmp_path / "weights.pth", tmp_path / "packed.pth"
    torch.save(small().state_dict(), path)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", 8) as new:
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    assert "not a readable file" in refused(small(), packed)
