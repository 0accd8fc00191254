"""RMSProp as TensorFlow writes it, and as torch does, against hand formulas."""

import math

import pytest
import torch
from torch import nn

from inception_edu.training.optimizers import RMSpropTF, make_optimizer
from inception_edu.training.recipes import Recipe

# What an optimizer is given of a recipe; lesson 04 measures the steps that follow.
GIVEN = {
    "sgd": (torch.optim.SGD, {"momentum": 0.7}),
    "adamw": (torch.optim.AdamW, {"eps": 0.5}),
    "rmsprop": (torch.optim.RMSprop, {"alpha": 0.8, "eps": 0.5, "momentum": 0.7}),
    "rmsprop_tf": (RMSpropTF, {"decay": 0.8, "eps": 0.5, "momentum": 0.7}),
}


@pytest.mark.parametrize("name", GIVEN)
def test_an_optimizer_gets_the_numbers_of_the_recipe(name):
    numbers = {"learning_rate": 0.03, "rms_decay": 0.8, "eps": 0.5, "momentum": 0.7}
    net = nn.Linear(3, 2)
    optimizer = make_optimizer(Recipe(name="x", optimizer=name, **numbers), net)
    kind, options = GIVEN[name]
    assert type(optimizer) is kind
    assert optimizer.defaults.items() >= ({"lr": 0.03} | options).items()


def test_tensorflows_formula_by_hand_with_momentum_decay_and_a_changing_rate():
    """Broken off and taken up again in the middle, from the stored state."""
    gradients, rates = [0.3, -1.2, 0.05, 2.0], [0.1, 0.1, 0.02, 0.02]
    options = {"lr": 0.1, "decay": 0.9, "eps": 0.5, "momentum": 0.8}
    weight = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))
    optimizer = RMSpropTF([weight], weight_decay=0.3, **options)
    value, mean_square, step = 0.7, 1.0, 0.0
    for gradient, rate in zip(gradients, rates, strict=True):
        taken_up = RMSpropTF([weight])
        taken_up.load_state_dict(optimizer.state_dict())
        optimizer = taken_up
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        gradient += 0.3 * value
        mean_square = 0.9 * mean_square + 0.1 * gradient**2
        step = 0.8 * step + rate * gradient / math.sqrt(mean_square + 0.5)
        value -= step
        assert weight.item() == pytest.approx(value, abs=1e-12)


def test_weight_decay_spares_biases_and_batch_normalization():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    recipe = Recipe(name="x", weight_decay=0.1)
    decayed, spared = make_optimizer(recipe, model).param_groups
    assert [p.ndim for p in decayed["params"]] == [4]
    assert decayed["weight_decay"] == 0.1 and spared["weight_decay"] == 0
    assert len(spared["params"]) == 3
