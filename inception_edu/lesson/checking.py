"""Feedback on an exercise: `check.<exercise>(candidate)` prints, and never raises.

An `Exercise` is a right answer, a table of cases and the known mistakes, each
a wrong answer with the hint that mends it. `Trial` collects what happened;
`judge` runs one candidate behind the guard and gives a `Feedback`.
"""

import dis
import importlib
import inspect
import re
import textwrap
import traceback
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import FunctionType

from inception_edu.lesson.guard import SECONDS, TimeUp, guarded
from inception_edu.lesson.values import difference, named, show, spare, untouched

WIDTH = 78
SHOWN = 3  # different failures printed in full
OURS = str(Path(__file__).parents[1])  # the package itself
LIBRARY = ("v1", "factorized", "training_tricks", "family")


class NotAttempted(Exception):
    """The stub is still a stub."""


class Failed(Exception):
    """One check failed: what happened, and a hint ("" when there is none)."""

    def __init__(self, what, hint=""):
        super().__init__(what)
        self.what, self.hint = what, hint


class Hopeless(Failed):
    """A failure that makes the cases after it meaningless."""


@dataclass(frozen=True)
class Exercise:
    """One exercise. `call` is how the candidate is called, e.g. "f(a, b)".

    `judge(trial, candidate)` walks through the cases of the kind of exercise
    that the subclass is.
    """

    name: str
    lesson: int
    call: str
    task: str

    def judge(self, trial, candidate):
        raise NotImplementedError


@dataclass(frozen=True)
class Case:
    """What a candidate is called with, and how to name that in a sentence."""

    args: tuple
    label: str = ""

    def named(self, name):
        """The call as a reader would write it: `conv_params(3, 64, 7)`."""
        return f"{name}({self.label or ', '.join(named(arg) for arg in self.args)})"


@dataclass(frozen=True)
class FunctionExercise(Exercise):
    """The candidate is a function that returns numbers or tensors.

    `right` and every value of `mistakes` (hint -> function) have the
    candidate's signature. `drive(function, *args)` says how a case uses the
    function when once is not enough. `parts` names the members of a tuple.
    """

    right: object = None
    cases: tuple = ()
    mistakes: dict = field(default_factory=dict)
    drive: object = None
    parts: tuple = ()
    tolerance: float = 1e-6

    def judge(self, trial, candidate):
        for case in self.cases:
            with trial.case(case.named(self.name)):
                self.judge_case(trial, candidate, case)

    def judge_case(self, trial, candidate, case):
        expected = self.answer(self.right, case)
        inputs = spare(case.args)
        calls = Calls(trial, candidate, self)
        try:
            got = self.drive(calls, *inputs) if self.drive else calls(*inputs)
        except Failed as failed:
            failed.hint = self.diagnose_error(failed.what, case) or failed.hint
            raise
        if not untouched(case.args, inputs):
            raise Failed(
                "the inputs were changed",
                "your code writes into what it is given (`+=`, `append`, a method "
                "ending in _): make a new value instead",
            )
        gap = difference(expected, got, self.parts, self.tolerance)
        if gap:
            raise Failed(gap.text, gap.hint or self.diagnose(gap, got, expected, case))

    def answer(self, function, case):
        inputs = spare(case.args)
        return self.drive(function, *inputs) if self.drive else function(*inputs)

    def diagnose_error(self, what, case):
        """The hint of the known mistake that raises what the candidate raised."""
        for hint, wrong in self.mistakes.items():
            try:
                self.answer(wrong, case)
            except (ArithmeticError, RuntimeError, ValueError) as error:
                if what.startswith(f"your code raised {brief(error)}"):
                    return hint
        return ""

    def diagnose(self, gap, got, expected, case):
        """The hint of the known mistake that gives what the candidate gave."""
        answers = {}
        for hint, wrong in self.mistakes.items():
            try:
                answers[hint] = self.answer(wrong, case)
            except (ArithmeticError, RuntimeError, ValueError):
                continue  # a mistake that this case does not allow

        def same(a, b, parts=()):
            return not difference(a, b, parts, self.tolerance)

        for hint, answer in answers.items():
            if same(answer, got, self.parts):
                return hint
        if gap.part is not None:  # one member of the tuple is wrong: compare that one
            for hint, answer in answers.items():
                ours, theirs = expected[gap.part], got[gap.part]
                if same(answer[gap.part], theirs) and not same(answer[gap.part], ours):
                    return hint
        return ""


class Calls:
    """The candidate as a function whose errors are told apart from ours."""

    def __init__(self, trial, candidate, exercise):
        self.trial, self.candidate, self.exercise = trial, candidate, exercise

    def __call__(self, *args):
        value = self.trial.call(self.candidate, *args)
        if value is Ellipsis:
            raise NotAttempted
        if value is None:
            raise Failed(
                "your function returned None", "is a `return` missing at its end?"
            )
        if inspect.isgenerator(value) or inspect.iscoroutine(value):
            value.close()
            raise Failed(
                f"your function returned a {type(value).__name__}",
                "use `return`, not `yield`, and no `async`",
            )
        wanted = len(self.exercise.parts)
        is_tuple = isinstance(value, tuple | list)
        if wanted and not (is_tuple and len(value) == wanted):
            raise Failed(
                f"expected {wanted} values, got {show(value)}",
                f"return them together: return {', '.join(self.exercise.parts)}",
            )
        return tuple(value) if wanted else value


class Trial:
    """What happened so far: `case` is one check, `call` runs the candidate."""

    def __init__(self, exercise):
        self.exercise = exercise
        self.passed, self.failures, self.doing = 0, [], ""

    def case(self, label):
        self.doing = label
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if error is None:
            self.passed += 1
        elif isinstance(error, Failed):
            self.failures.append((self.doing, error.what, error.hint))
        elif isinstance(error, Exception) and not isinstance(error, NotAttempted):
            # A result so odd that looking at it fails.
            self.failures.append(
                (
                    self.doing,
                    f"what your code returned cannot be read: {brief(error)}",
                    "return plain numbers, tensors or modules",
                )
            )
        else:
            return False
        return not isinstance(error, Hopeless)

    def call(self, function, *args):
        """What the candidate returns; its errors become a Failed in plain words."""
        try:
            return function(*args)
        except TimeUp:
            raise
        except BaseException as error:
            raise self.translate(error, function, args) from None

    def translate(self, error, function, args):
        if met_a_gap(error) or is_a_stub(error):
            return NotAttempted()
        if isinstance(error, SystemExit):
            return Failed("your code called exit()", "leave it out: use `return`")
        if isinstance(error, TypeError) and not fits(function, args):
            return Hopeless(
                f"your code does not take these {len(args)} inputs",
                f"the exercise calls {self.exercise.call}",
            )
        return Failed(
            f"your code raised {brief(error)}{place(error, function)}", remedy(error)
        )


def met_a_gap(error):
    """Whether something was done with `...`, which stands where code is to come."""
    text = brief(error, 2_000)
    if isinstance(error, TypeError | AttributeError):
        return "ellipsis" in text.lower()
    return "dtype of ellipsis" in text  # torch.tensor(...)


def is_a_stub(error):
    """Whether the reader's own `raise NotImplementedError` was met.

    Torch raises it too, for what it cannot do with a dtype or a device.
    """
    if not isinstance(error, NotImplementedError) or error.__traceback__ is None:
        return False
    step = error.__traceback__
    while step.tb_next:
        step = step.tb_next
    code = step.tb_frame.f_code
    raised = dis.opname[code.co_code[step.tb_lasti]] == "RAISE_VARARGS"
    return raised and "site-packages" not in code.co_filename


REMEDIES = {
    r"Sizes of tensors must match except in dimension 1\b": (
        "the branches end on different grids: a convolution or pool has no "
        "padding (3x3 needs 1, 5x5 needs 2) or a stride that the others lack"
    ),
    r"Sizes of tensors must match except in dimension \d": (
        "torch.cat joins along the wrong dimension: channels are dimension 1, "
        "torch.cat(outputs, dim=1)"
    ),
    r"to have \d+ channels, but got \d+ channels": (
        "a convolution is given more or fewer channels than its in_channels: "
        "check which output it reads"
    ),
    r"The size of tensor a .* must match": (
        "two tensors whose shapes do not fit are added or multiplied: print both shapes"
    ),
    r"mat1 and mat2 shapes cannot be multiplied": (
        "a linear layer or matmul gets another width than it was made for: "
        "print the shape that comes in"
    ),
    r"missing the required \"forward\" function": (
        "the class has no `forward`: check its name and that it is indented "
        "inside the class"
    ),
    r"(module|parameters?) before Module\.__init__": (
        "begin __init__ with super().__init__()"
    ),
    r"^RecursionError": "the function calls itself and never stops",
    r"^EOFError": "a check cannot type: take the inputs as arguments, not by input()",
    r"^UnboundLocalError": (
        "this name gets its value on another way through the code only: in a "
        "branch that was not taken, or further down. Set it before, for every way"
    ),
    r"^NameError": ("is the name spelt right, and was the cell that defines it run?"),
    r"'NoneType' object": "something is None: is a `return` missing?",
    r"operand type.*'NoneType'": (
        "something is None: an input that may be None, or a missing `return`?"
    ),
    r"^KeyError": "the column names are those of the exercise: print the table's keys",
    r"can only concatenate tuple": (
        "a comma makes a tuple: write a large number as 317_632, not 317,632"
    ),
    r"^MemoryError|can't allocate memory": "far too much memory: check the sizes",
}


def remedy(error):
    """The hint for an error that readers meet often, or ""."""
    text = brief(error, 2_000)
    return next((hint for key, hint in REMEDIES.items() if re.search(key, text)), "")


def brief(error, most=160):
    """An error on one line, without addresses, cut after so many characters."""
    try:
        text = str(error)
    except Exception:
        text = ""
    text = re.sub(r"0x[0-9a-fA-F]+", "0x...", " ".join(text.split()))
    text = text if len(text) <= most else f"{text[: most - 3]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place(error, function):
    """ " in line 3: return a / 0", for an error inside the candidate's own code."""
    parts = [getattr(function, name, None) for name in ("forward", "__init__")]
    codes = [getattr(part, "__code__", None) for part in (function, *parts)]
    homes = {code.co_filename for code in codes if inspect.iscode(code)}
    homes = {h for h in homes if "site-packages" not in h and not h.startswith(OURS)}
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in homes]
    if not own:
        return ""
    return f" in line {own[-1].lineno}" + (f": {own[-1].line}" if own[-1].line else "")


def fits(function, args):
    """False when the function cannot take these arguments at all."""
    try:
        inspect.signature(function).bind(*args)
    except TypeError:
        return False
    except ValueError:  # a built-in that does not tell
        return True
    return True


def is_stub(function):
    """True for a function whose body is a docstring, `...`, `pass` or nothing."""
    if not isinstance(function, FunctionType):
        return False
    does = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    steps = list(dis.get_instructions(function))
    if any(step.opname not in does for step in steps):
        return False
    loaded = [step.argval for step in steps if "CONST" in step.opname]
    return all(value is None or value is Ellipsis for value in loaded)


@dataclass(frozen=True)
class Feedback:
    """What `check` prints: `.lines`, and whether all `.passed`."""

    name: str
    lines: tuple
    passed: bool = False
    attempted: bool = True

    def __str__(self):
        """As text that every screen can print: half a character becomes a "?"."""
        return "\n".join(self.lines).encode(errors="replace").decode()


def judge(exercise, candidate, seconds=SECONDS):
    """The `Feedback` on one candidate. Never raises; takes about `seconds` at most."""
    trial = Trial(exercise)
    outcome = guarded(lambda: attempt(exercise, trial, candidate), seconds)
    printed = printed_lines(outcome)
    if isinstance(outcome.error, NotAttempted):
        return not_yet(exercise, printed)
    if outcome.stopped == "time":
        hint = "is there a loop that never ends?"
        if outcome.runs_on:
            hint += " It could not be stopped: restart the kernel"
        trial.failures.append(
            (trial.doing, f"still running after {seconds:g} seconds", hint)
        )
    elif outcome.stopped == "reader":
        trial.failures.append((trial.doing, "stopped before it ended", ""))
    elif outcome.error is not None and not isinstance(outcome.error, Hopeless):
        trial.failures.append(
            (trial.doing, f"the check met {brief(outcome.error)}", "try again")
        )
    return report(exercise, trial, printed)


def attempt(exercise, trial, candidate):
    """Refuse what is no candidate, then let the exercise judge it."""
    trial.doing = exercise.name
    if is_stub(candidate):
        raise NotAttempted
    if candidate is None or candidate is Ellipsis:
        raise NotAttempted
    if not callable(candidate):
        with trial.case(exercise.name):
            raise Hopeless(
                f"this is {show(candidate)}, not a function or a class",
                f"pass your code itself, without calling it: "
                f"ie.check.{exercise.name}({exercise.name})",
            )
    exercise.judge(trial, candidate)


def not_yet(exercise, printed=()):
    text = (
        f"[ ] {exercise.name}: not attempted yet. Write {exercise.call} "
        "in place of `raise NotImplementedError` and run this cell again."
    )
    return Feedback(exercise.name, (*printed, *fold(text)), attempted=False)


def report(exercise, trial, printed):
    lines, hints, shown = list(printed), set(), set()
    for label, what, hint in trial.failures:
        if what in shown or len(shown) == SHOWN:
            continue  # the same again says nothing new
        shown.add(what)
        lines += fold(f"[x] {label}: {what}")
        if hint and hint not in hints:
            lines += fold(f"    -> {hint}")
            hints.add(hint)
    if trial.failures:
        total = trial.passed + len(trial.failures)
        lines.append(f"[x] {exercise.name}: {trial.passed} of {total} checks passed")
    else:
        lines.append(f"[ok] {exercise.name}: {trial.passed} checks passed")
    return Feedback(exercise.name, tuple(lines), passed=not trial.failures)


def fold(text):
    """The text in lines of 78 characters, the later ones indented."""
    later = "       " if text.startswith(" ") else "    "
    return textwrap.wrap(text, WIDTH, subsequent_indent=later, break_on_hyphens=False)


def printed_lines(outcome, most=8):
    """What the candidate printed, indented and cut, so that `print` still helps."""
    if not outcome.printed.strip():
        return ()
    lines = outcome.printed.rstrip("\n").split("\n")
    cut = outcome.cut + sum(len(line) + 1 for line in lines[most:])
    shown = [f"    | {line[:WIDTH]}" for line in lines[:most]]
    if outcome.stopped:  # how much came before the end is chance
        shown.append("    | ... and more")
    elif cut:
        shown.append(f"    | ... and {cut:,} characters more")
    return ("    your code printed:", *shown)


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
            print(
                f"[ ] {name}: give it your own code, and only that:\n"
                f"    ie.check.{name}({name})"
            )
            return
        feedback = self.judge(self.exercise, candidates[0])
        print(feedback)
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
            for part in LIBRARY:
                module = importlib.import_module(
                    f"inception_edu.lesson.exercises.{part}"
                )
                self._known |= {one.name: one for one in module.EXERCISES}
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
        print(
            "[ ] name the exercise: ie.check.naive_module(NaiveModule), for "
            "example.\n    ie.check.exercises() lists all."
        )

    def __dir__(self):
        return ["exercises", *self._library()]

    def __repr__(self):
        return f"ie.check.<exercise>(your code), {len(self._library())} exercises"


check = Check()
