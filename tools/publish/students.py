"""Copies for students: the series without solutions and without lecturer notes.

A copy is complete: it holds the package and the two files that `make lab` and
`pytest --nbval` need, so that one folder, or one zip, is all that is handed out.
"""

import shutil
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from nbconvert.preprocessors import TagRemovePreprocessor

from tools.notebooks import ROOT, read
from tools.publish.bundle import own_file
from tools.publish.execute import as_stored

LEFT_OUT = {"solution", "lecturer"}
NAME = "inception_edu_students"
ALONGSIDE = (
    "LICENSE",
    "docs/glossary.md",
    "tools/__init__.py",
    "tools/notebooks.py",
    "pyproject.toml",
    "environment.yml",
    "requirements.lock",
    "conftest.py",
    "tests/sanitize.cfg",
    "tests/no_network/sitecustomize.py",
)
OWN = ("README.md", "Makefile")  # the students' own, from the templates
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same bytes every time


def without(notebook, tags=LEFT_OUT):
    """The notebook without the cells that carry one of `tags`, counted anew."""
    remove = TagRemovePreprocessor(remove_cell_tags=set(tags), enabled=True)
    notebook, _ = remove(notebook, {})
    return recounted(notebook)


def recounted(notebook):
    """The notebook with its execution counts from 1 on, as one run leaves them."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    return notebook


def store(notebook, path):
    """Write a notebook as the series stores its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(as_stored(notebook))


def package_files():
    """Every file of the package, relative to the root."""
    for path in sorted((ROOT / "inception_edu").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(ROOT)


def refuse_others(target, paths):
    """Raise FileExistsError when the folder to be made anew holds anything else."""
    if not target.is_dir():
        return
    ours = {f"notebooks/{path.name}" for path in paths} | set(ALONGSIDE)
    held = (
        file.relative_to(target).as_posix()
        for file in sorted(target.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    )
    ours |= set(OWN)
    others = [n for n in held if n not in ours and not n.startswith("inception_edu/")]
    if others:
        raise FileExistsError(
            f"{target} holds {others[0]}, which making the folder anew would delete; "
            "move it away, or name another folder"
        )


def students(paths, folder):
    """The folder and the zip `inception_edu_students` in `folder`."""
    target = Path(folder) / NAME
    refuse_others(target, paths)
    copies = {path.name: without(read(path)) for path in paths}  # before the old go
    shutil.rmtree(target, ignore_errors=True)
    for name, notebook in copies.items():
        store(notebook, target / "notebooks" / name)
    present = [Path(name) for name in ALONGSIDE if (ROOT / name).is_file()]
    for name in [*present, *package_files()]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    for name in OWN:
        (target / name).write_text(own_file(f"students/{name}"), encoding="utf-8")
    archive = target.with_suffix(".zip")
    with ZipFile(archive, "w", ZIP_DEFLATED) as packed:
        for file in sorted(target.rglob("*")):
            if file.is_file():
                entry = ZipInfo(file.relative_to(target.parent).as_posix(), LONG_AGO)
                entry.external_attr = 0o100644 << 16  # readable by all
                packed.writestr(entry, file.read_bytes(), ZIP_DEFLATED)
    print(f"{target}/ and {archive}: {archive.stat().st_size / 1e6:.1f} MB")
