"""Feedback on an exercise: `check.<exercise>(candidate)` shows a card, never raises.

An `Exercise` is a solution, cases, and known mistakes with the hint that mends
each. `assess` runs one candidate under the guard and returns a `Card`: "right",
"wrong", or "open" for a stub.
"""

import contextlib
import importlib
from dataclasses import dataclass
from functools import cache

from inception_edu.cards import WIDTH, Card, show
from inception_edu.lesson.errors import NotAttempted, Problem, brief, is_stub
from inception_edu.lesson.exercise import Case, Exercise
from inception_edu.lesson.guard import SECONDS, guarded
from inception_edu.lesson.progress import save
from inception_edu.text import closest

SHOWN = 3  # failed cases that are named
PRINTED = 8  # lines of the candidate's own printing that are shown
LIBRARY = ("naive", "reduced", "factorized", "optimizers", "smoothing", "v4", "fusion")


@dataclass
class Result:
    """What came of one case: what was observed, and the Problem with it."""

    case: Case
    got: object = None
    problem: Problem | None = None


def attempt(exercise, candidate, results):
    """Add a `Result` for every case."""
    if is_stub(candidate) or candidate is None or candidate is Ellipsis:
        raise NotAttempted
    for case in exercise.cases:
        result = Result(case)
        results.append(result)
        try:
            result.got = exercise.observe(candidate, case)
            exercise.verify(candidate, case, result.got)
        except Problem as problem:
            result.problem = problem
        except Exception as error:  # a result so odd that looking at it fails
            result.got = None
            result.problem = Problem(
                f"what your code returned cannot be read: {brief(error)}",
                "return plain numbers, tensors or modules",
            )


def explain(exercise, results):
    """The hint that explains every failed case, or "".

    A known mistake explains them if it gives, case by case, what the candidate gave.
    """
    failed = [result for result in results if result.problem]
    if not failed:
        return ""
    known = {} if any(one.problem.values_right for one in failed) else exercise.mistakes
    for hint, variants in known.items():
        for mistake in variants:
            if all(
                (one.problem and one.problem.hint == hint)
                or exercise.makes(mistake, one)
                for one in results
            ):
                return hint
    if not any(exercise.gap(results[0].got, one.got) for one in results[1:]):
        return "the answer is the same whatever comes in: use the arguments"
    facts = {result.problem.hint for result in failed}
    return facts.pop() if len(facts) == 1 else ""


def assess(exercise, candidate, seconds=SECONDS):
    """The `Card` on one candidate. Never raises; about `seconds` of computing."""
    results, hint = [], ""
    printed, error = guarded(lambda: attempt(exercise, candidate, results), seconds)
    printed = shortened(printed)
    if isinstance(error, NotAttempted):
        text = (
            f"{exercise.name}: not attempted yet. Write `{exercise.call}` in place of "
            "`raise NotImplementedError` and run this cell again."
        )
        return Card("open", text, printed=printed)
    if error is not None:
        if not isinstance(error, Problem):
            error = Problem(f"the check met {brief(error)}", "run the cell again")
        results = results or [Result(exercise.cases[0])]
        results[-1].problem, hint = error, error.hint
    else:
        with contextlib.suppress(Exception):  # a result too odd to be compared
            hint = explain(exercise, results)
    return report(exercise, results, hint, printed)


def report(exercise, results, hint, printed):
    """The `Card` on these results."""
    name, failed = exercise.name, [result for result in results if result.problem]
    if not failed:
        note = exercise.note(results)
        details = (note,) if note else ()
        return Card(
            "right", f"{name}: {len(results)} checks passed", details, printed=printed
        )
    first, *others = failed
    told = {first.problem.what: first.case}
    for result in () if hint else others:
        what, expected = result.problem.what, result.problem.expected
        if expected and result.problem.found:
            what = f"expected {expected}, found {result.problem.found}"
        told.setdefault(what, result.case)  # the same again is no news
    details = [f"{case.named(name)}: {what}" for what, case in told.items()]
    compare = ("expected", first.problem.expected), ("found", first.problem.found)
    return Card(
        "wrong",
        f"{name}: {len(results) - len(failed)} of {len(results)} checks passed",
        tuple(details[:SHOWN]),
        compare=tuple(pair for pair in compare if pair[1]),
        hint=hint,
        printed=printed,
    )


def shortened(printed):
    """What the candidate printed, cut, so that `print` still helps."""
    lines = printed.strip("\n").splitlines()
    more = ["... and more"] * (len(lines) > PRINTED)
    return "\n".join([*(line[: WIDTH - 6] for line in lines[:PRINTED]), *more])


class Checker:
    """One exercise, ready to be given a candidate: `ie.check.naive_module`."""

    def __init__(self, exercise):
        self.exercise = exercise
        self.__doc__ = f"{exercise.task}\n\nCalled as {exercise.call}."

    def __call__(self, candidate=None):
        """Print the feedback on your function or class."""
        card = assess(self.exercise, candidate)
        show(card)
        self.remember(card, candidate)

    def remember(self, card, candidate):
        """Record an attempt of the reader's own; the printed solutions are not one."""
        title = str(getattr(candidate, "__name__", "")).lower()
        if card.kind != "open" and not title.endswith("solution"):
            save("exercises", self.exercise.name, passed=card.kind == "right")


@cache
def library():
    """Every exercise by its name, in the order of the lessons."""
    import torch

    package = "inception_edu.lesson.exercises"
    with torch.device("cpu"):  # whatever the default is
        parts = [importlib.import_module(f"{package}.{part}") for part in LIBRARY]
    values = [value for part in parts for value in vars(part).values()]
    found = [value for value in values if isinstance(value, Exercise)]
    known = {one.name: one for one in sorted(found, key=lambda one: one.lesson)}
    assert len(known) == len(found), "two exercises have one name"
    return known


class Check:
    """Every exercise by name: `ie.check.naive_module(NaiveModule)`."""

    def exercises(self):
        """All exercises, in the order of the lessons."""
        return [*library().values()]

    def __getattr__(self, name):
        if name.startswith("_"):  # what IPython and copy ask every object for
            raise AttributeError(name)
        if name in library():
            return Checker(library()[name])
        raise AttributeError(
            f"no exercise is called {name!r}; {closest(name, library())}"
            "ie.check.exercises() lists all"
        )

    def __dir__(self):
        return ["exercises", *library()]


check = Check()
