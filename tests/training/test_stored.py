"""Comparing runs in pairs over their seeds, by hand."""

import pandas
import pytest

from inception_edu.training import compare


def test_a_paired_t_by_hand():
    """Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3); t tables: 4.303."""
    runs = pandas.DataFrame({"kind": [*"aaaabbb"], "seed": [0, 1, 2, 3, 0, 1, 2]})
    runs["accuracy"] = [10, 20, 30, 99, 11, 22, 33]
    found = compare(runs, "kind", "a", "b")
    error = 3**-0.5
    assert found.seeds == 3 and found.mean == 2
    assert found.t == pytest.approx(2 / error)
    assert found.limit == pytest.approx(4.303, abs=1e-3)
    assert found.low == pytest.approx(2 - 4.303 * error, abs=1e-3)
    assert found.high == pytest.approx(2 + 4.303 * error, abs=1e-3)
    assert found.detectable == pytest.approx((4.303 + 1.061) * error, abs=1e-3)
