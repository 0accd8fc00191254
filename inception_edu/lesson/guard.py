"""Run a student's code so that it can neither hang the notebook nor change it.

The code runs on a thread of its own with a deadline. What it prints is held back,
what it raises is caught, and the random state and other settings are restored.
"""

import builtins
import contextlib
import ctypes
import io
import os
import random
import sys
import threading
import time
import warnings
from dataclasses import dataclass

SECONDS = 5.0  # of computing, for all cases of one exercise together
WAITING = 4  # times as long by the clock: a busy machine, or a candidate that sleeps
IMPORTING = 60.0  # an import is never cut in half: it would fail in every later cell
GRACE = 1.0  # seconds in which a thread that is told to stop has to end
KEPT = 1_000  # characters of the candidate's own printing that are kept


class TimeUp(BaseException):
    """Raised in the candidate's thread; not an Exception, so that few catch it."""


@dataclass
class Outcome:
    """Value or error of the guarded call, and what it printed.

    `stopped` is "" for a call that ended by itself, "time" after the deadline and
    "reader" after an interrupt; `runs_on` is True if the thread could not be ended.
    """

    value: object = None
    error: BaseException | None = None
    stopped: str = ""
    runs_on: bool = False
    printed: str = ""
    cut: int = 0  # characters printed beyond those kept


class Screen(io.TextIOBase):
    """Stands in for stdout and stderr: keeps what one thread prints."""

    def __init__(self, real, outcome):
        self.real, self.outcome, self.thread = real, outcome, None

    def write(self, text):
        if threading.get_ident() != self.thread:
            return self.real.write(text)
        head = text[: KEPT - len(self.outcome.printed)]
        self.outcome.printed += head
        self.outcome.cut += len(text) - len(head)
        return len(text)

    def flush(self):
        self.real.flush()

    def close(self):
        """Stay open, whatever the candidate closes."""

    def __getattr__(self, name):
        return getattr(self.real, name)


guarding = threading.local()  # guarding.now: this thread runs a candidate
screens_used = []  # kept alive: a `print` that still runs holds no reference of its own


def guarded(work, seconds=SECONDS):
    """The `Outcome` of `work()`, after at most `seconds` of the process's own time.

    A bare `except:` around an endless loop, and a built-in call that never returns,
    cannot be ended from outside: then `runs_on` is True. RuntimeError for a check
    inside a check.
    """
    if getattr(guarding, "now", False):
        raise RuntimeError(
            "a check stands inside the function that is checked: move that line out "
            "of the function, to the left margin"
        )
    outcome = Outcome()
    screens = Screen(sys.stdout, outcome), Screen(sys.stderr, outcome)
    screens_used.extend(screens)

    def body():
        guarding.now = True
        screens[0].thread = screens[1].thread = threading.get_ident()
        with contextlib.suppress(TimeUp):  # one that comes late
            try:
                outcome.value = work()
            except BaseException as error:
                outcome.error = error
        guarding.now = False

    with restored():
        sys.stdout, sys.stderr = screens
        worker = threading.Thread(target=body, name="check", daemon=True)
        try:
            worker.start()
        except RuntimeError:  # a Python without threads, as in a web page
            body()
            screens[0].thread = screens[1].thread = None
        try:
            outcome.stopped = wait(worker, seconds)
        finally:
            outcome.runs_on = worker.is_alive() and not stop(worker)
            if not outcome.runs_on:  # else it would print into later cells
                sys.stdout, sys.stderr = screens[0].real, screens[1].real
    return outcome


def wait(worker, seconds):
    """ "" once the thread has ended, else who ended the wait: "time" or "reader"."""
    start, computed = time.monotonic(), time.process_time()
    try:
        while worker.is_alive():
            worker.join(0.05)  # short, so that the stop button works
            spent = time.monotonic() - start
            over = time.process_time() - computed > seconds or spent > WAITING * seconds
            if spent > IMPORTING or (over and not importing(worker)):
                return "time" if worker.is_alive() else ""
    except KeyboardInterrupt:
        return "reader"
    return ""


def importing(worker):
    """True while the thread is inside an import statement."""
    frame = sys._current_frames().get(worker.ident)
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def stop(worker):
    """True when the thread ended after TimeUp was raised in it, again and again."""
    deadline = time.monotonic() + GRACE
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    while worker.is_alive() and time.monotonic() < deadline:
        raise_in(ctypes.c_ulong(worker.ident), ctypes.py_object(TimeUp))
        with contextlib.suppress(KeyboardInterrupt):
            worker.join(0.02)
    return not worker.is_alive()


@contextlib.contextmanager
def restored():
    """Restore what a candidate could change for the cells that follow."""
    path, places, environment = sys.path, list(sys.path), dict(os.environ)
    states = [
        (random.setstate, random.getstate()),
        (sys.setrecursionlimit, sys.getrecursionlimit()),
    ]
    if torch := sys.modules.get("torch"):
        states.append((torch.set_num_threads, torch.get_num_threads()))
        states.append((torch.set_rng_state, torch.get_rng_state()))
        states.append((torch.set_default_dtype, torch.get_default_dtype()))
        torch.set_num_threads(1)  # faster for small tensors
    if numpy := sys.modules.get("numpy"):
        states.append((numpy.random.set_state, numpy.random.get_state()))
    with contextlib.suppress(OSError):  # the folder may be gone
        states.append((os.chdir, os.getcwd()))
    keyboard, ask = sys.stdin, builtins.input
    sys.stdin, builtins.input = io.StringIO(), no_keyboard
    try:
        with no_exit(), warnings.catch_warnings():
            yield
    finally:
        sys.stdin, builtins.input = keyboard, ask
        sys.path = path
        path[:] = places
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
        for put_back, state in states:
            put_back(state)


def no_keyboard(prompt=""):
    """Stand in for `input`, which would wait for ever."""
    raise EOFError("a check cannot type an answer")


@contextlib.contextmanager
def no_exit():
    """Keep `exit()`, which in IPython ends the kernel, to the candidate."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell:
        shell.ask_exit = sys.exit
    try:
        yield
    finally:
        if shell:
            del shell.ask_exit
