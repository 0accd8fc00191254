"""No file and no pipe of ours depends on the encoding that a system prefers."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("inception_edu", "tools", "experiments", "benchmarks", "tests", "docs")
OTHERS = ("Image", "gzip", "firefox")  # their open() is another
PIPES = {"text", "universal_newlines"}  # of subprocess


def takes_the_default(call):
    """Whether a call reads or writes text in the encoding of the system."""
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in named or None in named:
        return False
    owner, name = getattr(call.func, "value", None), ast.unparse(call.func)
    name = name.rpartition(".")[2]
    if name == "read_text":
        return not call.args
    if name == "write_text":
        return len(call.args) < 2
    if name == "open" and ast.unparse(owner or call).split(".")[0] not in OTHERS:
        place = 0 if isinstance(call.func, ast.Attribute) else 1
        modes = [*call.args[place:], named.get("mode", ast.Constant("r"))]
        return "b" not in str(getattr(modes[0], "value", ""))
    return "True" in {ast.unparse(named[n]) for n in PIPES & named.keys()}


def test_every_text_file_and_pipe_names_its_encoding():
    found = []
    for path in [p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and takes_the_default(node):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []
