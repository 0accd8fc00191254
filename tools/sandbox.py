"""Run the cells of somebody's notebook where they can do little harm.

`run` is what the report starts in a process of its own. It leaves a signed
line in a file for every cell begun, every error and every exercise checked,
so that what was reached is known even if the process is killed.

This stops accidents, mischief and resignation, not a determined attacker:
whoever grades strangers does it in a container or on a machine to spare.
"""

import contextlib
import hashlib
import hmac
import json
import multiprocessing
import os
import sys

from inception_edu.lesson import checking

try:
    import resource
except ImportError:  # Windows has no such limits; the report watches instead
    resource = None

PRELOAD = (  # what a process that is forked for a notebook has imported already
    "torch",
    "IPython.core.interactiveshell",
    "matplotlib.pyplot",
    "pandas",
    "sklearn.datasets",
    "tools.sandbox",
    "inception_edu.explorers",
    "inception_edu.training",
    *(f"inception_edu.lesson.exercises.{part}" for part in checking.LIBRARY),
)
MAX_FILE = 256 * 2**20  # bytes that a file written by a notebook may have
WATCHED = ("inception_edu.lesson", "hashlib", "hmac", "json")  # see `fingerprint`
MIND = (
    (("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.spawn"), "process"),
    (("os.system", "os.startfile", "subprocess.Popen", "pty.spawn"), "process"),
    (("socket.connect", "socket.getaddrinfo", "socket.sendto"), "network"),
    (("open", "os.remove", "os.rename", "os.rmdir", "os.mkdir"), "write"),
    (("os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown"), "write"),
    (("os.utime", "os.setxattr", "os.removexattr", "sqlite3.connect"), "write"),
    (("os.kill", "os.killpg"), "kill"),
)


def run(cells, folder, record, key, memory):
    """Run the cells, pairs of number and source, in `folder`; ends the process.

    `record` is the file for the lines, which are signed with `key`; `memory` is
    the limit in bytes.
    """
    with contextlib.suppress(AttributeError):  # where there are process groups
        os.setsid()
    be_quiet()
    say = writer(record, key)
    move_to(folder)
    be_modest()
    shell = make_shell()
    watch_checks(say)
    limit(memory)
    sys.addaudithook(minder(folder))
    for number, source in cells:
        say(cell=number)
        result = shell.run_cell(source, store_history=False, silent=True)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            say(cell=number, error=checking.brief(error))
    say(done=True)
    os._exit(0)  # threads that a notebook leaves behind do not count


# ---- the record -------------------------------------------------------------


def writer(path, key):
    """A function that adds one signed line to the file."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    count = 0

    def say(**what):
        nonlocal count
        count += 1
        text = json.dumps({"line": count, **what})
        os.write(file, f"\n{sign(text, key)} {text}\n".encode())

    return say


def sign(text, key):
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def read_record(path, key):
    """What the process said, in order; lines that it did not sign are left out."""
    said = {}
    with open(path, "rb") as file:
        for line in file:
            signature, _, text = line.decode(errors="replace").strip().partition(" ")
            if hmac.compare_digest(signature.encode(), sign(text, key).encode()):
                what = json.loads(text)
                said.setdefault(what["line"], what)
    return [said[line] for line in sorted(said)]


# ---- the surroundings -------------------------------------------------------


def be_quiet():
    """No keyboard, no room for what is printed, no pipe to the process before."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(256 if hasattr(os, "fork") else 3):
        with contextlib.suppress(OSError):
            os.fstat(number)  # it is open
            os.dup2(nothing, number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = sys.stdout


def move_to(folder):
    """Work in `folder`, with everything that looks for a home there as well."""
    os.chdir(folder)
    places = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP")
    places += ("IPYTHONDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
    os.environ.update(dict.fromkeys(places, str(folder)))
    os.environ.update(CUDA_VISIBLE_DEVICES="", MPLBACKEND="agg")
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))


def be_modest():
    """One core, since threads that wait for one spin; locks that leave no trace."""
    import torch

    torch.set_num_threads(1)
    if hasattr(os, "fork"):  # those of tqdm else outlive a process that is killed
        multiprocessing.set_start_method("fork", force=True)


def make_shell():
    """An IPython shell: magics, top-level await and display work, no kernel."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class Shell(InteractiveShell):
        def ask_exit(self):
            raise SystemExit("the cell called exit()")

        def showtraceback(self, *args, **kwargs):
            """Nobody reads it, and to colour it takes longer than most cells."""

        showsyntaxtraceback = showtraceback

        def init_sys_modules(self):
            sys.modules["__main__"] = self.user_module

    quiet = Config({"HistoryManager": {"enabled": False}})
    return Shell.instance(config=quiet)


def limit(memory):
    """Have the system itself refuse memory and files beyond the limits."""
    if resource is None:
        return
    for name, most in (("DATA", memory), ("FSIZE", MAX_FILE), ("CORE", 0)):
        with contextlib.suppress(ValueError, OSError):  # an even lower one holds
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))


def minder(folder):
    """An audit hook: no other process, no network, nothing written elsewhere.

    Python calls it before it does such a thing; it cannot be taken out again.
    """
    minds = {event: kind for events, kind in MIND for event in events}
    home = os.path.realpath(folder) + os.sep
    real, decode, own = os.path.realpath, os.fsdecode, os.getpid()
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def inside(path):
        if isinstance(path, int):  # a file that is open already
            return True
        path = real(decode(path))
        return path == real(os.devnull) or (path + os.sep).startswith(home)

    def mind(event, args):
        kind = minds.get(event)
        if kind is None:
            return
        if kind == "process":
            raise PermissionError("a graded notebook may start no other process")
        if kind == "network":
            raise PermissionError("a graded notebook has no network")
        if kind == "kill" and args[0] != own:
            raise PermissionError("a graded notebook may end no other process")
        if event == "open" and not (args[2] or 0) & writing:
            return
        if kind == "write":
            both = event in ("os.rename", "os.link", "os.symlink")
            for path in args[: 1 + both]:
                if not inside(path):
                    raise PermissionError(
                        f"a graded notebook may write in its own folder only, "
                        f"not to {path!r}"
                    )

    return mind


# ---- the checks -------------------------------------------------------------


def watch_checks(say):
    """Have every `ie.check.<exercise>(...)` leave a line, whoever calls it.

    The judge and the exercises are those of now, before any cell has run.
    """
    judge, Feedback = checking.judge, checking.Feedback
    exercises = {one.name: one for one in checking.check.exercises()}
    before = None

    def judged(exercise, candidate):
        name = exercise.name
        if is_ours(candidate):
            line = f"[x] {name}: this is the package's own code; write your own"
            feedback = Feedback(name, (line,))
        else:
            feedback = judge(exercises[name], candidate)
        after = fingerprint(exercises)
        if any(after.get(part) != before[part] for part in before):
            line = f"[x] {name}: not judged, since the checker was changed"
            feedback = Feedback(name, (line,))
        printed = ("    your code printed", "    |")
        why = [line for line in feedback.lines if not line.startswith(printed)]
        say(
            exercise=name,
            passed=feedback.passed,
            attempted=feedback.attempted,
            why=" ".join(" ".join(why).split()),
        )
        return feedback

    checking.Checker.judge = staticmethod(judged)
    before = fingerprint(exercises)


def is_ours(candidate):
    """True for a function or class that the package brings along."""
    home = getattr(candidate, "__module__", None)
    return isinstance(home, str) and home.partition(".")[0] == "inception_edu"


def fingerprint(exercises):
    """What the checker consists of, by name: one that was replaced has another id."""
    parts = {}
    for name, module in list(sys.modules.items()):
        if name in WATCHED or name.startswith(tuple(f"{one}." for one in WATCHED)):
            for key, value in list(vars(module).items()):
                parts[name, key] = identity(value)
                if isinstance(value, type):
                    for inner, one in list(vars(value).items()):
                        parts[name, key, inner] = identity(one)
    for name, exercise in exercises.items():
        for key, value in vars(exercise).items():
            parts["exercise", name, key] = identity(value)
    return parts


def identity(value):
    function = getattr(value, "__func__", value)
    return id(value), id(getattr(function, "__code__", None))
