"""Write a number down before you measure: `p = predict(...)`, `p.reveal(...)`.

The guess is an argument that the reader types, so that it works in every front end
and the same way on every run.
"""

import math
import numbers
from collections.abc import Mapping, Sequence
from itertools import product
from types import EllipsisType

from inception_edu.cards import Card, show
from inception_edu.lesson.compare import in_words
from inception_edu.text import times

CLOSE = 0.1  # within 10 % counts as close
PREFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}


class Prediction:
    """A question, the reader's guess (None without one), and the answer.

    `guess` is a number, or one of `options`. `reveal` shows both side by side.
    """

    def __init__(self, key, question, guess=None, unit="", options=None):
        self.key, self.question, self.unit = str(key), str(question), str(unit)
        self.options = tuple(options) if options is not None else None
        self.guess, self.complaint = self.read(guess)
        self.measured = None

    def read(self, guess):
        """`(guess, "")`, or `(None, what is wrong with it)`."""
        if guess is None or guess is Ellipsis:
            return None, ""
        if self.options is not None:
            return self.read_choice(guess)
        return read_number(guess)

    def read_choice(self, guess):
        wanted = str(guess).strip().lower() if isinstance(guess, str) else guess
        for option in self.options:
            ours = option.lower() if isinstance(option, str) else option
            if type(ours) is type(wanted) and ours == wanted:
                return option, ""
        return None, f"{shown(guess)} is none of the options"

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
        self.measured = measured
        value = self.amount(measured)
        if self.guess is None:
            show(Card("info", f"{label}: {value}. You made no prediction."))
            return
        known = misconceptions or {}
        if self.options is not None:
            read_as, note, right = self.guess, "", self.guess == measured
            verdict = "Right" if right else "Not this time"
        else:
            read_as, note = self.reading([measured, *known])
            right = nearness(read_as, float(measured)) <= CLOSE
            verdict = describe(read_as, float(measured))
        exactly = read_as in known and read_as != measured
        show(
            Card(
                "right" if right else "wrong",
                f"{verdict}.",
                (note,) if note else (),
                compare=(("your prediction", self.amount(self.guess)), (label, value)),
                hint="" if right and not exactly else self.why(read_as, known),
            )
        )

    def reading(self, answers):
        """The guess in the question's unit, and a note where another one was meant.

        A guess of 0.71 may mean 71 %, one of 303,000,000 may mean 303 M: it is read
        so where that, and not the plain number, comes within 10 % of an answer.
        """
        prefix = PREFIXES.get(self.unit.split(" ")[0])
        others = [100 * self.guess] if self.unit == "%" else []
        others += [self.guess / prefix] if prefix else []
        for answer, read_as in product(answers, [self.guess, *others]):
            if nearness(read_as, float(answer)) <= CLOSE:
                note = f"{in_words(self.guess)} is read as {self.amount(read_as)}."
                return read_as, note if read_as != self.guess else ""
        return self.guess, ""

    def why(self, guess, known):
        """The reasoning behind a likely wrong answer that is near the guess, or ""."""
        if self.options is not None:
            return known.get(guess, "")
        near = {value: nearness(guess, float(value)) for value in known}
        best = min(near, key=near.get, default=None)
        return known[best] if best is not None and near[best] <= CLOSE else ""

    def amount(self, value):
        text = str(value) if isinstance(value, str) else in_words(value)
        one = text == "1" and self.unit.isalpha() and self.unit != "times"
        unit = self.unit.removesuffix("s") if one else self.unit
        return f"{text} {unit}".rstrip()

    def card(self):
        """The question as a `Card`, and what became of the guess."""
        want = "one of these options" if self.options is not None else "a number"
        unit = f" [{self.unit}]" if self.unit else ""
        state, hint = (), ""
        if self.complaint:
            hint = f"{self.complaint}: write {want} for guess= and run this cell again."
        elif self.guess is None:
            state = (f"No prediction yet: write {want} for guess= and run this cell.",)
        else:
            state = (f"Your prediction: {self.amount(self.guess)}",)
        options = tuple(map(shown, self.options or ()))
        return Card("ask", self.question + unit, state, options, hint=hint)

    def __repr__(self):
        guess = "no guess" if self.guess is None else self.amount(self.guess)
        result = "" if self.measured is None else f", {self.amount(self.measured)}"
        return f"<Prediction {self.key}: {guess}{result}>"


def predict(
    key: str,
    question: str,
    guess: float | str | EllipsisType | None = None,
    unit: str = "",
    options: Sequence[object] | None = None,
) -> Prediction:
    """The reader's `Prediction`, shown and recorded.

    `guess` is a number in `unit`, or one of `options`; None leaves it open. Never
    raises for a guess: one that is neither is explained and counts as none.
    """
    from inception_edu.lesson.progress import record

    prediction = Prediction(key, question, guess, unit, options)
    if prediction.guess is not None:
        record("predictions", prediction.key, guess=prediction.guess)
    show(prediction.card())
    return prediction


def read_number(guess):
    """`(number, "")` for a finite number from 0 on, else `(None, complaint)`."""
    if isinstance(guess, str):
        return None, f"{shown(guess)} is text; leave out quotes and unit"
    if isinstance(guess, list | tuple | set | dict):
        return None, "several values; one number is wanted"
    try:
        number = math.nan if isinstance(guess, bool | complex) else float(guess)
    except OverflowError:
        return None, "this number is too large to compare"
    except Exception:
        number = math.nan
    if not math.isfinite(number):
        return None, f"{in_words(guess)} is not a number"
    if number < 0:
        return None, f"{in_words(number)} is negative; nothing measured here can be"
    return (int(guess) if isinstance(guess, numbers.Integral) else number), ""


def nearness(guess, value):
    """The relative difference between the guess and a value."""
    if guess == value:
        return 0.0
    return abs(guess - value) / abs(value) if value else math.inf


def describe(guess, measured):
    """The guess against the measured number, in words."""
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
