"""The types of the public names: complete, as the code has them, and checked."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import inception_edu as ie

ROOT = Path(__file__).parents[1]
STUB = ast.parse((ROOT / "inception_edu" / "__init__.pyi").read_text(encoding="utf-8"))
FUNCTIONS = {node.name: node for node in STUB.body if isinstance(node, ast.FunctionDef)}
CHECK = (sys.executable, "-m", "mypy", "--cache-dir", ".mypy_cache", "--strict")
CHECK += ("--follow-imports", "silent", "--check-untyped-defs")


def test_every_public_name_has_a_type():
    named = {name.asname or name.name for node in STUB.body for name in names_of(node)}
    assert set(ie.__all__) <= named | FUNCTIONS.keys()


def names_of(node):
    if isinstance(node, ast.AnnAssign):
        return [ast.alias(node.target.id)]
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_stub_has_the_parameters_of_the_function(name):
    arguments = FUNCTIONS[name].args
    listed = [*arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    stub = [argument.arg for argument in listed if argument]
    assert stub == list(inspect.signature(getattr(ie, name)).parameters)


def run_mypy(path):
    command = [*CHECK, "--config-file", "pyproject.toml", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")


def test_a_file_that_uses_all_names_passes_the_type_check(tmp_path):
    pytest.importorskip("mypy")
    used = run_mypy(ROOT / "tests" / "typed_usage.py")
    assert used.returncode == 0, used.stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import inception_edu as ie\nie.trace('v4', 3)\n", encoding="utf-8"
    )
    assert "incompatible type" in run_mypy(wrong).stdout
