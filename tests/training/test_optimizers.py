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
    (TORCH, 0.01, 0.000449, 0.000446),
    (TORCH, 1.0, 0.03419, 0.02250),
    (TORCH, 10.0, 0.1081, 0.0409),
    (TORCH | {"eps": 1e-8}, 0.01, 0.1423, 0.0450),
    (TORCH | {"eps": 1e-8}, 10.0, 0.1423, 0.0450),
    ({"optimizer": "sgd", "momentum": 0.0}, 0.01, 0.00045, 0.00045),
    ({"optimizer": "sgd", "momentum": 0.0}, 10.0, 0.45, 0.45),
]


def steps(switches, gradient, count):
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    model = nn.Module()
    model.weight = weight
    optimizer = make_optimizer(Recipe(name="x", learning_rate=0.045, **switches), model)
    lengths = []
    for _ in range(count):
        before = weight.item()
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        lengths.append(before - weight.item())
    return lengths


@pytest.mark.parametrize(("switches", "gradient", "first", "last"), TABLE)
def test_step_lengths_are_those_of_the_formula(switches, gradient, first, last):
    lengths = steps(switches, gradient, 200)
    assert lengths[0] == pytest.approx(first, rel=2e-3)
    assert lengths[-1] == pytest.approx(last, rel=2e-3)


def test_tensorflows_formula_by_hand_with_momentum_and_a_changing_rate():
    gradients, rates = [0.3, -1.2, 0.05, 2.0], [0.1, 0.1, 0.02, 0.02]
    weight = nn.Parameter(torch.tensor([0.7], dtype=torch.float64))
    optimizer = RMSpropTF([weight], lr=0.1, decay=0.9, eps=0.5, momentum=0.8)
    value, mean_square, step = 0.7, 1.0, 0.0
    for gradient, rate in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
        mean_square = 0.9 * mean_square + 0.1 * gradient**2
        step = 0.8 * step + rate * gradient / math.sqrt(mean_square + 0.5)
        value -= step
        assert weight.item() == pytest.approx(value, abs=1e-12)


def test_weight_decay_is_added_to_the_gradient():
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = RMSpropTF([weight], lr=0.1, eps=1.0, weight_decay=0.5)
    weight.grad = torch.tensor([1.0], dtype=torch.float64)
    optimizer.step()
    gradient = 1 + 0.5 * 2
    root = math.sqrt(0.9 + 0.1 * gradient**2 + 1)
    assert weight.item() == pytest.approx(2 - 0.1 * gradient / root)


def test_a_weight_without_a_gradient_is_left_alone():
    weight = nn.Parameter(torch.ones(2))
    RMSpropTF([weight]).step()
    assert torch.equal(weight, torch.ones(2))


def test_the_state_can_be_stored_and_taken_up():
    def walk(weight, optimizer, count):
        for _ in range(count):
            weight.grad = weight.detach() * 2
            optimizer.step()

    options = {"lr": 0.1, "momentum": 0.9}
    straight = nn.Parameter(torch.ones(3))
    walk(straight, RMSpropTF([straight], **options), 6)
    broken = nn.Parameter(torch.ones(3))
    first = RMSpropTF([broken], **options)
    walk(broken, first, 3)
    second = RMSpropTF([broken], **options)
    second.load_state_dict(first.state_dict())
    walk(broken, second, 3)
    assert torch.equal(straight, broken)


def test_a_nonsense_setting_is_named():
    with pytest.raises(ValueError, match=r"decay=1\.5"):
        RMSpropTF([nn.Parameter(torch.ones(1))], decay=1.5)


def test_weight_decay_spares_biases_and_batch_normalization():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    recipe = Recipe(name="x", weight_decay=0.1)
    decayed, spared = make_optimizer(recipe, model).param_groups
    assert [p.ndim for p in decayed["params"]] == [4]
    assert decayed["weight_decay"] == 0.1 and spared["weight_decay"] == 0
    assert len(spared["params"]) == 3


def test_a_model_without_weights_is_refused():
    with pytest.raises(ValueError, match="no weight to train"):
        make_optimizer(Recipe(name="x"), nn.Flatten())
