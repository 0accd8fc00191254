"""Which files were handed in, and to which lesson they belong."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from inception_edu.lesson.checking import check
from tools.notebooks import heading, read, tags

CALL = re.compile(r"\bcheck\s*\.\s*([a-z]\w*)\s*\(")


@dataclass(frozen=True)
class Lesson:
    """What a submission is held against: number, title, exercises in order."""

    number: int
    title: str = ""
    stem: str = ""
    exercises: tuple = ()


def submissions(paths):
    """`(notebooks, others)`: the paths to grade, and `(path, reason)` of the rest."""
    notebooks, others = [], []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"no file or folder at {path}")
        if path.is_file():
            notebooks.append(path)
            continue
        for one in sorted(file for file in path.rglob("*") if file.is_file()):
            if any(part.startswith(".") for part in one.relative_to(path).parts):
                others.append((one, "hidden, such as Jupyter's own checkpoints"))
            elif one.suffix.lower() != ".ipynb":
                others.append((one, "not a notebook (.ipynb)"))
            else:
                notebooks.append(one)
    return notebooks, others


def calls(cell):
    """The names of the exercises that a code cell checks, in order."""
    known = {one.name for one in check.exercises()}
    return [name for name in CALL.findall(cell.source) if name in known]


def code_cells(notebook):
    """Pairs of number and code cell, without the cells of solutions."""
    return [
        (number, cell)
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code"
        and "solution" not in tags(cell)
        and "solution" not in cell.id
    ]


def title(notebook):
    """The first heading of a notebook, or ""."""
    return next((found[1] for cell in notebook.cells if (found := heading(cell))), "")


def read_lessons(folder):
    """The lessons in the folder of the series, by number."""
    series = {}
    for path in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb")):
        notebook = read(path)
        names = [name for _, cell in code_cells(notebook) for name in calls(cell)]
        number = int(path.stem[:2])
        exercises = tuple(dict.fromkeys(names))
        series[number] = Lesson(number, title(notebook), path.stem, exercises)
    return series


def which_lesson(path, notebook, series):
    """The lesson that a submission belongs to, or None.

    Known by the exercises in it, else by its title, else by its file's name.
    """
    homes = {one.name: one.lesson for one in check.exercises()}
    names = {name for _, cell in code_cells(notebook) for name in calls(cell)}
    for number, _ in Counter(homes[name] for name in sorted(names)).most_common(1):
        return series.get(number)
    for lesson in series.values():
        if title(notebook) == lesson.title or path.stem == lesson.stem:
            return lesson
    return None
