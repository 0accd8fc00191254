"""What lessons say of their stored runs, with the test statistics they name."""

import pytest

from inception_edu.training import results

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
