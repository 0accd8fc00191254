"""Run somebody's code so that it can neither hang, nor shout, nor leave.

`guarded` gives a function a few seconds on a thread of its own, catches
whatever it raises, holds back what it prints, and puts the random numbers
back where they were. It works in a notebook, in a script, on every system.
"""

import builtins
import contextlib
import ctypes
import gc
import io
import os
import random
import sys
import threading
import time
import warnings
from dataclasses import dataclass

PATIENCE = 5.0  # seconds that a candidate gets, all its cases together
GRACE = 1.0  # seconds in which a thread that was told to stop has to stop,
THROWS = 50  # and how often it is told so at least: a busy machine takes longer
IMPORTS = 20.0  # seconds an import gets to its end: half a module spoils every cell
KEPT = 1_000  # characters of the candidate's own printing that are kept
PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class TimeUp(BaseException):
    """Thrown into the candidate's thread; not an Exception, so hard to swallow.

    Python makes the instance in the thread that it is thrown into, and there has
    the watch look again: raising from it, before, has taken it off.
    """

    def __init__(self):
        super().__init__()
        watch = running.get(threading.get_ident())
        if watch:
            watch.look(sys._getframe(1))


running = {}  # the watch of every thread that is being stopped, by thread
here = threading.local()  # here.guarded: this thread runs a candidate


@dataclass
class Outcome:
    """What came of `guarded`: the value or the error, and what was printed.

    `stopped` is "" when the work ended by itself, "time" when the clock ran
    out, "reader" when somebody pressed stop; `runs_on` says that the thread
    could not be ended and is left behind.
    """

    value: object = None
    error: BaseException | None = None
    stopped: str = ""
    runs_on: bool = False
    printed: str = ""
    cut: int = 0


class Muzzle(io.TextIOBase):
    """A text file that keeps the first characters and counts the others."""

    def __init__(self, kept=KEPT):
        super().__init__()
        self.kept, self.parts, self.room, self.cut = kept, [], kept, 0

    def writable(self):
        return True

    def write(self, text):
        head = text[: self.room]
        if head:
            self.parts.append(head)
            self.room -= len(head)
        self.cut += len(text) - len(head)
        return len(text)

    def close(self):
        """Stay open: a candidate may close what it thinks is the screen."""

    @property
    def text(self):
        return "".join(self.parts)


def guarded(work, seconds=PATIENCE):
    """The `Outcome` of calling `work()`, after at most about `seconds` + 1.

    Raises only for a check inside a check, RuntimeError. One thing cannot be
    stopped from outside: a single built-in call that runs for ever without giving
    other threads a turn, such as `sum(itertools.count())`.
    """
    if getattr(here, "guarded", False):  # each would wait for the next
        raise RuntimeError(
            "a check stands inside the function that is checked: move that line out "
            "of the function, to the left"
        )
    outcome, screen, watch = Outcome(), Muzzle(), Watch()

    def body():
        try:
            if torch := sys.modules.get("torch"):
                torch.set_num_threads(1)  # for small tensors more is slower
            here.guarded = True
            sys.settrace(watch)
            outcome.value = work()
        except BaseException as error:
            outcome.error = error
        finally:
            try:  # no call of Python code in here: the watch would raise in it
                sys.settrace(None)
                here.guarded = False
                running.pop(threading.get_ident(), None)
            except TimeUp:  # one that comes too late
                sys.settrace(None)

    with contextlib.ExitStack() as stack:
        stack.enter_context(same_surroundings())
        stack.enter_context(garbage_kept())
        stack.enter_context(contextlib.redirect_stdout(screen))
        stack.enter_context(contextlib.redirect_stderr(screen))
        worker = threading.Thread(target=body, name="check", daemon=True)
        try:
            worker.start()
        except RuntimeError:  # a Python without threads (in a web page)
            body()
        else:
            outcome.stopped = wait(worker, seconds)
            if outcome.stopped:
                outcome.runs_on = not stop(worker, watch)
    outcome.printed, outcome.cut = screen.text, screen.cut
    return outcome


def wait(worker, seconds):
    """ "" when the thread ended in time, else who ended the wait."""
    deadline = time.monotonic() + seconds
    try:
        while worker.is_alive():
            left = deadline - time.monotonic()
            if left <= 0:
                return "time"
            worker.join(min(left, 0.1))  # short, so that the stop button works
    except KeyboardInterrupt:
        return "reader"
    return ""


class Watch:
    """A trace function that raises TimeUp in the reader's code once time is over.

    Before that it only follows; Python takes it off a thread in which it has
    raised, and `look` puts it back. Until the clock shows `patience` an import is
    let through to its end.
    """

    over, patience = False, 0.0

    def __call__(self, frame, event, arg):
        if self.over and event != "return" and not self.waits_for(frame):
            raise TimeUp
        name = frame.f_code.co_filename
        ours = name.startswith(PACKAGE) or "site-packages" in name
        return None if ours else self

    def waits_for(self, frame):
        """Whether `frame` is part of an import, and still has time."""
        if time.monotonic() > self.patience:
            return False
        while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
            frame = frame.f_back
        return frame is not None

    def look(self, frame):
        """Watch this thread, from its running `frame` up to the oldest one."""
        sys.settrace(self)
        while frame:
            if not frame.f_code.co_filename.startswith(PACKAGE):
                frame.f_trace = self
            frame = frame.f_back


def stop(worker, watch):
    """True when the thread could be ended by throwing TimeUp into it.

    A bare `except:` may swallow one: then the watch, which the next throw puts
    back, raises the next at the first line of that `except:`.
    """
    running[worker.ident] = watch
    watch.patience, watch.over = time.monotonic() + IMPORTS, True
    worker.join(0.05)  # long enough for a loop that swallows nothing
    deadline, throws = time.monotonic() + GRACE, 0
    with contextlib.suppress(KeyboardInterrupt):  # pressed again: wait no longer
        while worker.is_alive() and (time.monotonic() < deadline or throws < THROWS):
            if watch.waits_for(sys._current_frames().get(worker.ident)):
                deadline = time.monotonic() + GRACE
            else:
                throw(worker.ident, TimeUp)
                throws += 1
            worker.join(0.01)
    if worker.is_alive():
        call_off(worker)
    return not worker.is_alive()


def throw(thread, error):
    """Have the thread raise `error` at its next step of Python code."""
    error = ctypes.py_object(error) if error else ctypes.py_object()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)


def call_off(worker):
    """Take back a throw that a blocked thread has not yet met.

    While one is on its way, Python 3.11 lets no traced thread take a step
    (the flag is one for all threads); only a throw that arrives clears it.
    """
    throw(worker.ident, None)
    try:
        throw(threading.get_ident(), TimeUp)
        for _ in range(1_000):
            pass
        throw(threading.get_ident(), None)  # it must not arrive later, elsewhere
    except TimeUp:
        pass


@contextlib.contextmanager
def garbage_kept():
    """Leave what others threw away to later.

    Collected at the bottom of a candidate's recursion, it could not close itself,
    which Python would print among what the candidate says.
    """
    if gc.get_freeze_count():  # somebody keeps it already
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextlib.contextmanager
def same_surroundings():
    """Put back, afterwards, what code could change for the cells that follow."""
    states = [
        (random.setstate, random.getstate()),
        (sys.setrecursionlimit, sys.getrecursionlimit()),
        (put_back_path, sys.path, list(sys.path)),
        (gc.enable if gc.isenabled() else gc.disable,),
        (put_back_environment, dict(os.environ)),
        (os.umask, umask()),
    ]
    if torch := sys.modules.get("torch"):
        states.append((torch.set_num_threads, torch.get_num_threads()))
        states.append((torch.set_rng_state, torch.get_rng_state()))
        states.append((torch.set_default_dtype, torch.get_default_dtype()))
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
        for put_back, *state in states:
            put_back(*state)


def put_back_path(path, places):
    """The list itself and what it held: either may have been changed."""
    sys.path = path
    sys.path[:] = places


def put_back_environment(before):
    """Only what differs: every write asks the system."""
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    for name in before:
        if os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


def umask():
    """The rights that new files do not get; asking is changing."""
    now = os.umask(0o077)
    os.umask(now)
    return now


def no_keyboard(prompt=""):
    """Stand in for `input` while a check runs."""
    raise EOFError("a check cannot type an answer")


@contextlib.contextmanager
def no_exit():
    """Keep `exit()`, which IPython turns into the end of the kernel, harmless."""
    shell = None
    if "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
    if shell is None:
        yield
        return

    def refuse():
        raise SystemExit

    shell.ask_exit = refuse
    try:
        yield
    finally:
        del shell.ask_exit
