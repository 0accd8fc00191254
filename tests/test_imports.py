"""What an import brings along, and what it leaves out: each in a fresh process."""

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "sklearn", "pandas", "ipywidgets", "anywidget", "nbclient")
HEAVY += ("torchinfo", "torchvision", "PIL", "safetensors", "sympy", "torch._dynamo")


def loaded(code, names):
    """Which of the modules are there after `code` ran in a new interpreter."""
    code += f"\nimport sys\nprint(*[n for n in {names!r} if n in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    return run.stdout.split()


WITHOUT_TORCH = {
    "the package": "import inception_edu as ie; dir(ie)",
    "the explorers' names": (
        "import inception_edu as ie; dir(ie.explore); repr(ie.explore)"
    ),
    "the papers": (
        "import inception_edu as ie\n"
        "ie.papers.figure('going-deeper/table-1/conv1/params')"
    ),
    "SVG drawing": (
        "from inception_edu.figures import svg, theme\n"
        "svg.Drawing(9, 9).rect(0, 0, 5, 5, '1x1').svg('a square')"
    ),
}


@pytest.mark.parametrize("what", WITHOUT_TORCH)
def test_what_needs_no_torch_imports_none(what):
    assert loaded(WITHOUT_TORCH[what], ("torch", "numpy", *HEAVY)) == []


def test_frames_are_drawn_by_ipywidgets_alone():
    code = "import inception_edu.explorers.widget, inception_edu.figures.plot"
    assert loaded(code, ("torch", "matplotlib", "sklearn", "pandas")) == []


def test_networks_and_costs_bring_torch_and_nothing_else():
    code = (
        "import inception_edu as ie\nmodel = ie.create_model('mini_v4')\n"
        "repr(ie.trace(model, (1, 3, 48, 48)).by_module())"
    )
    assert loaded(code, ("torch", *HEAVY)) == ["torch"]
