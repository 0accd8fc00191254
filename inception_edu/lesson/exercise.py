"""`Exercise`: a solution, cases, and known mistakes with the hint for each."""

import copy
import inspect
import tomllib
from collections import namedtuple
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import permutations
from pathlib import Path

from inception_edu.lesson.compare import difference, in_words, unchanged
from inception_edu.lesson.errors import (
    GRADIENTS,
    NotAttempted,
    Problem,
    brief,
    translate,
)
from inception_edu.lesson.guard import TimeUp


@dataclass(frozen=True)
class Case:
    """What a candidate is called with, and how to name that in a sentence.

    `image` is the shape of the image that a module exercise runs on.
    """

    args: tuple
    label: str = ""
    image: tuple = ()

    def named(self, name):
        """The call as a reader would write it: `conv_params(3, 64, 7, False)`."""
        return f"{name}({self.label or ', '.join(map(repr, self.args))})"


# What stands in place of the solution: a function, and options of `Convolutions`.
Mistake = namedtuple("Mistake", "function options", defaults=[{}])


@dataclass(frozen=True, eq=False, repr=False)
class Exercise:
    """An exercise whose candidate is a function that returns numbers or tensors.

    `solution` answers a case; its name, parameters and docstring are the exercise's.
    `parts` names the members of a tuple. With `differentiable`, the gradient must flow
    back to the first input.
    """

    solution: object
    lesson: int
    cases: tuple
    parts: tuple = ()
    tolerance: float = 1e-6
    differentiable: bool = False

    EXTRA = 0  # parameters of the solution that the candidate does not have

    @property
    def name(self):
        return self.solution.__name__

    @property
    def call(self):
        """How the candidate is called: "conv_params(in_channels, out_channels)"."""
        parameters = [*inspect.signature(self.solution).parameters][self.EXTRA :]
        return f"{self.name}({', '.join(parameters)})"

    @property
    def task(self):
        return " ".join(self.solution.__doc__.split())

    def __repr__(self):
        return f"{self.name} (lesson {self.lesson}): {self.task}"

    @cached_property
    def mistakes(self):
        """Hint -> variants of the mistake that it mends, each a `Mistake`."""
        names = self.solution.__globals__ | {"solution": self.solution}

        def make(text):
            if " => " in text:
                edits = [one.split(" => ") for one in text.split(" && ")]
                return Mistake(edited(self.solution, edits))
            made = eval(text, names)
            options = isinstance(made, dict)
            return Mistake(self.solution, made) if options else Mistake(made)

        found = {
            hint: [make(text)] if isinstance(text, str) else [*map(make, text)]
            for hint, text in read_mistakes()[self.name].items()
        }
        if self.parts:
            hint = (
                f"the values are right, but in another order: {', '.join(self.parts)}"
            )
            _, *orders = permutations(range(len(self.parts)))
            found[hint] = [
                Mistake(lambda *a, o=o: [self.solution(*a)[i] for i in o])
                for o in orders
            ]
        return found

    def call_on(self, candidate, case):
        """What the candidate returns for a case, which it may not change."""
        finished = hasattr(candidate, "parameters") and not isinstance(candidate, type)
        if finished or not callable(candidate):
            raise Problem(
                f"this is {in_words(candidate)}",
                "pass the function or the class itself, without calling it: "
                f"`ie.check.{self.name}({self.name})`",
            )
        given = copy.deepcopy(case.args)
        value = run(candidate, given, self.call)
        if not unchanged(case.args, given):
            raise Problem(
                "the inputs were changed",
                "your code writes into them (`+=`, `append`, a method ending in _): "
                "copy them first, or make a new value instead",
            )
        return value

    def observe(self, candidate, case):
        """What the candidate returns for a case; raises Problem."""
        value = self.call_on(candidate, case)
        if value is None:
            raise Problem("your function returned None", "add a `return` on every path")
        if inspect.isgenerator(value) or inspect.iscoroutine(value):
            value.close()
            raise Problem(
                f"your function returned a {type(value).__name__}",
                "use `return`, not `yield`, no `async`, and [...] rather than (...)",
            )
        if not self.parts:
            return value
        if getattr(value, "shape", None) == (len(self.parts),):  # an array of numbers
            value = tuple(value)
        if not isinstance(value, tuple | list) or len(value) != len(self.parts):
            raise Problem(
                f"{len(self.parts)} values are expected",
                f"return them together: `return {', '.join(self.parts)}`",
                found=in_words(value),
            )
        return tuple(value)

    def verify(self, candidate, case, got):
        """Raise the Problem with what was observed, if there is one."""
        if problem := self.gap(self.answer(case), got):
            raise problem
        if self.differentiable:
            from inception_edu.lesson.recorder import gradient

            found = gradient(candidate, copy.deepcopy(case.args))
            wanted = gradient(self.solution, copy.deepcopy(case.args))
            if found is not None and (found - wanted).norm() > 1e-3 * wanted.norm():
                what = "the values are right, the gradient of the input is not"
                raise Problem(what, GRADIENTS, values_right=True)

    def answer(self, case, function=None):
        """What `function`, or the solution, gives for a case."""
        return (function or self.solution)(*copy.deepcopy(case.args))

    def gap(self, expected, got):
        """The `Problem` with the first difference between two answers, or None."""
        return difference(expected, got, self.tolerance, self.parts)

    def makes(self, mistake, result):
        """True if this mistake gives what the candidate gave for a case."""
        try:
            answer = self.answer(result.case, mistake.function)
        except (ArithmeticError, RuntimeError, ValueError, TypeError) as error:
            return getattr(result.problem, "raised", None) == brief(error)
        return result.got is not None and not self.gap(answer, result.got)

    def note(self, results):
        """A remark on a right answer, or ""."""
        return ""


def run(function, args, call):
    """What the candidate returns; its errors become a Problem in plain words."""
    try:
        value = function(*args)
    except TimeUp:
        raise
    except BaseException as error:
        raise translate(error, function, args, call) from None
    if value is Ellipsis:
        raise NotAttempted
    return value


@cache
def read_mistakes():
    file = Path(__file__).parent / "exercises" / "mistakes.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


@cache
def source_of(function):
    """The text of a function, without its decorator."""
    source = inspect.getsource(function)
    return source[source.index(f"def {function.__name__}(") :]


def edited(function, edits):
    """The function with pieces of its text, or of what it calls in its file, replaced.

    Raises ValueError if one is missing.
    """
    names = dict(function.__globals__)
    called = (names.get(name) for name in function.__code__.co_names)
    own = [one for one in called if getattr(one, "__module__", "") == names["__name__"]]
    source = "\n".join(source_of(one) for one in (*own, function))
    for old, new in edits:
        if old not in source:
            raise ValueError(f"{function.__name__} does not hold {old!r}")
        source = source.replace(old, new)
    exec(source, names)
    return names[function.__name__]


def exercise(*cases, kind=Exercise, **options):
    """Make an `Exercise` of the solution below it."""
    return lambda solution: kind(solution, cases=cases, **options)
