"""Feedback on an exercise: `check.<exercise>(candidate)` shows a card, never raises.

An `Exercise` is a right answer, cases, and known mistakes with the hint that mends
each. `judge` runs one candidate behind the guard and returns a `Feedback`.
"""

import contextlib
import importlib
import textwrap
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations

from inception_edu.cards import Card
from inception_edu.cards import show as show_card
from inception_edu.lesson.compare import show
from inception_edu.lesson.errors import NotAttempted, Problem, brief, is_stub
from inception_edu.lesson.exercise import Case, Exercise, Mistake
from inception_edu.lesson.guard import SECONDS, guarded

WIDTH = 78
SHOWN = 3  # failed cases that are named
LIBRARY = ("naive", "reduced", "factorized", "optimizers", "smoothing", "v4", "fusion")


@dataclass
class Result:
    """What came of one case: what was observed, and the Problem with it."""

    case: Case
    label: str
    got: object = None
    problem: Problem | None = None


def attempt(exercise, candidate, results):
    """Add a `Result` for every case."""
    if is_stub(candidate) or candidate is None or candidate is Ellipsis:
        raise NotAttempted
    for case in exercise.cases:
        result = Result(case, case.named(exercise.name))
        results.append(result)
        try:
            if not callable(candidate):
                raise Problem(
                    f"this is {show(candidate)}, not a function or a class",
                    f"pass your code itself, without calling it: "
                    f"`ie.check.{exercise.name}({exercise.name})`",
                    fatal=True,
                )
            result.got = exercise.observe(candidate, case)
            exercise.judge(candidate, case, result.got)
        except (Problem, NotAttempted) as problem:
            result.problem = problem
        except Exception as error:  # a result so odd that looking at it fails
            result.got = None
            result.problem = Problem(
                f"what your code returned cannot be read: {brief(error)}",
                "return plain numbers, tensors or modules",
            )
        if isinstance(result.problem, NotAttempted):
            raise result.problem
        if result.problem and result.problem.fatal:
            break


def explain(exercise, results):
    """The hint that explains every failed case, or "".

    A known mistake explains them if it gives, case by case, what the candidate gave.
    Two mistakes at once are named only if no other two would do the same.
    """
    failed = [result for result in results if result.problem]
    if not failed:
        return ""

    def explains(variants, hint=None):
        return any(
            all(
                (one.problem and one.problem.hint == hint)
                or exercise.makes(mistake, one)
                for one in results
            )
            for mistake in variants
        )

    known = {} if any(one.problem.right for one in failed) else exercise.mistakes
    for hint, variants in known.items():
        if explains(variants, hint):
            return hint
    facts = {result.problem.hint for result in failed}
    if len(facts) == 1 and "" not in facts:
        return facts.pop()
    both = [
        f"two things: {one}; and {other}"
        for (one, first), (other, second) in combinations(known.items(), 2)
        if explains(merged(first, second))
    ]
    return both[0] if len(both) == 1 else ""


def merged(first, second):
    """Two mistakes at once, as a list of one; none if they do not go together."""
    if len(first) != 1 or len(second) != 1:
        return []
    (first,), (second,) = first, second
    if first.function or second.function or {"act", "join"} & {*first.net, *second.net}:
        return []
    linear = first.net.get("linear", ()) + second.net.get("linear", ())
    return [Mistake(first.edits + second.edits, net={"linear": linear})]


@dataclass(frozen=True)
class Feedback:
    """What `check` shows: a `Card`, and whether all cases passed."""

    name: str
    card: Card
    passed: bool = False
    attempted: bool = True

    @property
    def lines(self):
        return tuple(str(self.card).splitlines())

    def __str__(self):
        return str(self.card)


def judge(exercise, candidate, seconds=SECONDS):
    """The `Feedback` on one candidate. Never raises; takes about `seconds` at most."""
    exercise.answer(exercise.cases[0])  # loads what is loaded once, off the clock
    results = []
    outcome = guarded(lambda: attempt(exercise, candidate, results), seconds)
    printed = shortened(outcome)
    if isinstance(outcome.error, NotAttempted):
        text = (
            f"{exercise.name}: not attempted yet. Write `{exercise.call}` in place of "
            "`raise NotImplementedError` and run this cell again."
        )
        return Feedback(
            exercise.name, Card("open", text, printed=printed), False, False
        )
    if outcome.stopped or outcome.error is not None:
        if not results:
            results.append(Result(None, exercise.name))
        results[-1].problem = problem = unfinished(outcome, seconds)
        return report(exercise, results, problem.hint, printed)
    hint = ""
    with contextlib.suppress(Exception):  # a result so odd that comparing it fails
        hint = explain(exercise, results)
    return report(exercise, results, hint, printed)


def unfinished(outcome, seconds):
    """The Problem with a candidate that did not end by itself."""
    if outcome.stopped == "reader":
        return Problem("stopped before it ended")
    if not outcome.stopped:
        return Problem(f"the check met {brief(outcome.error)}", "run the cell again")
    hint = "is there a loop that never ends?"
    if outcome.runs_on:
        hint += " It could not be stopped: restart the kernel."
    return Problem(f"still running after {seconds:g} seconds", hint)


def report(exercise, results, hint, printed):
    """The `Feedback` on these results."""
    name, failed = exercise.name, [result for result in results if result.problem]
    if not failed:
        verdict = f"{name}: {len(results)} checks passed"
        note = exercise.note(results)
        details = (note,) if note else ()
        card = Card("right", verdict, details, printed=printed)
        return Feedback(name, card, passed=True)
    first, *others = failed
    details = [f"{first.label}: {first.problem.what}"]
    known = {first.problem.what}
    for result in () if hint else others:
        values = result.problem.expected, result.problem.found
        what = result.problem.what
        if all(values):
            what = f"expected {values[0]}, found {values[1]}"
        if what not in known and len(details) < SHOWN:  # the same again is no news
            details.append(f"{result.label}: {what}")
            known.add(what)
    compare = ("expected", first.problem.expected), ("found", first.problem.found)
    card = Card(
        "wrong",
        f"{name}: {len(results) - len(failed)} of {len(results)} checks passed",
        tuple(details),
        compare=tuple(pair for pair in compare if pair[1]),
        hint=hint,
        printed=printed,
    )
    return Feedback(name, card)


def shortened(outcome, most=8):
    """What the candidate printed, cut, so that `print` still helps."""
    if not outcome.printed.strip():
        return ""
    lines = outcome.printed.rstrip("\n").split("\n")
    cut = outcome.cut + sum(len(line) + 1 for line in lines[most:])
    lines = [line[: WIDTH - 6] for line in lines[:most]]
    if outcome.stopped:  # how much came before the end is chance
        lines.append("... and more")
    elif cut:
        lines.append(f"... and {cut:,} characters more")
    return "\n".join(lines)


class Checker:
    """One exercise, ready to be given a candidate: `ie.check.naive_module`."""

    judge = staticmethod(judge)  # the report puts one in its place that takes notes

    def __init__(self, exercise):
        self.exercise = exercise
        self.__doc__ = f"{exercise.task}\n\nCalled as {exercise.call}."

    def __call__(self, *candidates, **others):
        """Print the feedback on your function or class."""
        name = self.exercise.name
        if len(candidates) != 1 or others:
            text = f"{name}: give it your own code, and only that"
            show_card(Card("open", text, (f"ie.check.{name}({name})",)))
            return
        feedback = self.judge(self.exercise, candidates[0])
        show_card(feedback.card)
        self.remember(feedback, candidates[0])

    def remember(self, feedback, candidate):
        """Record an attempt of the reader's own; the printed solutions are not one."""
        title = str(getattr(candidate, "__name__", "")).lower()
        if feedback.attempted and not title.endswith("solution"):
            from inception_edu.lesson.progress import record

            record("exercises", self.exercise.name, passed=feedback.passed)

    def __repr__(self):
        return f"ie.check.{self.exercise.name}: {self.exercise.task}"


class Exercises(tuple):
    """Exercises that print themselves as a list."""

    def __repr__(self):
        lines = ["lesson  exercise"]
        for exercise in self:
            first, later = f"{exercise.lesson:>6}  ", " " * 10
            lines += textwrap.wrap(
                exercise.call, WIDTH, initial_indent=first, subsequent_indent=later
            )
            lines += textwrap.wrap(
                exercise.task, WIDTH, initial_indent=later, subsequent_indent=later
            )
        return "\n".join(lines)


class Check:
    """Every exercise by name: `ie.check.naive_module(NaiveModule)`."""

    def __init__(self):
        self._known = {}

    def _library(self):
        if not self._known:
            home = "inception_edu.lesson.exercises"
            parts = [importlib.import_module(f"{home}.{part}") for part in LIBRARY]
            values = [value for part in parts for value in vars(part).values()]
            found = [one for one in values if isinstance(one, Exercise)]
            found.sort(key=lambda exercise: exercise.lesson)
            self._known = {exercise.name: exercise for exercise in found}
        return self._known

    def exercises(self, lesson=None):
        """The exercises of a lesson, or of all lessons, as a printable tuple."""
        known = self._library().values()
        lessons = sorted({one.lesson for one in known})
        if lesson is not None and lesson not in lessons:
            raise ValueError(
                f"lesson={lesson!r} has no exercises; choose from "
                f"{', '.join(map(str, lessons))}, as a number"
            )
        return Exercises(one for one in known if lesson in (None, one.lesson))

    def __setattr__(self, name, value):
        if not name.startswith("_"):
            raise AttributeError(
                f"a check is called, not set: ie.check.{name}(your_function)"
            )
        super().__setattr__(name, value)

    def __getattr__(self, name):
        if name.startswith("_"):  # what IPython and copy ask every object for
            raise AttributeError(name)
        known = self._library()
        if name in known:
            return Checker(known[name])
        close = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise AttributeError(
            f"no exercise is called {name!r}; {hint}ie.check.exercises() lists all"
        )

    def __call__(self, *candidates):
        text = "name the exercise: `ie.check.naive_module(NaiveModule)`, for example"
        show_card(Card("open", text, ("`ie.check.exercises()` lists all.",)))

    def __dir__(self):
        return ["exercises", *self._library()]

    def __repr__(self):
        return f"ie.check.<exercise>(your code), {len(self._library())} exercises"


check = Check()
