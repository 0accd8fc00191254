"""The contest: fair rules, and nothing that was entered is lost."""

from dataclasses import asdict

import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.training.contest import Contest, Entry, Rules

QUICK = Rules("test", macs=300_000, images=128, epochs=1)
SCALES = {"10-15": 0.2, "16-23": 0.4, "24-31": 0.6, "32-40": 0.8}


def tiny():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 10),
    )


def entry(name="a", shares=SCALES):
    return Entry(name, 1000, 10, 0.5, dict(shares), 0, asdict(QUICK))


def test_a_design_is_trained_by_the_rules_and_kept(tmp_path):
    contest = Contest(QUICK, tmp_path)
    before = torch.get_rng_state()
    made = contest.enter("mine", tiny, progress=False)
    assert torch.equal(before, torch.get_rng_state())
    assert made.macs == 15_552 + 40  # 12 x 12 x 4 x 27 and 4 x 10
    assert set(made.by_scale) == set(SCALES)
    assert Contest(QUICK, tmp_path).entries == [made]
    assert contest.enter("mine", tiny, progress=False) == made
    assert len(contest.entries) == 1  # the same run again replaces itself
    contest.enter("mine", tiny, seed=1, progress=False)
    assert len(contest.entries) == 2
    assert "no entry yet" in str(Contest(Rules(), tmp_path))  # other rules


def test_a_design_over_budget_is_refused_before_it_is_trained(tmp_path):
    contest = Contest(QUICK, tmp_path)
    with pytest.raises(ValueError, match="times the budget of 300,000; make it"):
        contest.enter("big", lambda: ie.create_model("mini_v2"))
    with pytest.raises(ValueError, match=r"expected \(2, 10\), one value"):
        contest.enter("odd", lambda: nn.Sequential(tiny(), nn.Linear(10, 3)))
    assert contest.entries == []


def test_the_mean_over_sizes_ranks(tmp_path):
    contest = Contest(QUICK, tmp_path)
    contest.keep(entry("low"))
    contest.keep(entry("high", shares=dict.fromkeys(SCALES, 0.6)))
    assert [e.name for e in contest.entries] == ["high", "low"]
    assert contest.entries[1].score == pytest.approx(50)
    assert " 1. high" in str(contest) and "60.0" in str(contest)


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"name": "x"}', "\x00\xff"])
def test_a_damaged_file_is_left_and_hides_nothing(tmp_path, damage):
    contest = Contest(QUICK, tmp_path)
    contest.keep(entry("good"))
    path = tmp_path / "broken.json"
    path.write_text(damage, encoding="utf-8")
    with pytest.warns(UserWarning, match=r"broken\.json holds no entry"):
        assert [e.name for e in contest.entries] == ["good"]
    contest.keep(entry("next"))
    assert path.read_text(encoding="utf-8") == damage
    with pytest.warns(UserWarning, match=r"broken\.json holds no entry"):
        assert len(contest.entries) == 2


def test_without_a_disk_the_entries_last_as_long_as_the_contest(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    contest = Contest(QUICK, blocked / "contest")
    with pytest.warns(UserWarning, match="lasts until this notebook is closed"):
        contest.keep(entry())
    assert len(contest.entries) == 1
