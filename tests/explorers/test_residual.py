"""The residual explorer: its stored table, measured again, and its formulas."""

import pytest

import inception_edu as ie
from experiments import residual as experiment
from inception_edu.explorers import residual as explorer


def stored(norm, scale, depth):
    return explorer.measured()[norm, scale][depth]


@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_the_stored_numbers_are_those_of_real_blocks(norm, scale):
    """A seed that is not in the table, within the spread between seeds."""
    found = experiment.measure(experiment.stack(scale, norm, seed=7), seed=7)
    for depth in (1, 5, 10):
        ours, theirs = found[depth], stored(norm, scale, depth)
        factor = 1.1 if scale < 1 else 1.25 if norm else 2.5  # ten random factors
        assert (
            theirs.activations / factor < ours.activations < theirs.activations * factor
        )
        assert theirs.gradient / factor < ours.gradient < theirs.gradient * factor


def test_the_formula_of_the_activations_holds_for_small_scales():
    """From above: the ReLU lets a mean grow, which the formula leaves out."""
    for norm in (True, False):
        for scale in (0.05, 0.1, 0.17, 0.2):
            for depth in (5, 10, 20):
                expected = explorer.predicted(scale, norm, depth)
                assert 0.95 < stored(norm, scale, depth).activations / expected < 1.2


def test_scale_zero_is_an_identity_whose_gradient_stops_at_zeros():
    """relu(x + 0) = x for x >= 0; half of the inputs are 0 and get no gradient."""
    for depth in (1, 20):
        row = stored(True, 0.0, depth)
        assert row.activations == 1
        assert row.gradient == pytest.approx(0.5**0.5, abs=0.02)
        assert row.zeros == pytest.approx(0.5, abs=0.01)


def test_the_picture_says_what_the_table_says():
    shown = ie.explore.residual(start={"scale": 1.0, "depth": 20, "norm": False})
    row = stored(False, 1.0, 20)
    assert f"the activations are {row.activations:,.0f} times as large" in shown.summary
    assert "Predicted: 1,024, the root of (1 + scale²) to the n." in shown.svg
    shown.values = {"scale": 0.1}
    assert (
        f"the gradient {stored(False, 0.1, 20).gradient:.3g} times as large"
        in shown.summary
    )
