"""Quiz questions: `ie.quiz("01-width", answer="b")` asks, explains, remembers.

Questions, options and explanations are data (`quiz.toml`), so that a cell does not
show the answer to its own question.
"""

import tomllib
from functools import cache
from pathlib import Path
from types import EllipsisType

from inception_edu.cards import Card, show
from inception_edu.lesson.progress import save
from inception_edu.text import closest

LETTERS = "abcdefgh"


@cache
def questions():
    """Every question by key: `{"question", "options", "right", "why"}`.

    `options` is a list, `right` the letter of the right one, `why` a sentence for
    each letter that is chosen wrongly and for the right one.
    """
    return tomllib.loads(
        Path(__file__).with_name("quiz.toml").read_text(encoding="utf-8")
    )


def quiz(key: str, answer: str | EllipsisType | None = None) -> None:
    """Show a question and, once `answer` is a letter, whether it is right and why.

    The answer is kept for `ie.progress()`. Without one the options are shown. Raises
    ValueError only for a key that does not exist.
    """
    if key not in questions():
        hint = closest(key, questions())
        raise ValueError(f"no quiz question is called {key!r}; {hint}".rstrip("; "))
    show(judged(key, answer))


def judged(key, answer):
    """The `Card` for an answer to the question `key`; records a valid answer."""
    asked = questions()[key]
    options = {
        letter: f"{letter}) {option}"
        for letter, option in zip(LETTERS, asked["options"], strict=False)
    }
    first, *_, last = options
    letter = str(answer).strip().lower().rstrip(").")
    if letter not in options:
        hint = f'Write answer="{first}" to "{last}" and run this cell again.'
        if answer not in (None, ..., ""):
            hint = f"{str(answer)[:40]!r} is no option: write a letter, a to {last}."
        return Card(
            "ask", asked["question"], options=tuple(options.values()), hint=hint
        )
    right, why = letter == asked["right"], asked["why"][letter]
    save("quizzes", key, answer=letter, right=right)
    return Card(
        "right" if right else "wrong",
        f"{options[letter]}: {'right' if right else 'not right'}.",
        (asked["question"], why) if right else (asked["question"],),
        hint="" if right else why,
    )
