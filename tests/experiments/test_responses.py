"""Which branch a digit's change goes through, by size: counted right, and stored."""

from itertools import product

import numpy as np
import pytest
import torch
from pandas import DataFrame
from torch import nn

import inception_edu as ie
from experiments import responses
from inception_edu.networks.layers import Branches
from inception_edu.training import results
from inception_edu.training.data import BINS, as_input

TABLE = results("responses")


class Two(nn.Module):
    """A branch that passes its input on, and one that answers to nothing."""

    def __init__(self, weight):
        super().__init__()
        silent, loud = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        nn.init.zeros_(silent.weight), nn.init.ones_(silent.bias)
        nn.init.constant_(loud.weight, weight), nn.init.constant_(loud.bias, 99)
        self.block = Branches({"silent": silent, "loud": loud})

    def forward(self, x):
        return self.block(x)


def test_the_pairs_differ_by_the_digit_alone():
    drawn, bare, scales = responses.pairs(40)
    assert drawn.shape == bare.shape == (40, 3, 48, 48)
    for picture, ground, scale in zip(drawn, bare, scales, strict=True):
        rows, columns = (picture != ground).any(0).nonzero(as_tuple=True)
        assert len(rows) > 0
        assert rows.max() - rows.min() < scale and columns.max() - columns.min() < scale


def test_the_whole_change_goes_to_the_branch_that_answers():
    drawn, bare, scales = responses.pairs(60)
    rows = responses.shares(Two(0.01), drawn, bare, scales)
    found = {(row["branch"], row["scale"]): row["share"] for row in rows}
    assert all(found["loud", scale] == 1 for scale in BINS)
    assert all(found["silent", scale] == 0 for scale in BINS)
    assert sum(r["images"] for r in rows if r["branch"] == "loud") == 60
    rows = responses.shares(Two(0.0), drawn, bare, scales)  # nothing answers
    assert {row["share"] for row in rows} == {0.0}


def test_the_difference_is_that_of_the_concatenated_outputs():
    drawn, bare, _ = responses.pairs(8)
    model = ie.load_pretrained("mini_reduced")
    found = responses.differences(model, drawn, bare)
    outputs = []
    model.inception_a.register_forward_hook(lambda _, i, output: outputs.append(output))
    with torch.no_grad():
        for images in (drawn, bare):
            model(as_input(images))
    expected = (outputs[0] - outputs[1]).abs().sum((1, 2, 3))
    ours = sum(change for (layer, _), change in found.items() if layer == "inception_a")
    assert np.allclose(ours, expected, rtol=1e-4)


def test_the_stored_table_is_what_the_command_measures():
    found = DataFrame(responses.measure("mini_reduced", True))
    stored = TABLE[(TABLE["model"] == "mini_reduced") & TABLE["trained"]]
    columns = ["model", "trained", "layer", "branch", "scale", "images"]
    assert (found[columns].values == stored[columns].values).all()
    assert list(found["share"]) == pytest.approx(list(stored["share"]), abs=0.01)
    sums = TABLE.groupby(["model", "trained", "layer", "scale"])["share"].sum()
    assert np.allclose(sums, 1, atol=0.001)
    assert set(sums.index.droplevel([2, 3])) == set(
        product(responses.TRAINED_MINIS, (True, False))
    )


def test_large_kernels_do_not_answer_more_to_large_digits():
    """The tempting story, and what was measured: flat in v1, reversed in v3 and v4."""
    keys = ["model", "layer", "branch", "trained", "scale"]
    share = TABLE.set_index(keys)["share"]
    for layer in ("inception_a", "inception_b"):
        small, large = share["mini_reduced", layer, "5x5", True][["10-15", "32-40"]]
        assert abs(large - small) < 0.02
    for model, layer in (("mini_v3", "mixed_b"), ("mini_v4", "b1")):
        for trained in (True, False):  # so it is the window's doing, not learning's
            found = share[model, layer, "double_7x7", trained]
            assert found["10-15"] > 1.3 * found["32-40"]
