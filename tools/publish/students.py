"""Copies for students: the series without solutions and without lecturer notes."""

import shutil

from nbconvert.preprocessors import TagRemovePreprocessor

from tools.notebooks import ROOT, read
from tools.publish.bundle import own_file, package_files, zipped
from tools.publish.execute import as_stored

LEFT_OUT = {"solution", "lecturer"}
NAME = "inception_edu_students"
ALONGSIDE = (  # what `make lab` and `pytest --nbval` need
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


def without(notebook):
    """The notebook without solutions and lecturer notes, renumbered."""
    remove = TagRemovePreprocessor(remove_cell_tags=LEFT_OUT, enabled=True)
    return recounted(remove(notebook, {})[0])


def recounted(notebook):
    """The notebook with its execution counts from 1 on, as one run leaves them."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        for counted in cell, *cell.outputs:
            if "execution_count" in counted:
                counted.execution_count = number
    return notebook


def students(paths, folder):
    """The zip `inception_edu_students` in `folder`, and beside it what it holds.

    What else the folder of that name held before stays there.
    """
    held = {f"notebooks/{path.name}": as_stored(without(read(path))) for path in paths}
    for path in [*(ROOT / name for name in ALONGSIDE), *package_files()]:
        held[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    for name in ("README.md", "Makefile"):  # the students' own
        held[name] = own_file(f"students/{name}").encode()
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{NAME}.zip"
    named = {f"{NAME}/{name}": content for name, content in sorted(held.items())}
    archive.write_bytes(zipped(named, compress=True))
    shutil.unpack_archive(archive, folder)
    print(f"{folder / NAME}/ and {archive}: {archive.stat().st_size / 1e6:.1f} MB")
