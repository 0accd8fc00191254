"""What lessons say of their stored runs, with the test statistics they name."""

from itertools import pairwise

import pytest

from inception_edu.training import compare, results

CRITICAL_T = 2.776  # two-sided, 5 %, four degrees of freedom


def matched(model, column="accuracy", full_width=False):
    """A column of the runs at equal MACs, or as drawn, by their seeds."""
    runs = results("modules")
    chosen = runs.width == 1 if full_width else runs.matched
    return runs[(runs.model == model) & chosen].set_index("seed")[column]


def stored(network, scale=1.0, rate=0.01, epoch=-1):
    """The accuracy of the runs of lesson 7 after an epoch, by their seeds."""
    runs = results("residual_scaling")
    same = (runs.network == network) & (runs.scale == scale)
    runs = runs[same & (runs.learning_rate == rate)].set_index("seed")
    return runs.by_epoch.str.split().str[epoch].astype(float)


def paired_t(differences):
    n = len(differences)
    return differences.mean() / (differences.std() / n**0.5)


QUOTED = {
    "no kernel size is better on small digits": (
        lambda: matched("mini_3x3", "10-15") - matched("mini_5x5", "10-15"),
        *(3.7, 2.05),
    ),
    "nor on large ones": (
        lambda: matched("mini_3x3", "32-40") - matched("mini_5x5", "32-40"),
        *(-2.4, -2.50),
    ),
    "reductions beat the naive module as drawn": (
        lambda: (
            matched("mini_reduced", full_width=True)
            - matched("mini_naive", full_width=True)
        ),
        *(10.5, 3.68),
    ),
    "and at equal MACs": (
        lambda: matched("mini_reduced", full_width=True) - matched("mini_naive"),
        *(29.2, 5.48),
    ),
    "two 3x3 and one 5x5 cannot be told apart": (
        lambda: matched("mini_v2") - matched("mini_reduced"),
        *(0.5, 0.42),
    ),
    "the residual mini starts faster than v4": (
        lambda: stored("residual", 0.2, epoch=0) - stored("v4", epoch=0),
        *(32.4, 3.71),
    ),
    "and ends as well": (
        lambda: stored("residual", 0.2) - stored("v4"),
        *(0.3, 0.98),
    ),
    "the additions make it start faster": (
        lambda: stored("residual", 0.2, epoch=0) - stored("no addition", epoch=0),
        *(41.0, 4.50),
    ),
    "and end better": (
        lambda: stored("residual", 0.2) - stored("no addition"),
        *(3.6, 4.66),
    ),
}
WIDE = {  # four seeds; the limit of |t| is 3.18
    "scaling stabilizes": (
        lambda: stored("wide", 0.1, 0.3) - stored("wide", 1.0, 0.3),
        *(67.6, 11.04),
    ),
    "the addition is not what collapses": (
        lambda: stored("wide", 1.0, 0.3) - stored("wide, no addition", 1.0, 0.3),
        *(9.4, 1.09),
    ),
    "at a small rate it helps": (
        lambda: stored("wide", 1.0, 0.02) - stored("wide, no addition", 1.0, 0.02),
        *(7.0, 5.98),
    ),
}


@pytest.mark.parametrize("what", [*QUOTED, *WIDE])
def test_a_difference_and_its_t_are_those_that_a_lesson_quotes(what):
    difference, points, t = (QUOTED | WIDE)[what]
    found = difference()
    seeds, limit = (5, CRITICAL_T) if what in QUOTED else (4, 3.18)
    assert len(found.dropna()) == seeds
    assert 100 * found.mean() == pytest.approx(points, abs=0.05)
    assert paired_t(found) == pytest.approx(t, abs=0.01)
    assert (abs(t) > limit) == (abs(paired_t(found)) > limit)


def test_the_naive_network_has_not_learned_its_training_images():
    differences = matched("mini_3x3") - matched("mini_naive")
    assert round(100 * differences.mean()) == 22
    assert paired_t(differences) > CRITICAL_T
    learned = [matched(m, "train_accuracy").mean() for m in ("mini_naive", "mini_3x3")]
    assert learned[0] < 0.6 < learned[1]
    spread = 100 * matched("mini_reduced").std()  # by seeds: below two points
    assert spread == pytest.approx(1.7, abs=0.05)


def test_what_five_seeds_leave_open():
    runs = results("modules").query("matched")
    gap = compare(runs, "model", "mini_reduced", "mini_v2")
    assert [round(100 * end, 1) for end in (gap.low, gap.high)] == [-3.1, 4.1]
    spread = [100 * matched(m).std() for m in ("mini_naive", "mini_3x3", "mini_5x5")]
    assert spread == pytest.approx([10.5, 1.2, 1.7], abs=0.05)


def test_the_largest_digits_are_not_the_easiest():
    sizes = ["10-15", "16-23", "24-31", "32-40"]
    for model in ("mini_naive", "mini_3x3", "mini_5x5"):
        means = [matched(model, size).mean() for size in sizes]
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
