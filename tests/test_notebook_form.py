"""The stored notebooks are in the form that strict nbval needs."""

import json
import re
from base64 import b64encode
from io import BytesIO
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from tools.publish import check, execute, violations
from tools.publish.__main__ import main

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SLIDE = {"slideshow": {"slide_type": "slide"}}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_in_form(path):
    assert check(path) == []


def test_readme_lists_exactly_the_notebooks_that_are_there():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"\(notebooks/(\w+\.ipynb)\)", readme)
    assert sorted(set(listed)) == [path.name for path in NOTEBOOKS]


# --- each rule refuses a notebook that breaks it ------------------------------


def code(source, ident, *outputs, tags=(), count=1, **jupyter):
    metadata = {**SLIDE, "tags": list(tags), "jupyter": jupyter}
    made = new_code_cell(source, id=ident, metadata=metadata, outputs=list(outputs))
    made.execution_count = count
    return made


def text(source, ident, tags=(), **metadata):
    metadata = {**SLIDE, "tags": list(tags), **metadata}
    return new_markdown_cell(source, id=ident, metadata=metadata)


def notebook(*cells, **metadata):
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    made = new_notebook(metadata=kernel | metadata)
    made.cells = list(cells)  # afterwards, since new_notebook mends the ids
    return made


def printed(words, name="stdout"):
    return notebook(code("1", "one", new_output("stream", name=name, text=words)))


def shown(text_html, **data):
    data = {kind.replace("_", "/"): value for kind, value in data.items()}
    output = new_output("display_data", data={"text/html": text_html} | data)
    return notebook(code("1", "one", output))


def picture(kilobytes):
    Image.new("RGB", (1, 1)).save(content := BytesIO(), "png")
    data = b64encode(content.getvalue().ljust(kilobytes * 1000)).decode()
    page = f'<img alt="a map" src="data:image/png;base64,{data}">'
    return shown(page, text_plain="Map\n  two roads")


def solution(*outputs, heading_tags=("solution",), hidden=True):
    folded = {"jp-MarkdownHeadingCollapsed": True}
    return notebook(
        text("### Build", "build"),
        text("#### Solution", "build-answer", heading_tags, **folded),
        code("1", "build-code", *outputs, tags=["solution"], source_hidden=hidden),
        text("<details>\nSolution: 2\n</details>", "why-solution", ["solution"]),
        text("### Measure", "measure"),
    )


ERROR = new_output("error", ename="ValueError", evalue="no", traceback=[])
TEN = [code("1", f"c-{n}", count=n) for n in range(1, 11)]
REASON = "# Not compared: seconds"
IGNORED = ["nbval-ignore-output"]

GOOD = {
    "solution": solution(),
    "expected error": notebook(code("1", "one", ERROR, tags=["raises-exception"])),
    "progress bar": printed("0/6 [00:00<?, ?it/s]"),
    "one in ten ignored": notebook(code(REASON, "c-0", tags=IGNORED), *TEN[1:]),
    "web address": notebook(text("[x](https://x.org/home/y/z)", "link")),
    "list": notebook(text("Two:\n\n1. one\n2. two\n\nin\n2 parts.", "one")),
    "longest cell": notebook(code("\n".join(["x" * 78] * 25), "one")),
    "picture of 60 KB": picture(60),
}

# Words of the refusal: what is refused.
BAD = {
    "execution count None": notebook(code("1", "one", count=None)),
    "execution count 2": notebook(code("1", "one", count=2)),
    "stored error ValueError": notebook(code("1", "one", ERROR)),
    "stored stderr": printed("hm", "stderr"),
    "not readable": notebook(text("hello", "a1b2c3d4")),
    "id 'one' is used twice": notebook(text("a", "one"), text("b", "one")),
    "timestamp '2026-01-31 12:00'": printed("2026-01-31 12:00"),
    "absolute path '/home/me/x'": printed("saved /home/me/x"),
    "absolute path 'C:": notebook(code(r"'C:\Users\me\x'", "one")),
    "picture of 61 KB": picture(61),
    "picture that does not open": shown(
        '<img alt="a map" src="data:image/png;base64,iVBORw0KGgo=">'
    ),
    "without alt text": notebook(text("![](map.png)", "map")),
    "without a text twin": shown('<img alt="a map">', text_plain="<Figure>"),
    "begins like a list": notebook(text("as in lesson\n01. The rest", "one")),
    "26 lines": notebook(code("\n".join("x" * 26), "one")),
    "79 columns": notebook(code("x" * 79, "one")),
    "ignored without a reason": notebook(code("1", "c-0", tags=IGNORED), *TEN[1:]),
    "output ignored": notebook(code("# NBVAL_SKIP", "c-0"), *TEN[1:]),
    "1 of 1 outputs are ignored": notebook(code(REASON, "one", tags=IGNORED)),
    "slide_type None": notebook(new_markdown_cell("a", id="one")),
    "slide_type must be 'notes'": notebook(text("a", "one", ["lecturer"])),
    "hide its source": solution(hidden=False),
    "tells its result": solution(new_output("stream", text="2")),
    "tag it 'solution'": solution(heading_tags=()),
    "'measure' is folded into a solution": notebook(
        *solution().cells[:-1], text("Measure.", "measure")
    ),
    "put it into <details>": notebook(text("It is 2.", "one", ["solution"])),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_form_is_accepted(case):
    assert list(violations(GOOD[case])) == []


@pytest.mark.parametrize("words", BAD)
def test_bad_form_is_refused_in_words(words):
    assert any(words in sentence for sentence in violations(BAD[words]))


def test_large_file_is_refused(tmp_path):
    path = tmp_path / "large.ipynb"
    nbformat.write(notebook(text("x" * 301_000, "one")), path)
    assert any("at most 300" in sentence for sentence in check(path))


@pytest.mark.parametrize(
    "made",
    [
        notebook(text("a", "one"), widgets={}),
        notebook(text("a", "one", execution={"iopub.status.idle": "2026"})),
    ],
    ids=["widget state", "times"],
)
def test_what_an_editor_left_behind_is_refused(tmp_path, made):
    path = tmp_path / "mine.ipynb"
    nbformat.write(made, path)
    assert check(path) == ["metadata or format of another editor; run `make notebooks`"]


def test_check_command_names_the_cell_and_fails(tmp_path, capsys):
    path = tmp_path / "bad.ipynb"
    twice = nbformat.v4.writes(BAD["id 'one' is used twice"])  # write() mends ids
    path.write_text(twice, encoding="utf-8")
    assert main(["check", str(path)]) == 1
    assert "cell id 'one' is used twice; ids name one cell" in capsys.readouterr().out


# --- execute stores the same bytes every time -----------------------------------


LESSON = """
import os, sys, time
import matplotlib, ipywidgets
print("a", end="", flush=True); time.sleep(0.05); print("b")
print(os.environ["PYTHONHASHSEED"], repr(os.environ["CUDA_VISIBLE_DEVICES"]))
print(matplotlib.get_backend())
for step in range(3): print(f"\\rstep {step}", end="", flush=True)
display(ipywidgets.IntSlider())
ipywidgets.IntSlider()
""".strip()


def kernels():
    return set(psutil.Process().children(recursive=True))


def written(folder, source, tags=()):
    path = folder / "lesson.ipynb"
    cell = new_code_cell(source, id="only", metadata={**SLIDE, "tags": list(tags)})
    cell.metadata.execution = {"iopub.status.idle": "2026-01-31T12:00:00"}
    nbformat.write(new_notebook(cells=[cell]), path)
    return path


def test_execute_twice_gives_the_same_bytes_in_form(tmp_path):
    path, before = written(tmp_path, LESSON), kernels()
    assert execute(path) == ([], True)
    assert kernels() <= before
    first = path.read_bytes()
    assert execute(path) == ([], False)
    assert path.read_bytes() == first
    assert check(path) == []
    assert [file.name for file in tmp_path.iterdir()] == ["lesson.ipynb"]

    backend = "module://matplotlib_inline.backend_inline"
    stream, *views = nbformat.read(path, 4).cells[0].outputs
    assert stream.text.splitlines() == ["ab", "0 ''", backend, "step 2"]
    models = [v.data["application/vnd.jupyter.widget-view+json"] for v in views]
    assert [model["model_id"][-1] for model in models] == ["1", "2"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("raise ValueError('no')", "raised ValueError: no"),
        ("import sys; print('hm', file=sys.stderr)", "wrote to stderr: hm"),
        ("import time; time.sleep(60)", "took more than its 2 s"),
    ],
)
def test_execute_leaves_a_failing_notebook_alone(tmp_path, source, problem):
    path = written(tmp_path, source)
    before = path.read_bytes()
    problems, changed = execute(path, timeout=2)
    assert f"cell 'only' {problem}" in problems[0]
    assert not changed
    assert path.read_bytes() == before


def test_execute_stores_an_expected_error(tmp_path):
    path = written(tmp_path, "raise ValueError('no')", tags=["raises-exception"])
    assert execute(path) == ([], True)
    assert nbformat.read(path, 4).cells[0].outputs[0].ename == "ValueError"


def test_execute_command_says_which_notebook_is_missing(tmp_path):
    with pytest.raises(SystemExit, match="no notebook at"):
        main(["execute", str(tmp_path / "*.ipynb")])


# --- files that are no notebooks ----------------------------------------------

BROKEN = {
    "no JSON": b"<html>404</html>",
    "no UTF-8": b"\xff\xfe",
    "brackets without end": b"[" * 100_000,
    "a cell of text": b'{"nbformat": 4, "nbformat_minor": 5, "cells": ["x"]}',
}
ODD = {
    "of Colab": ({}, 0),
    "with null fields": ({"id": None, "metadata": {"tags": None}}, 5),
    "without metadata": ({"metadata": None}, 5),
}


@pytest.mark.parametrize(("fields", "minor"), ODD.values(), ids=ODD)
def test_odd_notebooks_are_stored_and_handed_out_in_form(tmp_path, fields, minor):
    """Also with the byte order mark of Windows editors."""
    path = tmp_path / "09_mine.ipynb"
    title = {"cell_type": "markdown", "metadata": {"id": "a1"}, "source": "# Mine"}
    cell = {"cell_type": "code", "metadata": {}, "source": "print(1 + 1)"}
    cell |= {"outputs": [], "execution_count": None} | fields
    raw = {"cells": [title, cell], "metadata": {"colab": {}}}
    raw |= {"nbformat": 4, "nbformat_minor": minor}
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(raw).encode())
    assert main(["students", str(path), "--to", str(tmp_path / "site")]) == 0
    assert execute(path) == ([], True)
    found = check(path)
    assert all("slide_type" in sentence for sentence in found), found


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_notebook_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "mine.ipynb"
    path.write_bytes(content)
    with pytest.raises(SystemExit, match=r"mine\.ipynb cannot be read as a") as refused:
        main(["students", str(path), "--to", str(tmp_path / "site")])
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == content
    assert [found.name for found in tmp_path.iterdir()] == ["mine.ipynb"]
