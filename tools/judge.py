"""Runs inside the kernel of a graded notebook: limits, and what `ie.check` reports.

`start(key, memory)` is called before any cell of the submission. From then on
every `ie.check.<exercise>(candidate)` publishes a verdict under `key`, a random
text that the grader knows and the submission does not.
"""

import copy
import sys
from contextlib import suppress
from dataclasses import fields
from types import FunctionType
from unittest.mock import MagicMock

import torch
from IPython import get_ipython

from inception_edu.lesson import checking

MIME = "application/vnd.inception-edu.verdict+json"
# What lessons build with; and how the package imports.
ALLOWED = ("Branches", "ConvUnit", "<module>", "lazy")
HANDED_OUT = {"googlenet_stage": ("InceptionModule",)}  # for one exercise
MAX_FILE = 256 * 2**20  # bytes of a file that a submission writes


def start(key, memory):
    """Hold this process to its limits and have every check publish its verdict."""
    shell = get_ipython()
    limit(memory)
    stand_in_for_colab()

    def ask_exit(self):
        raise SystemExit("the cell called exit()")

    type(shell).ask_exit = ask_exit
    publish, parts, own = shell.display_pub.publish, package_parts, borrowed

    def remember(self, card, candidate):
        name, status, why = self.exercise.name, "failed", ""
        if card.kind == "open":
            status = "not attempted"
        elif card.kind == "wrong":
            told = [x for x in str(card).splitlines() if not x.startswith("    |")]
            why = " ".join(" ".join(told).split())
        elif used := own(candidate, self.exercise.cases[0], HANDED_OUT.get(name, ())):
            why = f"uses the package's own {used}; write your own"
        else:
            now = parts()
            changed = [part for part, one in before.items() if now.get(part) != one]
            status = "flagged" if changed else "passed"
            if changed:
                why = f"{changed[0]} of the package was changed; look at this one"
        publish({MIME: {"key": key, "exercise": name, "status": status, "why": why}})

    checking.Checker.remember = remember
    before = package_parts()


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
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))


def in_package(name):
    return str(name).partition(".")[0] == "inception_edu"


def package_parts():
    """The identity of every function, class and exercise of the package, by name."""
    found = {
        one.name: [id(getattr(one, field.name)) for field in fields(one)]
        for one in checking.check.exercises()
    }
    for module in [one for name, one in list(sys.modules.items()) if in_package(name)]:
        classes = [one for one in vars(module).values() if isinstance(one, type)]
        for home in (module, *filter(lambda one: in_package(one.__module__), classes)):
            for name, one in list(vars(home).items()):
                if isinstance(one, FunctionType | type | staticmethod | property):
                    code = getattr(one, "__code__", None)
                    found[f"{home.__name__}.{name}"] = id(one), id(code)
    return found


def borrowed(candidate, case, handed_out=()):
    """The name of what the candidate uses of the package, or "" for its own code.

    It is called once more, as the case says, and watched.
    """
    allowed, found, depth = (*ALLOWED, *handed_out), [], 0

    def watch(frame, event, _):
        nonlocal depth
        if in_package(frame.f_globals.get("__name__")) and event in ("call", "return"):
            name = frame.f_code.co_qualname.partition(".")[0]
            if event == "call" and depth == 0 and name not in allowed:
                found.append(name)
            depth += 1 if event == "call" else -1

    sys.setprofile(watch)
    try:
        made = candidate(*copy.deepcopy(case.args))
        if case.image and not found:
            made(torch.zeros(case.image))
    finally:
        sys.setprofile(None)
    modules = made.modules() if isinstance(made, torch.nn.Module) else [made]
    classes = [one for module in modules for one in type(module).__mro__]
    found += [one.__name__ for one in classes if in_package(one.__module__)]
    return next((name for name in found if name not in allowed), "")
