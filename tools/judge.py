"""Runs inside the kernel of a graded notebook: limits, and what `ie.check` reports.

`start(key, memory)` is called before any cell of the submission. From then on
every `ie.check.<exercise>(candidate)` publishes a verdict under `key`, a random
text that the grader knows and the submission does not.
"""

import dis
import os
import sys
import types
from contextlib import suppress
from unittest.mock import MagicMock

from inception_edu.lesson import checking

MIME = "application/vnd.inception-edu.verdict+json"
PACKAGE = "inception_edu"
ALLOWED = ("Branches", "ConvUnit")  # what lessons build with
MAX_FILE = 256 * 2**20  # bytes of a file that a submission writes


def start(key, memory):
    """Hold this process to its limits and have every check publish its verdict."""
    from IPython import get_ipython

    shell = get_ipython()
    limit(memory)
    stand_in_for_colab()

    def ask_exit(self):
        raise SystemExit("the cell called exit()")

    type(shell).ask_exit = ask_exit
    publish, judge = shell.display_pub.publish, checking.judge
    exercises = {one.name: one for one in checking.check.exercises()}

    def call(self, *candidates, **others):
        if len(candidates) != 1 or others:
            return
        name, candidate = self.exercise.name, candidates[0]
        feedback = judge(exercises[name], candidate)
        status = "passed" if feedback.passed else "failed"
        why = [one for one in feedback.lines if not one.startswith("    |")]
        if not feedback.attempted:
            status, why = "not attempted", []
        elif source := borrowed(candidate):
            status = "failed"
            why = [f"uses the package's own {source}; write your own"]
        now = parts()
        changed = [part for part, one in before.items() if now.get(part) != one]
        if changed and status == "passed":
            status = "flagged"
            why = [f"{changed[0]} of the package was changed; look at this one"]
        why = " ".join(" ".join(why).split()) if status != "passed" else ""
        verdict = {"key": key, "exercise": name, "status": status, "why": why}
        publish({MIME: verdict}, {})

    checking.Checker.__call__ = call
    parts = package_parts
    before = parts()


def stand_in_for_colab():
    """Have `from google.colab import drive; drive.mount(...)` do nothing."""
    colab = MagicMock(__path__=[], __spec__=None)
    with suppress(ImportError):
        import google  # other packages live in it as well
    google = sys.modules.setdefault("google", MagicMock(__path__=[], __spec__=None))
    google.colab = colab
    for name in ("google.colab", "google.colab.patches", "google.colab.output"):
        sys.modules.setdefault(name, colab)


def limit(memory):
    """Have the system refuse memory (in bytes) and files beyond the limits."""
    with suppress(ImportError):  # Windows has no such limits
        import resource

        for name, most in (("DATA", memory), ("FSIZE", MAX_FILE), ("CORE", 0)):
            with suppress(AttributeError, ValueError, OSError):
                resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    os.environ.pop("PYTHONPATH", None)


def package_parts():
    """The identity of every function, class and exercise of the package, by name."""
    found = {}
    for module in list(sys.modules.values()):
        if not getattr(module, "__name__", "").startswith(f"{PACKAGE}."):
            continue
        for name, value in list(vars(module).items()):
            if not isinstance(value, types.FunctionType | type):
                continue
            where = f"{module.__name__}.{name}"
            found[where] = identity(value)
            if isinstance(value, type):
                for key, one in list(vars(value).items()):
                    if callable(one) or isinstance(one, staticmethod | property):
                        found[f"{where}.{key}"] = identity(one)
    for exercise in checking.check.exercises():
        found[f"exercise {exercise.name}"] = tuple(map(id, vars(exercise).values()))
    return found


def identity(value):
    return id(value), id(getattr(value, "__code__", None))


def borrowed(candidate):
    """The name of what the candidate uses of the package, or "" for its own code.

    Follows a candidate through its own functions and classes, their base classes
    and the names that their code looks up.
    """
    seen, waiting = {}, [candidate]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        subject = one if isinstance(one, types.FunctionType | type) else type(one)
        home = str(getattr(subject, "__module__", ""))
        if home.partition(".")[0] == PACKAGE:
            if subject.__name__ not in ALLOWED:
                name = subject.__name__
                return "answer" if name == "<lambda>" else name
        elif home in ("__main__", "builtins", "functools"):
            waiting += uses(one)
        elif hasattr(one, "modules") and not isinstance(one, type):
            waiting += one.modules()
    return ""


def uses(value):
    """The functions, classes and objects that a value of a notebook rests on."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list | tuple | set):
        return list(value)
    if isinstance(value, type):
        return [*value.__mro__[1:], *vars(value).values()]
    if not isinstance(value, types.FunctionType):
        parts = ("func", "__func__", "__self__", "fget")
        held = getattr(value, "__dict__", {})
        return [type(value), *held.values(), *(getattr(value, p, None) for p in parts)]
    found = [cell.cell_contents for cell in value.__closure__ or () if is_set(cell)]
    found += value.__defaults__ or ()
    codes = [value.__code__]
    for code in codes:
        codes += [one for one in code.co_consts if isinstance(one, types.CodeType)]
        found += looked_up(code, value.__globals__)
    return found


def is_set(cell):
    try:
        return cell.cell_contents is not None
    except ValueError:  # a name that gets its value later
        return False


def looked_up(code, names):
    """What `a`, `a.b` and `from a import b` in the code stand for."""
    current = None
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            current = names.get(step.argval)
        elif step.opname == "IMPORT_NAME":
            current = sys.modules.get(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
            module = isinstance(current, types.ModuleType)
            current = getattr(current, str(step.argval), None) if module else None
        elif step.opname not in ("CACHE", "PUSH_NULL", "PRECALL", "EXTENDED_ARG"):
            current = None
        if current is not None and not isinstance(current, types.ModuleType):
            yield current
