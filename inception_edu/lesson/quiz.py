"""Quiz questions: `ie.quiz("01-width", answer="b")` asks, explains, remembers.

Questions, options and explanations are data (`quiz.toml`), so that a cell does not
show the answer to its own question.
"""

import tomllib
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from inception_edu.cards import Card, show

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


def quiz(key, answer=None):
    """Show a question and, once `answer` is a letter, whether it is right and why.

    The answer is kept for `ie.progress()`. Without one the options are shown. Raises
    ValueError only for a key that does not exist.
    """
    if key not in questions():
        close = get_close_matches(str(key), questions(), n=3, cutoff=0.3)
        hint = f"did you mean {' or '.join(close)}?" if close else "no key is close."
        raise ValueError(f"no quiz question is called {key!r}; {hint}")
    show(judged(key, answer))


def judged(key, answer):
    """The `Card` for an answer to the question `key`; records a valid answer."""
    asked = questions()[key]
    letters = LETTERS[: len(asked["options"])]
    options = tuple(
        f"{letter}) {option}"
        for letter, option in zip(letters, asked["options"], strict=True)
    )
    if answer is None or answer is Ellipsis or answer == "":
        note = (
            f'Write answer="{letters[0]}" to "{letters[-1]}" and run this cell again.'
        )
        return Card("ask", asked["question"], options=options, hint=note)
    letter = as_letter(answer, asked["options"])
    if letter is None:
        note = f"{str(answer)[:40]!r} is no option: write a letter, a to {letters[-1]}."
        return Card("ask", asked["question"], options=options, hint=note)

    from inception_edu.lesson.progress import record

    right = letter == asked["right"]
    record("quizzes", key, answer=letter, right=right)
    chosen = options[letters.index(letter)]
    verdict = f"{chosen}: {'right' if right else 'not right'}."
    why = asked["why"].get(letter, "")
    return Card(
        "right" if right else "wrong",
        verdict,
        (asked["question"], *([why] if right and why else [])),
        hint="" if right else why or "Read the options once more.",
    )


def as_letter(answer, options):
    """The letter that an answer means: a letter, or an option's own words."""
    words = str(answer).strip().lower().rstrip(").")
    letters = LETTERS[: len(options)]
    if len(words) == 1 and words in letters:
        return words
    same = [i for i, o in enumerate(options) if o.strip().lower().rstrip(".") == words]
    return letters[same[0]] if same else None
