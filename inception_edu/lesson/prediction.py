"""Write a number down before you measure: `p = predict(...)`, `p.reveal(...)`.

Text only, no widget: the guess is an argument that the reader types, so that
it works in every front end and the same way on every run.
"""

import math
import numbers
import textwrap

from inception_edu.lesson.checking import WIDTH
from inception_edu.lesson.values import show

CLOSE = 0.1  # within 10 % counts as close
_made = {}


class Prediction:
    """A question, the reader's guess (None without one), and what was measured.

    `guess` is a number, or one of `options`. `reveal` prints both side by side.
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
        return None, f"{shown(guess)} is none of the answers"

    def reveal(self, measured, misconceptions=None):
        """Print what was measured beside the guess.

        `measured` is a number, or one of the options. `misconceptions` maps
        known wrong answers to what leads to them; the one that is nearest to
        a wrong guess, within 10 %, is named, and one that is guessed to the digit
        though it be close to the measured.
        """
        self.measured = measured
        if self.guess is None:
            say(f"measured: {self.amount(measured)}. You made no prediction.")
            return
        line = f"measured: {self.amount(measured)}. You predicted "
        line += self.amount(self.guess)
        if self.options is not None:
            right = self.guess == measured
            say(f"{line}: {'right' if right else 'not this time'}.")
        else:
            right = nearness(self.guess, float(measured)) <= CLOSE
            say(f"{line}: {verdict(self.guess, float(measured))}.")
        known = misconceptions or {}
        exactly = self.guess in known and self.guess != measured
        if (exactly or not right) and (why := self.misconception(known)):
            say(f"    -> {why}")

    def misconception(self, known):
        if self.options is not None:
            return known.get(self.guess, "")
        near = {value: nearness(self.guess, float(value)) for value in known}
        best = min(near, key=near.get, default=None)
        return known[best] if best is not None and near[best] <= CLOSE else ""

    def amount(self, value):
        text = shown(value) if isinstance(value, str) else show(value)
        one = text == "1" and self.unit.isalpha() and self.unit != "times"
        unit = self.unit.removesuffix("s") if one else self.unit
        return f"{text} {unit}".rstrip()

    def ask(self):
        """The question, and what became of the guess, as printed text."""
        say(f"? {self.question}" + (f" [{self.unit}]" if self.unit else ""))
        if self.options is not None:
            print(f"  {' | '.join(map(shown, self.options))}")
        want = "one of these" if self.options is not None else "a number"
        if self.complaint:
            say(f"  {self.complaint}: write {want} for guess= and run this again")
        elif self.guess is None:
            say(f"  no prediction yet: write {want} for guess= and run this again")
        else:
            share = self.unit == "%" and 0 < self.guess < 1
            meant = f" (a share? then write {show(100 * self.guess)})" if share else ""
            say(f"  your prediction: {self.amount(self.guess)}{meant}")

    def __repr__(self):
        guess = "no guess" if self.guess is None else self.amount(self.guess)
        result = "" if self.measured is None else f", {self.amount(self.measured)}"
        return f"<Prediction {self.key}: {guess}{result}>"


def predict(key, question, guess=None, unit="", options=None):
    """The reader's `Prediction`, printed and kept until it is revealed.

    `guess` is a number in `unit`, or one of `options`; None leaves it open. A
    guess that is neither gets a kind line and counts as none. Never raises
    for a guess; a later prediction with the same `key` takes its place.
    """
    prediction = Prediction(key, question, guess, unit, options)
    _made[prediction.key] = prediction
    prediction.ask()
    return prediction


def predictions():
    """Every prediction made in this kernel so far, by key, in order."""
    return dict(_made)


def read_number(guess):
    """`(number, "")` for a finite number from 0 on, else `(None, complaint)`."""
    if isinstance(guess, str):
        try:
            float(guess)
        except ValueError:
            return None, f"{shown(guess)} is text"
        return None, f"{shown(guess)} is text; leave the quotes out"
    if isinstance(guess, bool):
        return None, f"{guess} is not a number"
    if isinstance(guess, complex):
        return None, "a complex number cannot be measured here"
    if isinstance(guess, list | tuple | set | dict):
        return None, "several values; one number is wanted"
    try:
        number = float(guess)
    except OverflowError:
        return None, "this number is too large to compare"
    except Exception:
        return None, f"{show(guess)} is not a number"
    if math.isnan(number):
        return None, "nan is not a number"
    if math.isinf(number):
        return None, "an infinite number is a little too much"
    if number < 0:
        return None, f"{show(number)} is negative; nothing here can be"
    return (int(guess) if isinstance(guess, numbers.Integral) else number), ""


def nearness(guess, value):
    """How far the guess is from a value, as a share of that value."""
    if guess == value:
        return 0.0
    return abs(guess - value) / abs(value) if value else math.inf


def verdict(guess, measured):
    """The guess against the measured number in words."""
    if guess == measured:
        return "exactly right"
    if nearness(guess, measured) <= CLOSE:
        return "close, within 10 %"
    if guess == 0 or measured == 0:
        return "not this time"
    if guess < measured:
        return f"the real one is {times(measured / guess)} times as much"
    return f"your guess is {times(guess / measured)} times as much"


def times(ratio):
    """A ratio to three digits, as one reads it aloud: no powers of ten at first."""
    return f"{ratio:.3g}" if ratio < 1000 or ratio >= 1e12 else f"{ratio:,.0f}"


def shown(value):
    return repr(value)[:40] if isinstance(value, str) else show(value)


def say(text):
    """Print in lines of 78 characters."""
    indent = "       " if text.startswith("    ->") else "  "
    print(textwrap.fill(text, WIDTH, subsequent_indent=indent))
