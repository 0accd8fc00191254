"""Every lesson carries what a lecturer needs, in its cells tagged `lecturer`."""

import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PLANS = {"Plan for 2 x 45 minutes": 90, "Plan for 20 minutes": 20}
SHORT = {"Plan for 5 minutes": 5}  # the first page is five minutes in all
SPOKEN = (
    "The demonstration that always works",
    "When a prediction goes wrong",
    "On the board",
    "The misconception to draw out",
)
DISCUSSIONS = ("Discussion 1", "Discussion 2", "Discussion 3")
EXAMS = ("Exam 1", "Exam 2")
LEAST = 60  # characters of a part that says something
LABEL = re.compile(r"(\*{1,2})(?!\s)(.+?)\1\s*(.*)", re.DOTALL)


def parts(notebook):
    """{label: (label in full, text)} of the paragraphs that begin with one."""
    known = [*PLANS, *SHORT, *SPOKEN, *DISCUSSIONS, *EXAMS]
    found = {}
    for cell in notebook.cells:
        if "lecturer" in cell.metadata.get("tags", []):
            for paragraph in re.split(r"\n\s*\n", cell.source):
                if match := LABEL.match(paragraph.strip()):
                    full, text = " ".join(match[2].split()), match[3]
                    for label in known:
                        if re.match(rf"{re.escape(label)}\b", full):
                            twice = label in found and label not in SPOKEN
                            assert not twice, f"{label} is there twice"
                            found.setdefault(label, (full, text))
    return found


def missing(notebook, plans):
    """Sentences that say which part is missing, or says too little."""
    found = parts(notebook)
    for label in (*plans, *SPOKEN, *DISCUSSIONS, *EXAMS):
        full, text = found.get(label, ("", ""))
        if not full:
            yield f"no paragraph begins with *{label}*"
        elif len(text) < LEAST:
            yield f"{label}: says hardly anything"
        elif label in plans:
            minutes = sum(int(n) for n in re.findall(r"\((\d+)\b[^)]*\)", text))
            if minutes != plans[label]:
                yield f"{label}: the minutes in brackets add up to {minutes}"
        elif label in DISCUSSIONS and not full.endswith("?"):
            yield f"{label}: the question belongs inside the stars"
        elif label in EXAMS and "*Solution:*" not in text:
            yield f"{label}: has no *Solution:* in its paragraph"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_lesson_has_its_lecturer_notes(path):
    plans = SHORT if path.stem.startswith("00") else PLANS
    assert list(missing(nbformat.read(path, 4), plans)) == []


def notes(*paragraphs):
    cell = nbformat.v4.new_markdown_cell("\n\n".join(paragraphs))
    cell.metadata.tags = ["lecturer"]
    return nbformat.v4.new_notebook(cells=[cell])


SAID = "word " * 20
COMPLETE = {
    "Plan for 20 minutes": f"*Plan for 20 minutes.* {SAID} (15), b (5; it runs).",
    **{label: f"*{label}:* {SAID}" for label in SPOKEN},
    **{label: f"**{label}: why\nnot?** {SAID}" for label in DISCUSSIONS},
    **{label: f"*{label} (4 points).* {SAID} *Solution:* 3" for label in EXAMS},
}
TWENTY = {"Plan for 20 minutes": 20}


def test_complete_notes_are_accepted():
    assert list(missing(notes(*COMPLETE.values()), TWENTY)) == []


@pytest.mark.parametrize("label", COMPLETE)
def test_a_part_that_is_left_out_is_named(label):
    others = [text for name, text in COMPLETE.items() if name != label]
    assert list(missing(notes(*others), TWENTY)) == [
        f"no paragraph begins with *{label}*"
    ]


@pytest.mark.parametrize(
    ("label", "text", "words"),
    [
        ("Plan for 20 minutes", f"*Plan for 20 minutes.* {SAID} (15)", "add up to 15"),
        ("Exam 1", f"*Exam 1.* {SAID}", "has no *Solution:*"),
        ("Discussion 2", f"*Discussion 2:* why? {SAID}", "inside the stars"),
        ("On the board", "*On the board:* nothing", "says hardly anything"),
    ],
)
def test_a_part_that_is_wrong_is_named(label, text, words):
    (sentence,) = missing(notes(*{**COMPLETE, label: text}.values()), TWENTY)
    assert sentence.startswith(label) and words in sentence
