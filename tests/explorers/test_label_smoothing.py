"""The label smoothing explorer against torch, and against the paper's arithmetic."""

import re
from math import inf, log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import inception_edu as ie
from inception_edu.explorers import label_smoothing as explorer

EPS = explorer.CONTROLS[1].values
STATES = st.tuples(
    st.sampled_from([10, 1000]), st.sampled_from(EPS), st.floats(-4.0, 16.0)
)


@settings(max_examples=60)
@given(state=STATES)
def test_loss_and_gradient_are_torchs(state):
    classes, eps, gap = state
    logits = torch.zeros(1, classes, dtype=torch.float64)
    logits[0, 3] = gap
    logits.requires_grad_()
    loss = F.cross_entropy(logits, torch.tensor([3]), label_smoothing=eps)
    loss.backward()
    assert explorer.loss(classes, eps, gap) == pytest.approx(loss.item(), abs=1e-9)
    assert loss.item() >= explorer.floor(classes, eps) - 1e-12
    wanted = explorer.target(classes, eps)
    said = explorer.softmax(classes, gap)
    assert said.true - wanted.true == pytest.approx(logits.grad[0, 3].item(), abs=1e-9)
    assert said.other - wanted.other == pytest.approx(
        logits.grad[0, 0].item(), abs=1e-9
    )


# Rethinking, section 7: eps = 0.1; by hand for K = 1000 and K = 10.
@pytest.mark.parametrize(
    ("classes", "true", "other", "floor", "gap"),
    [(1000, 0.9001, 0.0001, 1.01485, 9.1051), (10, 0.91, 0.01, 0.50029, 4.5109)],
)
def test_the_papers_eps(classes, true, other, floor, gap):
    """eps / K goes to the true class too, and the loss cannot reach zero."""
    wanted = explorer.target(classes, 0.1)
    assert (wanted.true, wanted.other) == pytest.approx((true, other))
    assert explorer.floor(classes, 0.1) == pytest.approx(floor, abs=5e-6)
    assert explorer.best_gap(classes, 0.1) == pytest.approx(gap, abs=5e-5)
    at_best = explorer.loss(classes, 0.1, log(true / other))
    assert at_best == pytest.approx(floor, abs=5e-6)
    shown = ie.explore.label_smoothing(start={"classes": classes})
    assert f"its minimum is {floor:.3f}, at a gap of {gap:.3f}." in shown.summary
    assert f"minimum {floor:.3f} at {gap:.2f}" in shown.svg


def test_without_smoothing_there_is_no_floor():
    assert explorer.floor(10, 0.0) == 0
    assert explorer.best_gap(10, 0.0) == inf
    shown = ie.explore.label_smoothing(start={"eps": 0.0})
    assert "falls towards 0" in shown.summary
    assert "minimum" not in shown.svg


def test_the_legend_stands_still_while_eps_moves():
    """Its samples would leave an outline across its words."""
    ways = [
        re.findall(r'd="(M [^"]*? 187 L [^"]*? 187)"', shown.svg)
        for shown in (ie.explore.label_smoothing(start={"eps": eps}) for eps in EPS)
    ]
    assert len(ways[0]) == 2
    assert all(way == ways[0] for way in ways)
