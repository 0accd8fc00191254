"""What lessons say of their stored runs, with the test statistics they name."""

from itertools import pairwise

import pytest

from inception_edu.training import compare, results

CRITICAL_T = 2.776  # two-sided, 5 %, four degrees of freedom


def matched(model, full_width=False):
    runs = results("modules")
    chosen = runs.width == 1 if full_width else runs.matched
    runs = runs[(runs.model == model) & chosen]
    return runs.sort_values("seed").reset_index()


def paired_t(differences):
    n = len(differences)
    return differences.mean() / (differences.std() / n**0.5)


@pytest.mark.parametrize(
    ("scale", "points", "t"), [("10-15", 3.7, 2.05), ("32-40", -2.4, -2.50)]
)
def test_no_kernel_size_is_significantly_better_on_any_size(scale, points, t):
    differences = matched("mini_3x3")[scale] - matched("mini_5x5")[scale]
    assert len(differences) == 5
    assert 100 * differences.mean() == pytest.approx(points, abs=0.05)
    assert paired_t(differences) == pytest.approx(t, abs=0.01)
    assert abs(paired_t(differences)) < CRITICAL_T


def test_the_naive_network_has_not_learned_its_training_images():
    naive, best = matched("mini_naive"), matched("mini_3x3")
    differences = best.accuracy - naive.accuracy
    assert round(100 * differences.mean()) == 22
    assert paired_t(differences) > CRITICAL_T
    assert naive.train_accuracy.mean() < 0.6 < best.train_accuracy.mean()


@pytest.mark.parametrize(
    ("full_width", "points", "t"), [(True, 10.5, 3.68), (False, 29.2, 5.48)]
)
def test_reductions_beat_the_naive_module_significantly(full_width, points, t):
    reduced = matched("mini_reduced", full_width=True)
    differences = reduced.accuracy - matched("mini_naive", full_width).accuracy
    assert 100 * differences.mean() == pytest.approx(points, abs=0.05)
    assert paired_t(differences) == pytest.approx(t, abs=0.01)
    assert t > CRITICAL_T


def test_two_3x3_and_one_5x5_cannot_be_told_apart():
    differences = matched("mini_v2").accuracy - matched("mini_reduced").accuracy
    assert len(differences) == 5
    assert 100 * differences.mean() == pytest.approx(0.5, abs=0.05)
    assert paired_t(differences) == pytest.approx(0.42, abs=0.01)


def test_seeds_of_mini_reduced_vary_by_less_than_two_points():
    spread = 100 * matched("mini_reduced").accuracy.std()
    assert spread == pytest.approx(1.7, abs=0.05)


def stored(network, scale=1.0, rate=0.01):
    runs = results("residual_scaling")
    same = (runs.network == network) & (runs.scale == scale)
    runs = runs[same & (runs.learning_rate == rate)].sort_values("seed")
    return runs.reset_index()


@pytest.mark.parametrize(
    ("rate", "first", "second", "points", "t"),
    [
        (0.3, ("wide", 0.1), ("wide", 1.0), 67.6, 11.04),
        (0.3, ("wide", 1.0), ("wide, no addition", 1.0), 9.4, 1.09),
        (0.02, ("wide", 1.0), ("wide, no addition", 1.0), 7.0, 5.98),
    ],
)
def test_scaling_stabilizes_and_the_addition_is_not_what_collapses(
    rate, first, second, points, t
):
    """Four seeds; the limit of |t| is 3.18."""
    a, b = (stored(*name, rate=rate).accuracy for name in (first, second))
    assert len(a) == len(b) == 4
    assert 100 * (a - b).mean() == pytest.approx(points, abs=0.1)
    assert paired_t(a - b) == pytest.approx(t, abs=0.01)


@pytest.mark.parametrize(
    ("other", "epoch", "points", "t"),
    [
        ("v4", 0, 32.4, 3.71),
        ("v4", 2, 0.3, 0.98),
        ("no addition", 0, 41.0, 4.50),
        ("no addition", 2, 3.6, 4.66),
    ],
)
def test_the_residual_mini_starts_faster(other, epoch, points, t):
    def after(network, **where):
        return stored(network, **where).by_epoch.str.split().str[epoch].astype(float)

    gaps = after("residual", scale=0.2) - after(other)
    assert len(gaps) == 5
    assert 100 * gaps.mean() == pytest.approx(points, abs=0.05)
    assert paired_t(gaps) == pytest.approx(t, abs=0.01)
    assert (t > CRITICAL_T) == (abs(paired_t(gaps)) > CRITICAL_T)


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
    assert round(control.mean, 1) == -0.9
    assert round(control.t, 2) == -3.38


def test_who_stops_after_eight_seeds_finds_an_effect_of_rmsprop():
    early, all_of_them = ladder(*LADDER[:2], seeds=8), ladder(*LADDER[:2])
    assert (round(early.mean, 2), round(early.t, 2)) == (0.60, 3.95)
    assert round(early.limit, 2) == 2.36
    assert (round(all_of_them.mean, 2), round(all_of_them.t, 2)) == (0.24, 1.43)
