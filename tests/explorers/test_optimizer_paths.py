"""The optimizers explorer against torch's optimizers and TensorFlow's formula."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inception_edu as ie
from inception_edu.explorers import optimizers as explorer
from inception_edu.training import RMSpropTF

PAPER = {control.name: control.value for control in explorer.CONTROLS} | {"steps": 200}
TORCH = {
    "SGD": lambda p, s: torch.optim.SGD(p, s["rate"]),
    "momentum": lambda p, s: torch.optim.SGD(p, s["rate"], momentum=s["momentum"]),
    "RMSProp (torch)": lambda p, s: torch.optim.RMSprop(
        p, s["rate"], alpha=0.9, eps=s["eps"]
    ),
    "RMSProp (TF)": lambda p, s: RMSpropTF(p, s["rate"], decay=0.9, eps=s["eps"]),
}


@pytest.mark.parametrize("name", TORCH)
@settings(max_examples=20)
@given(
    rate=st.sampled_from([0.001, 0.045, 0.45, 1.0]),
    eps=st.sampled_from([1e-8, 1e-4, 1.0]),
    inertia=st.sampled_from([0.0, 0.5, 0.9]),
    condition=st.sampled_from([1, 20, 100]),
)
def test_a_path_is_torchs(name, rate, eps, inertia, condition):
    setting = PAPER | {"steps": 40, "rate": rate, "eps": eps, "condition": condition}
    setting |= {"momentum": inertia}
    point = torch.tensor(explorer.START, dtype=torch.float64, requires_grad=True)
    curvature = torch.tensor([1 / condition, 1.0], dtype=torch.float64)
    optimizer = TORCH[name]([point], setting)
    for ours in explorer.path(name, setting):
        assert ours == pytest.approx(point.tolist(), rel=1e-6, abs=1e-6)
        optimizer.zero_grad()
        (curvature * point**2 / 2).sum().backward()
        optimizer.step()


def test_the_loss_is_told_at_the_start_and_the_end():
    shown = ie.explore.optimizers(start={"steps": 1, "condition": 1})
    assert shown.summary.startswith("Loss after 1 step (start: 45): SGD 41, ")
