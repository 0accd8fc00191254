"""Write a number down before you measure: `p = predict(...)`, `p.reveal(...)`.

The guess is an argument that the reader types, so that it works in every front end
and the same way on every run.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from types import EllipsisType

from inception_edu.cards import Card, show
from inception_edu.lesson.compare import in_words
from inception_edu.lesson.progress import save
from inception_edu.text import times

CLOSE = 0.1  # within 10 % counts as close
PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}


class Prediction:
    """A question, the reader's guess (None without one), and the answer.

    `guess` is a number, or one of `options`. `reveal` shows both side by side.
    """

    def __init__(self, key, question, guess=None, unit="", options=()):
        self.key, self.question, self.unit = key, question, unit
        self.options = tuple(options)
        self.guess, self.complaint = self.read(guess)

    def read(self, guess):
        """`(guess, "")`, or `(None, what is wrong with it)`."""
        if guess is None or guess is Ellipsis:
            return None, ""
        if self.options:
            words = str(guess).strip().lower()
            for option in self.options:
                if option.lower() == words:
                    return option, ""
            return None, f"{shown(guess)} is none of the options"
        try:
            number = math.nan if isinstance(guess, str | bool) else float(guess)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            number = math.nan
        if 0 <= number < math.inf:
            return guess if isinstance(guess, int) else number, ""
        return None, f"{shown(guess)} is not a number of 0 or more: no quotes, no unit"

    def reveal(
        self,
        measured: object,
        misconceptions: Mapping | None = None,
        label: str = "measured",
    ) -> None:
        """Show `measured`, a number or one of the options, beside the guess.

        `misconceptions` maps likely wrong answers to the reasoning behind them; the
        one that a wrong guess is within 10 % of is explained. `label` says where the
        value comes from: "measured", "published", "computed".
        """
        value = self.amount(measured)
        if self.guess is None:
            show(Card("info", f"{label}: {value}. You made no prediction."))
            return
        known = misconceptions or {}
        guess = self.reading([measured, *known])
        note = f"{in_words(self.guess)} is read as {self.amount(guess)}."
        right = nearness(guess, measured) <= CLOSE
        exactly = guess in known and guess != measured
        show(
            Card(
                "right" if right else "wrong",
                f"{describe(guess, measured)}.",
                () if guess is self.guess else (note,),
                compare=(("your prediction", self.amount(self.guess)), (label, value)),
                hint="" if right and not exactly else why(guess, known),
            )
        )

    def reading(self, answers):
        """The guess in the question's unit, where another one was meant.

        A guess of 0.71 may mean 71 %, one of 303,000,000 may mean 303 M: it is read
        so where that, and not the plain number, comes within 10 % of an answer.
        """
        if self.options:
            return self.guess
        prefix = PREFIXES.get(self.unit.split(" ")[0])
        others = [100 * self.guess] if self.unit == "%" else []
        others += [self.guess / prefix] if prefix else []
        for answer, guess in product(answers, [self.guess, *others]):
            if nearness(guess, answer) <= CLOSE:
                return guess
        return self.guess

    def amount(self, value):
        text = value if isinstance(value, str) else in_words(value)
        one = text == "1" and self.unit != "times"
        return f"{text} {self.unit.removesuffix('s') if one else self.unit}".rstrip()

    def card(self):
        """The question as a `Card`, and what became of the guess."""
        want = "one of these options" if self.options else "a number"
        unit = f" [{self.unit}]" if self.unit else ""
        state, hint = (), ""
        if self.complaint:
            hint = f"{self.complaint}: write {want} for guess= and run this cell again."
        elif self.guess is None:
            state = (f"No prediction yet: write {want} for guess= and run this cell.",)
        else:
            state = (f"Your prediction: {self.amount(self.guess)}",)
        options = tuple(map(repr, self.options))
        return Card("ask", self.question + unit, state, options, hint=hint)


def predict(
    key: str,
    question: str,
    guess: float | str | EllipsisType | None = None,
    unit: str = "",
    options: Sequence[str] = (),
) -> Prediction:
    """The reader's `Prediction`, shown and recorded.

    `guess` is a number in `unit`, or one of `options`; None leaves it open. Never
    raises for a guess: one that is neither is explained and counts as none.
    """
    prediction = Prediction(key, question, guess, unit, options)
    if prediction.guess is not None:
        save("predictions", prediction.key, guess=prediction.guess)
    show(prediction.card())
    return prediction


def nearness(guess, value):
    """The relative difference between the guess and a value."""
    if guess == value:
        return 0.0
    if isinstance(guess, str) or isinstance(value, str) or not value:
        return math.inf
    return abs(guess - value) / abs(value)


def why(guess, known):
    """The reasoning behind a likely wrong answer that is near the guess, or ""."""
    near = [value for value in known if nearness(guess, value) <= CLOSE]
    nearest = min(near, key=lambda value: nearness(guess, value), default=None)
    return known.get(nearest, "")


def describe(guess, measured):
    """The guess against what was measured, in words."""
    if isinstance(guess, str) or isinstance(measured, str):
        return "Right" if guess == measured else "Not this time"
    if guess == measured:
        return "Exactly right"
    if nearness(guess, measured) <= CLOSE:
        return "Close, within 10 %"
    if guess == 0 or measured == 0:
        return "Not this time"
    if guess < measured:
        return f"The answer is {times(measured / guess)} as large"
    return f"Your guess is {times(guess / measured)} as large"


def shown(value):
    return repr(value)[:60] if isinstance(value, str) else in_words(value)
