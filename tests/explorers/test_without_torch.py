"""Explorers that a page can draw: no torch, no numpy, no notebook widgets."""

import subprocess
import sys

import pytest

from inception_edu.explorers import NAMES

CODE = """
import sys
from itertools import islice, product
for absent in sys.argv[2:]:
    sys.modules[absent] = None
from inception_edu.explorers import description
from inception_edu.explorers.panel import Panel
panel = Panel(**description(sys.argv[1]))
for state in islice(product(*panel.sweep.values()), 20):
    panel.values = dict(zip(panel.sweep, state))
    assert panel.svg.startswith("<svg")
"""
ABSENT = ("torch", "torchvision", "numpy", "pandas", "sklearn", "PIL", "anywidget")


@pytest.mark.parametrize("name", sorted({*NAMES} - {"feature_maps"}))
def test_an_explorer_draws_where_there_is_only_python(name):
    command = [sys.executable, "-c", CODE, name, *ABSENT]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
