"""Copies for students: the series without solutions and without lecturer notes.

A copy is complete: it holds the package and the two files that `make lab` and
`pytest --nbval` need, so that one folder, or one zip, is all that is handed out.
"""

import shutil

from nbconvert.preprocessors import TagRemovePreprocessor

from tools.notebooks import ROOT, read
from tools.publish.bundle import own_file, package_files, zipped
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


def without(notebook):
    """The notebook without solutions and lecturer notes, renumbered."""
    remove = TagRemovePreprocessor(remove_cell_tags=LEFT_OUT, enabled=True)
    return recounted(remove(notebook, {})[0])


def recounted(notebook):
    """The notebook with its execution counts from 1 on, as one run leaves them."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        cell.execution_count = number
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = number
    return notebook


def contents(paths):
    """`{name: bytes}` of all that a student gets."""
    held = {f"notebooks/{path.name}": as_stored(without(read(path))) for path in paths}
    extras = [ROOT / name for name in ALONGSIDE if (ROOT / name).is_file()]
    for path in [*extras, *package_files()]:
        held[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    return held | {name: own_file(f"students/{name}").encode() for name in OWN}


def students(paths, folder):
    """The zip `inception_edu_students` in `folder`, and beside it what it holds.

    What else the folder of that name held before stays there.
    """
    named = {f"{NAME}/{name}": it for name, it in sorted(contents(paths).items())}
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{NAME}.zip"
    archive.write_bytes(zipped(named, compress=True))
    shutil.unpack_archive(archive, folder)
    print(f"{folder / NAME}/ and {archive}: {archive.stat().st_size / 1e6:.1f} MB")
