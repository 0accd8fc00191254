"""Run a student's code so that it can neither hang the notebook nor change it.

The code runs on a thread of its own with a deadline. What it prints is held back,
what it raises is caught, and the random state is restored.
"""

import ctypes
import random
import sys
import threading
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from unittest.mock import patch

import numpy as np

from inception_edu.cards import ipython_shell
from inception_edu.lesson.errors import Problem

SECONDS = 5.0  # of computing, for all cases of one exercise together
WAITING = 4  # times as long by the clock: a busy machine, or a candidate that sleeps
GRACE = 1.0  # seconds in which a thread that is told to stop has to end
KEPT = 100_000  # characters of what the candidate prints
THREAD = "check of an exercise"


class TimeUp(BaseException):
    """Raised in the candidate's thread; not an Exception, so that few catch it."""


def guarded(work, seconds=SECONDS):
    """`(printed, error)` of `work()`, after at most `seconds` of the process's time.

    The error is what it raised, the Problem with being stopped, or None. A bare
    `except:` around an endless loop, and a built-in call that never returns, cannot
    be ended from outside. RuntimeError for a check inside a check.
    """
    if threading.current_thread().name == THREAD:
        raise RuntimeError(
            "a check stands inside the function that is checked: move that line out "
            "of the function, to the left margin"
        )
    printed, raised = StringIO(), []
    printed.close = lambda: None  # for `sys.stdout.close()`

    def body():
        with suppress(TimeUp):  # one that comes late
            try:
                work()
            except BaseException as error:
                raised.append(error)

    with restored(), redirect_stdout(printed), redirect_stderr(printed):
        worker = threading.Thread(target=body, name=THREAD, daemon=True)
        worker.start()
        stopped = wait(worker, seconds, printed)
        if not stop(worker):
            stopped.hint += " It could not be stopped: restart the kernel."
    return printed.getvalue(), stopped or next(iter(raised), None)


def wait(worker, seconds, printed):
    """None once the thread has ended, else the Problem that ended the wait.

    What it printed is cut here and not as it is written: a thread that cannot be
    stopped goes on writing after our stream is gone.
    """
    start, computed = time.monotonic(), time.process_time()
    try:
        while worker.is_alive():
            worker.join(0.05)  # short, so that the stop button works
            if printed.tell() > KEPT:
                printed.seek(KEPT)
                printed.truncate()
            late = time.monotonic() - start > WAITING * seconds
            late |= time.process_time() - computed > seconds
            if late and worker.is_alive():
                what = f"still running after {seconds:g} seconds"
                return Problem(what, "is there a loop that never ends?")
    except KeyboardInterrupt:
        return Problem("stopped before it ended")


def stop(worker):
    """True when the thread ended after TimeUp was raised in it, again and again."""
    deadline = time.monotonic() + GRACE
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    while worker.is_alive() and time.monotonic() < deadline:
        raise_in(ctypes.c_ulong(worker.ident), ctypes.py_object(TimeUp))
        with suppress(KeyboardInterrupt):
            worker.join(0.02)
    return not worker.is_alive()


@contextmanager
def restored():
    """Restore random states and torch's settings; no `input()`, no `exit()`."""
    import torch

    from inception_edu.isolation import isolated

    drawn, drawn_by_numpy = random.getstate(), np.random.get_state()
    dtype, shell = torch.get_default_dtype(), ipython_shell() or sys
    try:
        with (
            isolated(threads=1),  # faster for small tensors
            patch("builtins.input", no_keyboard),
            patch.object(shell, "ask_exit", sys.exit, create=True),  # IPython's exit()
        ):
            yield
    finally:
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)
        torch.set_default_dtype(dtype)


def no_keyboard(prompt=""):
    """Stand in for `input`, which would wait for ever."""
    raise EOFError("a check cannot type an answer")
