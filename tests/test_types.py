"""The types of the public names: complete, and checked."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import inception_edu as ie

ROOT = Path(__file__).parents[1]
USED = ROOT / "tests" / "typed_usage.py"
CHECK = (sys.executable, "-m", "mypy", "--cache-dir", ".mypy_cache", "--strict")
CHECK += ("--follow-imports", "silent", "--check-untyped-defs")


def test_every_public_name_is_used():
    called = set(re.findall(r"\bie\.(\w+)", USED.read_text(encoding="utf-8")))
    assert called == {*ie.__all__} - {*ie._ROOMS, "__version__"}


def run_mypy(path):
    command = [*CHECK, "--config-file", "pyproject.toml", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")


def test_a_file_that_uses_all_names_passes_the_type_check(tmp_path):
    pytest.importorskip("mypy")
    used = run_mypy(USED)
    assert used.returncode == 0, used.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import inception_edu as ie\nie.trace('v4', 3)\n", encoding="utf-8"
    )
    assert "incompatible type" in run_mypy(wrong).stdout
