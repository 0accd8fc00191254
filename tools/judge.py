"""Runs inside the kernel of a graded notebook: limits, and what `ie.check` reports.

`start(key, memory)` is called before any cell of the submission. From then on
every `ie.check.<exercise>(candidate)` publishes a verdict under `key`, a random
text that the grader knows and the submission does not.
"""

import copy
import dis
import gc
import os
import sys
import types
from contextlib import suppress
from dataclasses import fields
from unittest.mock import MagicMock

from IPython import get_ipython
from torch import nn

from inception_edu.lesson import checking

MIME = "application/vnd.inception-edu.verdict+json"
PACKAGE = "inception_edu"
ALLOWED = ("Branches", "ConvUnit")  # what lessons build with
HANDED_OUT = {"googlenet_stage": ("InceptionModule",)}  # for one exercise
NOT_FOLLOWED = (types.ModuleType, types.FrameType, types.GeneratorType)
MAX_FILE = 256 * 2**20  # bytes of a file that a submission writes


def start(key, memory):
    """Hold this process to its limits and have every check publish its verdict."""
    shell = get_ipython()
    limit(memory)
    stand_in_for_colab()

    type(shell).ask_exit = ask_exit
    publish, parts = shell.display_pub.publish, package_parts

    def remember(self, card, candidate):
        name, made = self.exercise.name, None
        for case in self.exercise.cases[: card.kind == "right"]:
            made = candidate(*copy.deepcopy(case.args))  # maybe the package's own
        if card.kind == "open":
            status, why = "not attempted", ""
        elif source := borrowed((candidate, made), HANDED_OUT.get(name, ())):
            status, why = "failed", f"uses the package's own {source}; write your own"
        elif card.kind == "wrong":
            told = [x for x in str(card).splitlines() if not x.startswith("    |")]
            status, why = "failed", " ".join(" ".join(told).split())
        else:
            now = parts()
            changed = [part for part, one in before.items() if now.get(part) != one]
            status, why = "flagged" if changed else "passed", ""
            if changed:
                why = f"{changed[0]} of the package was changed; look at this one"
        publish({MIME: {"key": key, "exercise": name, "status": status, "why": why}})

    checking.Checker.remember = remember
    before = package_parts()


def ask_exit(self):
    raise SystemExit("the cell called exit()")


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

    def note(name, value):
        found[name] = id(value), id(getattr(value, "__code__", None))

    for home, module in list(sys.modules.items()):
        held = vars(module) if home.startswith(f"{PACKAGE}.") else {}
        for name, value in list(held.items()):
            if isinstance(value, types.FunctionType | type):
                note(f"{home}.{name}", value)
            members = dict(vars(value)) if isinstance(value, type) else {}
            for key, one in members.items():
                if callable(one) or isinstance(one, staticmethod | property):
                    note(f"{home}.{name}.{key}", one)
    for exercise in checking.check.exercises():
        given = [getattr(exercise, field.name) for field in fields(exercise)]
        found[f"exercise {exercise.name}"] = tuple(map(id, given))
    return found


def borrowed(candidate, handed_out=()):
    """The name of what the candidate uses of the package, or "" for its own code.

    Follows a candidate through its own functions and classes, their base classes
    and the names that their code looks up.
    """
    seen, waiting = {}, [candidate]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, NOT_FOLLOWED):
            continue
        seen[id(one)] = one
        subject = one if isinstance(one, types.FunctionType | type) else type(one)
        home = str(getattr(subject, "__module__", ""))
        if home.partition(".")[0] == PACKAGE:
            if subject.__name__ not in (*ALLOWED, *handed_out):
                return subject.__name__
        elif isinstance(one, types.FunctionType) and home == "__main__":
            waiting += [one.__closure__, one.__defaults__, one.__kwdefaults__]
            waiting += looked_up(one.__code__, one.__globals__)
        elif home in ("__main__", "builtins", "functools"):
            waiting += gc.get_referents(one)
        elif isinstance(one, nn.Module):
            waiting += one.modules()
    return ""


def looked_up(code, names):
    """What `a`, `a.b` and `from a import b` in the code stand for."""
    current = None
    for step in dis.get_instructions(code):
        if isinstance(step.argval, types.CodeType):
            yield from looked_up(step.argval, names)
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            current = names.get(step.argval)
        elif step.opname == "IMPORT_NAME":
            current = sys.modules.get(step.argval)
        elif step.opname in ("LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"):
            module = isinstance(current, types.ModuleType)
            current = getattr(current, str(step.argval), None) if module else None
        elif step.opname not in ("CACHE", "PUSH_NULL", "PRECALL", "EXTENDED_ARG"):
            current = None
        yield current
