"""Which files were handed in, and to which lesson they belong."""

import re
import sys
from collections import Counter
from pathlib import Path

from inception_edu.lesson.checking import check
from tools.notebooks import ROOT, tags, title

CALL = re.compile(r"\bcheck\s*\.\s*([a-z]\w*)\s*\(")
EXERCISES = {one.name: one.lesson for one in check.exercises()}


def submissions(paths):
    """`(notebooks, others)`: the paths to grade, and `{path, reason}` of the rest."""
    notebooks, others = [], []
    for path in map(Path, paths):
        if not path.exists():
            sys.exit(f"no file or folder at {path}")
        held = sorted(path.rglob("*")) if path.is_dir() else [path]
        for one in (file for file in held if not file.is_dir()):
            if any(part.startswith(".") for part in one.relative_to(path).parts):
                reason = "hidden, such as Jupyter's own checkpoints"
            elif one.suffix.lower() != ".ipynb":
                reason = "not a notebook (.ipynb)"
            else:
                notebooks.append(one)
                continue
            others.append({"path": str(one), "reason": reason})
    return notebooks, others


def calls(cell):
    """The names of the exercises that a code cell checks, in order."""
    return [name for name in CALL.findall(cell.source) if name in EXERCISES]


def code_cells(notebook):
    """`{number: code cell}`, without the cells of solutions."""
    return {
        number: cell
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code"
        and "solution" not in tags(cell)
        and "solution" not in cell.id
    }


def which_lesson(path, notebook):
    """The number of the lesson that a submission belongs to, or None.

    Known by the exercises in it, else by its title, else by its file's name.
    """
    names = {name for cell in code_cells(notebook).values() for name in calls(cell)}
    for number, _ in Counter(EXERCISES[name] for name in sorted(names)).most_common(1):
        return number
    if (ROOT / "notebooks" / path.name).is_file():
        return int(path.name[:2])
    found = re.match(r"(\d\d) · ", title(notebook))
    return int(found[1]) if found and int(found[1]) in EXERCISES.values() else None
