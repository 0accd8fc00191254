"""What an import brings along, and what it leaves out: each in a fresh process."""

import subprocess
import sys

import pytest

HEAVY = ("matplotlib", "sklearn", "pandas", "ipywidgets", "anywidget", "nbclient")
HEAVY += ("torchinfo", "torchvision", "PIL", "safetensors", "sympy", "torch._dynamo")
HEAVY += ("torch.utils.flop_counter",)  # with CUDA it brings triton


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
    "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
    "known = Shell.instance().display_formatter.mimebundle_formatter\n"
    "import inception_edu\n"
    "assert ('matplotlib.figure', 'Figure') in known.deferred_printers": HEAVY,
    "import inception_edu.explorers.widget, inception_edu.figures.plot": (
        *("torch", "matplotlib", "sklearn", "pandas"),
    ),
    "import inception_edu as ie\nmodel = ie.create_model('mini_v4')\n"
    "repr(ie.trace(model, (1, 3, 48, 48)).by_module())": HEAVY,
}


def last_line(code):
    """What this code prints last."""
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, encoding="utf-8").splitlines()[-1]


@pytest.mark.parametrize("code", ABSENT)
def test_only_what_is_needed_is_imported(code):
    asked = f"import sys\nprint([n for n in {ABSENT[code]} if n in sys.modules])"
    assert last_line(f"{code}\n{asked}") == "[]"


def test_a_public_name_is_no_file_whatever_was_imported_first():
    """A file of a function's name would take its place once it is imported."""
    code = """
import inception_edu as ie, pkgutil, types
homes = {ie.figures, ie.networks, ie.cost, ie.training, ie.lesson, ie.papers}
for home in homes:
    for file in pkgutil.iter_modules(home.__path__, home.__name__ + "."):
        __import__(file.name)
places = [(ie, set(ie.__all__) - set(ie._ROOMS) - {"recipes"})]
places += [(home, set(home.__all__) - {"recipes"}) for home in homes]
print([n for home, names in places for n in names
       if isinstance(getattr(home, n), types.ModuleType)])
"""
    assert last_line(code) == "[]"
