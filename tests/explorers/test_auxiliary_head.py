"""The auxiliary head explorer: its table against torch, its picture against it."""

import pytest
from torch import nn
from torch.nn import functional as F

import inception_edu as ie
from experiments import auxiliary_head as experiment
from inception_edu.explorers import auxiliary_head as explorer
from inception_edu.training import as_input, digits_at_scale


@pytest.fixture(scope="module")
def batch():
    """The start of the images that the table was measured on."""
    data = digits_at_scale(6000)
    images = as_input(data.test.images[: experiment.MEASURED])
    return images, data.test.labels[: experiment.MEASURED]


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_the_norm_is_that_of_the_whole_losss_gradient(batch, weight):
    """Backward through main + weight x auxiliary, in one go."""
    images, labels = (part[:16] for part in batch)
    model = experiment.build(True, "mixed_b", True, 0)
    table, _ = experiment.measure(model, images, labels)
    logits, (side,) = model(images)
    loss = F.cross_entropy(logits, labels) + weight * F.cross_entropy(side, labels)
    loss.backward()
    for stage, module in model.stages():
        if stage not in explorer.STAGES:
            continue
        square = sum(
            layer.weight.grad.double().square().sum().item()
            for layer in module.modules()
            if isinstance(layer, nn.Conv2d | nn.Linear)
        )
        assert table[stage].norm(weight) == pytest.approx(square**0.5, rel=1e-4)


@pytest.mark.parametrize("norm", [True, False])
def test_the_table_at_the_start_can_be_measured_again(batch, norm):
    """Seed 0, before any training: the file says what torch says here."""
    model = experiment.build(norm, "reduction_a", False, 0)
    table, _ = experiment.measure(model, *batch)
    for stage, stored in explorer.measured()[norm, "reduction_a", False, 0][0][
        0
    ].items():
        for weight in (0.0, 1.0):
            again = table[stage].norm(weight)
            assert stored.norm(weight) == pytest.approx(again, rel=0.02)


def test_a_head_gives_nothing_to_the_stages_above_it():
    for (_, place, _, _), seeds in explorer.measured().items():
        above = explorer.STAGES.index(place) + 1 if place != "none" else 0
        for table, _ in seeds:
            for number, stage in enumerate(explorer.STAGES):
                assert (table[stage].aux > 0) == (number < above)


def test_the_axes_hold_every_gradient():
    for (norm, *_), seeds in explorer.measured().items():
        low, high = explorer.LIMITS[norm]
        gradients = [gradient for table, _ in seeds for gradient in table.values()]
        for weight in (0, 1):
            assert all(low <= g.norm(weight) <= high for g in gradients)


def test_without_weight_the_head_changes_nothing():
    shown = ie.explore.auxiliary_head(start={"weight": 0.0})
    assert "x 1.00" in shown.svg
    assert "1.00 times" in shown.summary
    shown.values = {"weight": 1.0}
    assert "1.00 times" not in shown.summary


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_the_loss_is_said_to_be_that_of_the_stored_training(weight):
    """The slider weighs gradients; nothing was trained with its weight."""
    shown = ie.explore.auxiliary_head(start={"weight": weight})
    assert "after 200 steps with weight 0.4 the main loss is 1.63," in shown.summary
    assert "with weight 0.4, " in shown.svg
