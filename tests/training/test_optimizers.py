"""RMSProp as TensorFlow writes it, and as torch does, against hand formulas."""

import math

import pytest
import torch
from torch import nn

from inception_edu.training.optimizers import RMSpropTF, make_optimizer
from inception_edu.training.recipes import Recipe

TF = {"optimizer": "rmsprop_tf", "rms_decay": 0.9, "momentum": 0.0, "eps": 1.0}
TORCH = TF | {"optimizer": "rmsprop"}
# Length of the first and of the 200th step at a constant gradient, learning rate
# 0.045, decay 0.9: a second computation, in plain Python, not this package's.
TABLE = [
    (TF, 0.01, 0.000326, 0.000450),
    (TF, 1.0, 0.03182, 0.03182),
    (TF, 10.0, 0.1304, 0.0448),
    (TF | {"eps": 1e-8}, 0.01, 0.000474, 0.0450),  # the start is forgotten
    (TORCH, 0.01, 0.000449, 0.000446),
    (TORCH, 10.0, 0.1081, 0.0409),
    (TORCH | {"eps": 1e-8}, 0.01, 0.1423, 0.0450),
    ({"optimizer": "sgd", "momentum": 0.0}, 10.0, 0.45, 0.45),
]


@pytest.mark.parametrize(("switches", "gradient", "first", "last"), TABLE)
def test_step_lengths_are_those_of_the_formula(switches, gradient, first, last):
    model = nn.Module()
    model.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    recipe = Recipe(name="x", learning_rate=0.045, **switches)
    optimizer, places = make_optimizer(recipe, model), [0.0]
    for _ in range(200):
        model.weight.grad = torch.full_like(model.weight, gradient)
        optimizer.step()
        places.append(model.weight.item())
    assert places[0] - places[1] == pytest.approx(first, rel=2e-3)
    assert places[-2] - places[-1] == pytest.approx(last, rel=2e-3)


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
