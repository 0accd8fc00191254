"""What lessons say of their stored runs and compute in no cell."""

import pytest

from inception_edu.training import compare, results

MODULES = results("modules").assign(run=lambda table: table.model)
EQUAL = MODULES.query("matched")
RESIDUAL = results("residual_scaling")
RESIDUAL["run"] = RESIDUAL.network + RESIDUAL.scale.map(" {}".format)
MEDIUM, FAST = (RESIDUAL.query(f"learning_rate == {rate}") for rate in (0.02, 0.3))


@pytest.mark.parametrize(
    ("table", "one", "other", "value", "points", "t", "seeds"),
    [
        # no kernel size is better on small digits, nor on large ones
        (EQUAL, "mini_5x5", "mini_3x3", "10-15", 3.7, 2.05, 5),
        (EQUAL, "mini_5x5", "mini_3x3", "32-40", -2.4, -2.50, 5),
        # reductions beat the naive module
        (EQUAL, "mini_naive", "mini_reduced", "accuracy", 29.2, 5.48, 5),
        # the naive network has not learned
        (EQUAL, "mini_naive", "mini_3x3", "accuracy", 22.1, 4.45, 5),
        # scaling stabilizes, not the addition, which helps at a small rate
        (FAST, "wide 1.0", "wide 0.1", "accuracy", 67.6, 11.04, 4),
        (FAST, "wide, no addition 1.0", "wide 1.0", "accuracy", 9.4, 1.09, 4),
        (MEDIUM, "wide, no addition 1.0", "wide 1.0", "accuracy", 7.0, 5.98, 4),
    ],
)
def test_a_difference_and_its_t_are_those_that_a_lesson_quotes(
    table, one, other, value, points, t, seeds
):
    found = compare(table, "run", one, other, value)
    assert found.seeds == seeds
    assert 100 * found.mean == pytest.approx(points, abs=0.05)
    assert found.t == pytest.approx(t, abs=0.01)
    assert round(found.limit, 2) == {5: 2.78, 4: 3.18}[seeds]


def test_who_stops_after_eight_seeds_finds_an_effect_of_rmsprop():
    early = compare(results("ladder").query("seed < 8"), "rung", "baseline", "rmsprop")
    assert (round(100 * early.mean, 2), round(early.t, 2)) == (0.60, 3.95)
    assert round(early.limit, 2) == 2.36
