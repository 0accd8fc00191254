"""What is recorded of a network, against hooks and slices of our own."""

import numpy as np
import pytest
import torch

import inception_edu as ie
from inception_edu.figures.responses import KEPT, keep, record
from inception_edu.networks.layers import Branches


def network(name):
    torch.manual_seed(0)
    return ie.create_model(name).eval()


def picture(side=48):
    return torch.randn(1, 3, side, side)


@pytest.mark.parametrize("name", ["mini_reduced", "mini_naive"])
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
            assert np.allclose(branch.where, part.mean(0), atol=1e-6)
            for channel, values in branch.maps.items():
                assert np.allclose(values, part[channel], atol=1e-6)
            found = [branch.mean[channel] for channel in branch.strongest()]
            assert found == sorted(branch.mean, reverse=True)[:KEPT]
            assert set(branch.strongest()) == set(branch.maps)


def test_the_scores_are_the_models_and_the_top_is_in_order():
    model, x = network("mini_reduced"), picture()
    recording = record(model, x)
    with torch.no_grad():
        scores = model(x)[0]
    assert np.allclose(recording.logits, scores, atol=1e-5)
    top = recording.top()
    assert [c for c, _ in top] == scores.topk(5).indices.tolist()
    assert sum(p for _, p in recording.top(10)) == pytest.approx(1)


def test_a_dead_branch_has_maps_of_its_own_and_no_share():
    branch = keep(torch.zeros(1, 40, 5, 5))
    assert set(branch.strongest()) == set(branch.maps)
    assert not np.any(branch.where)


def test_negative_answers_count_as_none():
    branch = keep(torch.tensor([[[[-1.0, 3.0]], [[-1.0, -2.0]]]]))
    assert branch.mean == [1.5, 0.0]


def test_a_stage_without_branches_is_one_branch():
    layers = record(network("mini_reduced"), picture()).layers
    assert list(layers) == ["stem", "inception_a", "inception_b", "inception_c"]
    assert list(layers["stem"].branches) == ["output"]
    kernels = {name: b.kernel for name, b in layers["inception_a"].branches.items()}
    assert kernels == {"1x1": "1x1", "3x3": "3x3", "5x5": "5x5", "pool": "1x1"}


def test_the_model_is_left_as_it_was():
    model = network("mini_reduced")
    record(model, picture())
    with pytest.raises(ValueError, match="is smaller than"):
        record(model, picture(6))
    assert not any(m._forward_hooks for m in model.modules())
