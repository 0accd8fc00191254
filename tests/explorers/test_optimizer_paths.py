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
        p, s["rate"], alpha=0.9, eps=s["eps"], momentum=s["rms_momentum"]
    ),
    "RMSProp (TF)": lambda p, s: RMSpropTF(
        p, s["rate"], decay=0.9, eps=s["eps"], momentum=s["rms_momentum"]
    ),
}


@pytest.mark.parametrize("name", TORCH)
@settings(max_examples=20, deadline=None)
@given(
    rate=st.sampled_from([0.001, 0.045, 0.45, 1.0]),
    eps=st.sampled_from([1e-8, 1e-4, 1.0]),
    inertia=st.sampled_from([0.0, 0.5, 0.9]),
    condition=st.sampled_from([1, 20, 100]),
)
def test_a_path_is_torchs(name, rate, eps, inertia, condition):
    setting = PAPER | {"steps": 40, "rate": rate, "eps": eps, "condition": condition}
    setting |= {"momentum": inertia, "rms_momentum": inertia}
    point = torch.tensor(explorer.START, dtype=torch.float64, requires_grad=True)
    curvature = torch.tensor([1 / condition, 1.0], dtype=torch.float64)
    optimizer = TORCH[name]([point], setting)
    for ours in explorer.path(name, setting):
        assert ours == pytest.approx(point.tolist(), rel=1e-6, abs=1e-6)
        optimizer.zero_grad()
        (curvature * point**2 / 2).sum().backward()
        optimizer.step()


def test_tensorflows_formula_by_hand():
    """Three steps under gradients 1, 2, -1: decay 0.9, eps 1, momentum 0.5, rate 1."""
    setting = {"rate": 1.0, "eps": 1.0, "rms_momentum": 0.5}
    update = explorer.optimizer("RMSProp (TF)", setting)
    # ms: 1, then .9 + .1 * 4 = 1.3, then 1.17 + .1 = 1.27
    first = 1 / 2**0.5
    second = 0.5 * first + 2 / 2.3**0.5
    third = 0.5 * second - 1 / 2.27**0.5
    assert [update(g) for g in (1, 2, -1)] == pytest.approx([first, second, third])


# Rate .045, decay .9, no momentum: measured with torch's optimizers and with the
# formula of TensorFlow's ApplyRMSProp; at g = 1 that is .045 / sqrt(2).
@pytest.mark.parametrize(
    ("name", "eps", "gradient", "first", "last"),
    [
        ("RMSProp (TF)", 1.0, 0.01, 0.000326, 0.000450),
        ("RMSProp (TF)", 1.0, 1, 0.03182, 0.03182),
        ("RMSProp (TF)", 1.0, 10, 0.1304, 0.0448),
        ("RMSProp (torch)", 1.0, 10, 0.1081, 0.0409),
        ("RMSProp (torch)", 1e-8, 0.01, 0.1423, 0.0450),
        ("SGD", 1.0, 10, 0.45, 0.45),
    ],
)
def test_the_table_of_step_sizes(name, eps, gradient, first, last):
    update = explorer.optimizer(name, PAPER | {"eps": eps})
    sizes = [update(gradient) for _ in range(200)]
    assert (sizes[0], sizes[-1]) == pytest.approx((first, last), rel=2e-3)
    shown = ie.explore.optimizers(start={"eps": eps, "rate": 0.045})
    assert f">{sizes[0]:.4g}<" in shown.svg
    assert f">{sizes[-1]:.4g}<" in shown.svg


def test_plain_descent_diverges_beyond_twice_the_inverse_of_the_steepest():
    """The steepest curvature is 1, so 2 is the edge."""
    for rate, grows in ((1.9, False), (2.1, True)):
        path = explorer.path("SGD", PAPER | {"rate": rate})
        assert (abs(path[-1][1]) > abs(path[0][1])) == grows


def test_one_optimizer_alone():
    shown = ie.explore.optimizers(start={"show": "SGD", "steps": 1, "condition": 1})
    assert shown.summary == "Loss after 1 step (start: 45): SGD 41."
