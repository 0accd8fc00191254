"""What an import brings along, and what it leaves out: each in a fresh process."""

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "sklearn", "pandas", "ipywidgets", "anywidget", "nbclient")
HEAVY += ("torchinfo", "torchvision", "PIL", "safetensors", "sympy", "torch._dynamo")


WITH_TORCH = ("torch", "numpy", *HEAVY)
ABSENT = {  # code: modules that it leaves out
    "import inception_edu as ie; dir(ie); dir(ie.explore); repr(ie.explore)": (
        WITH_TORCH
    ),
    "import inception_edu as ie\n"
    "ie.papers.figure('going-deeper/table-1/conv1/params')": WITH_TORCH,
    "from inception_edu.figures import svg, theme\n"
    "svg.Drawing(9, 9).rect(0, 0, 5, 5, '1x1').svg('a square')": WITH_TORCH,
    "import inception_edu as ie; ie.predict('k', 'q?')": ("torch",),
    "import inception_edu.explorers.widget, inception_edu.figures.plot": (
        *("torch", "matplotlib", "sklearn", "pandas"),
    ),
    "import inception_edu as ie\nmodel = ie.create_model('mini_v4')\n"
    "repr(ie.trace(model, (1, 3, 48, 48)).by_module())": HEAVY,
}


@pytest.mark.parametrize("code", ABSENT)
def test_only_what_is_needed_is_imported(code):
    asked = f"import sys\nprint([n for n in {ABSENT[code]} if n in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\n{asked}"],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert run.stdout.splitlines()[-1] == "[]"
