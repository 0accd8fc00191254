"""Recipes are data: every switch works alone, and what we changed is on record."""

from dataclasses import FrozenInstanceError, fields
from itertools import pairwise

import pytest
import torch

from inception_edu.training import recipes
from inception_edu.training.recipes import Recipe


def test_the_papers_numbers():
    """Going deeper, 6; Rethinking, 7 and 8 (reference: recipes by paper)."""
    assert (recipes.v1.optimizer, recipes.v1.momentum) == ("sgd", 0.9)
    assert recipes.v1.lr_decay == 0.96
    assert recipes.v1.lr_decay_every == pytest.approx(8 / 250)
    v3 = recipes.v3
    assert (v3.optimizer, v3.rms_decay, v3.eps) == ("rmsprop_tf", 0.9, 1.0)
    assert (v3.clip, v3.label_smoothing, v3.aux_weight) == (2.0, 0.1, 0.4)
    assert (v3.lr_decay, v3.lr_decay_every) == (0.94, 2 / 100)
    assert dict(v3.model_options) == {"stem": "factorized", "bn_aux": True}
    assert v3.ema_decay > 0


def test_the_ladder_climbs_one_rung_at_a_time():
    switches = [
        {
            field.name
            for field in fields(Recipe)
            if getattr(lower, field.name) != getattr(upper, field.name)
        }
        for lower, upper in pairwise([*recipes.ladder.values(), recipes.v3])
    ]
    assert dict(zip([*list(recipes.ladder)[1:], "v3"], switches, strict=True)) == {
        "rmsprop": {"name", "optimizer", "eps"},
        "label_smoothing": {"name", "label_smoothing"},
        "factorized_stem": {"name", "model_options"},
        "bn_aux": {"name", "model_options"},
        "v3": {"name"},
    }


def test_a_recipe_is_frozen_and_copied():
    with pytest.raises(FrozenInstanceError):
        recipes.v1.clip = 2.0
    assert recipes.v1.but(clip=2.0).clip == 2.0
    assert recipes.v1.clip is None
    assert hash(recipes.v3) == hash(recipes.v3.but())


def test_v3s_rate_falls_as_in_the_paper():
    """x 0.94 every 2 of 100 epochs: at epoch e, 0.94 to the (e // 2)."""
    v3 = recipes.v3.but(learning_rate=0.045)
    for epoch in range(100):
        expected = 0.045 * 0.94 ** (epoch // 2)
        assert v3.learning_rate_at(epoch / 100) == pytest.approx(expected)
        assert v3.learning_rate_at((epoch + 0.99) / 100) == pytest.approx(expected)


def test_one_cycle_is_torchs():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.02, total_steps=1001, cycle_momentum=False
    )
    for step in range(960):
        ours = recipes.quick.learning_rate_at(step / 1000)
        assert ours == pytest.approx(torchs.get_last_lr()[0], rel=0.02, abs=1e-5)
        optimizer.step()
        torchs.step()
