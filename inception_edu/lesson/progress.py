"""What the reader has done: exercises, predictions and quiz answers of all lessons.

Everything is kept in one small JSON file of the reader's own, nothing leaves the
machine. INCEPTION_EDU_PROGRESS names another file; "off" keeps it in memory only.
"""

import json
import os
import re
from contextlib import suppress
from html import escape
from pathlib import Path

from inception_edu.files import atomic_write

PARTS = ("exercises", "predictions", "quizzes")
_memory = {}


def file():
    """The `Path` of the reader's progress, None where nothing is to be kept."""
    chosen = os.environ.get("INCEPTION_EDU_PROGRESS", "")
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen).expanduser()
    from inception_edu.training.cache import user_data_folder

    return user_data_folder() / "progress.json"


def read():
    """Everything saved: `{part: {key: entry}}`; a damaged file counts as empty."""
    path, stored = file(), _memory
    if path is not None:
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            stored = {}
    return {part: stored.get(part, {}) for part in PARTS}


def save(part, key, **values):
    """Add `values` to the entry `key` of a part, and count a try.

    A lesson must work where nothing can be written, so an OSError is ignored.
    """
    everything, path = read(), file()
    entry = everything[part].get(key, {"tries": 0})
    everything[part][key] = {**entry, **values, "tries": entry["tries"] + 1}
    if path is None:
        _memory.update(everything)
        return
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part_file:
            part_file.write_text(json.dumps(everything, indent=1), encoding="utf-8")


class Progress:
    """The reader's progress as a table, one row a lesson; see `progress`."""

    def __init__(self):
        self.path, self.entries = file(), read()

    def rows(self):
        """`(lesson, exercises, of, predictions, quiz answers, of)` of each lesson."""
        from inception_edu.lesson.checking import check
        from inception_edu.lesson.quiz import questions

        exercises = {one.name: one.lesson for one in check.exercises()}
        asked = {key: lesson_of(key) for key in questions()}
        done, answered = self.entries["exercises"], self.entries["quizzes"]
        groups = (
            [exercises.get(name) for name, one in done.items() if one["passed"]],
            [*exercises.values()],
            [lesson_of(key) for key in self.entries["predictions"]],
            [asked.get(key) for key, one in answered.items() if one["right"]],
            [*asked.values()],
        )
        lessons = sorted({*exercises.values(), *asked.values()})
        return [(n, *(group.count(n) for group in groups)) for n in lessons]

    def where(self):
        """Where the record is kept, how to delete it and how to hand it in."""
        if self.path is None:
            return "Kept in this kernel only: INCEPTION_EDU_PROGRESS is off."
        return (
            f"Kept in {self.path}. To start again, delete that file; to hand it in, "
            "copy it: it holds what you see here and your answers, nothing else."
        )

    def __repr__(self):
        lines = ["lesson   exercises   predictions   quiz"]
        lines += [
            f"{lesson:>6}   {f'{done} of {of}':>9}   {predicted:>11}   "
            f"{right} of {asked}"
            for lesson, done, of, predicted, right, asked in self.rows()
        ]
        return "\n".join([*lines, self.where()])

    def _repr_html_(self):
        header = "<tr><th>lesson<th>exercises<th>predictions<th>quiz</tr>"
        rows = "".join(
            f"<tr><td>{lesson:02}<td>{bar(done, of)}<td>{predicted}"
            f"<td>{bar(right, asked)}</tr>"
            for lesson, done, of, predicted, right, asked in self.rows()
        )
        note = f"<p><small>{escape(self.where())}</small></p>"
        return f"<table class='ie-progress'>{header}{rows}</table>{note}"


def bar(done, of):
    """`done` of `of` as a small bar with its numbers."""
    return f"<progress max='{of or 1}' value='{done}'></progress> {done} of {of}"


def lesson_of(key):
    """The lesson that a key such as "03-asymmetric" belongs to, None without one."""
    return int(key[:2]) if re.match(r"\d\d-", key) else None


def progress() -> Progress:
    """Exercises passed, predictions made and quiz questions answered, by lesson."""
    return Progress()
