"""What lessons say of their stored runs, with the test statistics they name."""

from itertools import pairwise

import pytest

from inception_edu.training import compare, results

MODULES = results("modules").assign(run=lambda table: table.model)
EQUAL, DRAWN = MODULES.query("matched"), MODULES.query("width == 1")
RESIDUAL = results("residual_scaling")
RESIDUAL["run"] = RESIDUAL.network + RESIDUAL.scale.map(" {}".format)
RESIDUAL["first"] = RESIDUAL.by_epoch.str.split().str[0].astype(float)
SLOW, MEDIUM, FAST = (
    RESIDUAL.query(f"learning_rate == {r}") for r in (0.01, 0.02, 0.3)
)


@pytest.mark.parametrize(
    ("table", "one", "other", "value", "points", "t", "seeds"),
    [
        # no kernel size is better on small digits, nor on large ones
        (EQUAL, "mini_5x5", "mini_3x3", "10-15", 3.7, 2.05, 5),
        (EQUAL, "mini_5x5", "mini_3x3", "32-40", -2.4, -2.50, 5),
        # reductions beat the naive module, as drawn and at equal MACs
        (DRAWN, "mini_naive", "mini_reduced", "accuracy", 10.5, 3.68, 5),
        (EQUAL, "mini_naive", "mini_reduced", "accuracy", 29.2, 5.48, 5),
        # the naive network has not learned
        (EQUAL, "mini_naive", "mini_3x3", "accuracy", 22.1, 4.45, 5),
        # two 3x3 and one 5x5 cannot be told apart
        (EQUAL, "mini_reduced", "mini_v2", "accuracy", 0.5, 0.42, 5),
        # the residual mini starts faster than v4, and ends as well
        (SLOW, "v4 1.0", "residual 0.2", "first", 32.4, 3.71, 5),
        (SLOW, "v4 1.0", "residual 0.2", "accuracy", 0.3, 0.98, 5),
        # the additions make it start faster, and end better
        (SLOW, "no addition 1.0", "residual 0.2", "first", 41.0, 4.50, 5),
        (SLOW, "no addition 1.0", "residual 0.2", "accuracy", 3.6, 4.66, 5),
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


def equal(model, column="accuracy"):
    """A column of the runs at equal MACs."""
    return EQUAL[EQUAL.model == model][column]


def test_what_five_seeds_leave_open():
    learned = [equal(m, "train_accuracy").mean() for m in ("mini_naive", "mini_3x3")]
    assert learned[0] < 0.6 < learned[1]
    gap = compare(EQUAL, "model", "mini_reduced", "mini_v2")
    assert [round(100 * end, 1) for end in (gap.low, gap.high)] == [-3.1, 4.1]
    spread = {"mini_naive": 10.5, "mini_3x3": 1.2, "mini_5x5": 1.7, "mini_reduced": 1.7}
    for model, points in spread.items():
        assert 100 * equal(model).std() == pytest.approx(points, abs=0.05)


def test_the_largest_digits_are_not_the_easiest():
    sizes = ["10-15", "16-23", "24-31", "32-40"]
    for model in ("mini_naive", "mini_3x3", "mini_5x5"):
        means = [equal(model, size).mean() for size in sizes]
        assert max(means) == means[2]


LADDER = ("baseline", "rmsprop", "label_smoothing", "factorized_stem", "bn_aux")


def ladder(one, other, seeds=16):
    runs = results("ladder")
    runs = runs[runs.seed < seeds].assign(percent=lambda r: 100 * r.accuracy)
    return compare(runs, "rung", one, other, "percent")


def test_no_step_of_table_3_shows_on_digits_and_the_control_does():
    for before, after in pairwise(LADDER):
        gain = ladder(before, after)
        assert gain.seeds == 16
        assert abs(gain.t) < gain.limit
        assert max(abs(gain.low), abs(gain.high)) < 0.65
    control = ladder("baseline", "fewer images")
    assert (round(control.mean, 1), round(control.t, 2)) == (-0.9, -3.38)
    assert control.high < 0


def test_who_stops_after_eight_seeds_finds_an_effect_of_rmsprop():
    early, all_of_them = ladder(*LADDER[:2], seeds=8), ladder(*LADDER[:2])
    assert (round(early.mean, 2), round(early.t, 2)) == (0.60, 3.95)
    assert round(early.limit, 2) == 2.36
    assert (round(all_of_them.mean, 2), round(all_of_them.t, 2)) == (0.24, 1.43)
    assert all_of_them.detectable < 1  # point
