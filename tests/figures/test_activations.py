"""What is recorded of a network, against hooks and slices of our own."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import inception_edu as ie
from inception_edu.figures.activations import keep, record
from inception_edu.figures.recording import KEPT
from inception_edu.networks.layers import Branches


def network(name, **options):
    torch.manual_seed(0)
    return ie.create_model(name, **options).eval()


def picture(side=48, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 3, side, side, generator=generator)


@pytest.mark.parametrize("name", ["mini_reduced", "mini_v2", "mini_v4"])
def test_branches_are_the_slices_of_the_modules_output(name):
    model, x = network(name), picture()
    outputs = {}
    for path, module in model.named_modules():
        if isinstance(module, Branches):
            module.register_forward_hook(
                lambda module, _, output, path=path: outputs.update({path: output})
            )
    layers, modules = record(model, x).layers, dict(model.named_modules())
    compared = outputs.keys() & layers.keys()
    assert len(compared) >= 3
    for path in compared:
        layer, answers = layers[path], outputs[path][0].clamp(min=0)
        assert list(layer.branches) == list(modules[path])
        assert layer.channels == len(answers)
        assert layer.grid == tuple(answers.shape[1:])
        assert sum(layer.shares().values()) == pytest.approx(1)
        parts = answers.split([len(b.mean) for b in layer.branches.values()])
        for branch, part in zip(layer.branches.values(), parts, strict=True):
            assert np.allclose(branch.mean, part.mean((1, 2)), atol=1e-6)
            assert np.allclose(branch.peak, part.amax((1, 2)), atol=1e-6)
            assert np.allclose(branch.where, part.mean(0), atol=1e-6)
            for channel, values in branch.maps.items():
                assert np.allclose(values, part[channel], atol=1e-6)
            for by in ("mean", "peak"):
                strongest = branch.strongest(KEPT, by)
                found = [getattr(branch, by)[channel] for channel in strongest]
                assert found == sorted(getattr(branch, by), reverse=True)[:KEPT]
                assert set(strongest) <= set(branch.maps)


def test_the_scores_are_the_models_and_the_top_is_in_order():
    model, x = network("mini_v4"), picture()
    recording = record(model, x)
    with torch.no_grad():
        scores = model(x)[0]
    assert np.allclose(recording.logits, scores, atol=1e-5)
    top = recording.top()
    assert [c for c, _ in top] == scores.topk(5).indices.tolist()
    assert sum(p for _, p in recording.top(10)) == pytest.approx(1)


def test_a_dead_branch_has_maps_of_its_own_and_no_share():
    branch = keep(torch.zeros(1, 40, 5, 5))
    assert set(branch.strongest(12)) <= set(branch.maps)
    assert not np.any(branch.where)


def test_negative_answers_count_as_none():
    branch = keep(torch.tensor([[[[-1.0, 3.0]], [[-1.0, -2.0]]]]))
    assert branch.mean == [1.5, 0.0]
    assert branch.peak == [3.0, 0.0]


def test_large_maps_are_averaged_down():
    x = torch.rand(1, 3, 128, 64)
    branch = keep(x)
    assert np.shape(branch.where) == (32, 32)
    expected = F.avg_pool2d(x[0].mean(0)[None], (4, 2))[0]
    assert np.allclose(branch.where, expected, atol=1e-3)


def test_a_network_of_the_readers_own_shows_its_modules_and_other_layers():
    table = {"1x1": nn.Conv2d(4, 5, 1), "pool": nn.MaxPool2d(3, 1, 1)}
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        Branches(table | {"5x5": [nn.Conv2d(4, 2, 1), nn.Conv2d(2, 6, 5, padding=2)]}),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(15, 3),
    )
    layers = record(model, picture(20)).layers
    assert {name: (layer.grid, layer.channels) for name, layer in layers.items()} == {
        "0": ((18, 18), 4),
        "2": ((18, 18), 15),
    }
    found = {name: branch.kernel for name, branch in layers["2"].branches.items()}
    assert found == {"1x1": "1x1", "pool": "pool", "5x5": "5x5"}


def test_residual_blocks_show_the_branches_that_are_added():
    layers = record(network("mini_resnet"), picture()).layers
    assert list(layers) == [
        "stem", "a1", "reduction_a", "b1", "b2", "reduction_b", "c1"
    ]  # fmt: skip
    assert list(layers["b1"].branches) == ["1x1", "wide"]


def test_the_model_is_left_as_it_was():
    model = network("mini_v3", aux=True).train()
    model.stem.eval()
    modes = [m.training for m in model.modules()]
    before = {k: v.clone() for k, v in model.state_dict().items()}
    record(model, picture())
    assert [m.training for m in model.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_what_cannot_be_shown_is_refused_and_leaves_no_hook():
    model = network("mini_v4")
    cases = {
        "is smaller than": (model, picture(6)),
        "finite class scores": (model, torch.full((1, 3, 48, 48), float("nan"))),
        "no layer with a grid": (
            nn.Sequential(nn.Flatten(), nn.Linear(3 * 48 * 48, 3)),
            picture(),
        ),
        "is no list of finite": (nn.Conv2d(3, 3, 3), picture()),
    }
    for words, (subject, x) in cases.items():
        with pytest.raises(ValueError, match=words):
            record(subject, x)
        assert not any(m._forward_hooks for m in subject.modules())
