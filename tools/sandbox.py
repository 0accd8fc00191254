"""Runs the cells of a submission in a kernel and a folder of its own, within limits."""

import os
import secrets
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError
from nbformat import v4

from tools.judge import MIME
from tools.notebooks import ROOT, kernel_environment, own_kernel

START = 120  # seconds that a kernel gets to start
SANDBOXES = {
    "no network and nothing writable but its folder (bwrap)": (
        *("bwrap", "--die-with-parent", "--unshare-all", "--ro-bind", "/", "/"),
        *("--dev", "/dev", "--proc", "/proc", "--unsetenv", "JPY_PARENT_PID"),
    ),
    "no network, but it may write where you may (unshare)": (
        *("unshare", "--map-root-user", "--net", "--pid", "--fork", "--kill-child"),
        *("env", "--unset=JPY_PARENT_PID"),
    ),
}
NO_SANDBOX = "NO SANDBOX on this system (bwrap or unshare): code may do what you may"


@cache
def sandbox():
    """`(command, sentence)` of the system's own sandbox, tried once."""
    for sentence, command in SANDBOXES.items():
        try:
            subprocess.run([*command, "true"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return command, sentence
    return (), NO_SANDBOX


def limits(seconds, memory):
    """How a notebook is held within limits on this system, in one line."""
    capped = f"{memory:,} MiB" if os.name == "posix" else "no limit on memory here"
    return f"{seconds} s, {capped}; {sandbox()[1]}"


class Run(NotebookClient):
    """One submission in its kernel: `.verdicts`, `.errors` and `.begun` cells.

    `cells` are by their numbers; `memory` is in MiB.
    """

    def __init__(self, cells, seconds, memory):
        self.key, self.seconds = secrets.token_hex(16), seconds
        self.deadline = time.monotonic() + START
        self.verdicts, self.errors, self.begun = {}, {}, []
        start = f"tools.judge.start({self.key!r}, {memory * 2**20})"
        first = v4.new_code_cell(f"import tools.judge\n{start}\ndel tools")
        self.numbered = {0: first} | cells
        notebook = v4.new_notebook(cells=list(self.numbered.values()))
        super().__init__(notebook, allow_errors=True, startup_timeout=START)
        self.timeout_func = lambda cell: max(1, self.deadline - time.monotonic())

    def output(self, outs, msg, display_id, cell_index):
        """Keep verdicts and errors; nobody reads what else a submission shows."""
        content = msg["content"]
        verdict = content.get("data", {}).get(MIME)
        if isinstance(verdict, dict) and verdict.pop("key", "") == self.key:
            self.verdicts.setdefault(verdict["exercise"], []).append(verdict)
        if msg["msg_type"] == "error":
            error = one_line(f"{content['ename']}: {content['evalue']}")
            self.errors[self.begun[-1]] = error

    def run(self):
        """`(ended, reason)` of running all the cells."""
        # The path of a Unix socket has at most 107 characters.
        long = len(tempfile.gettempdir()) > 50 and os.path.isdir("/tmp")
        with tempfile.TemporaryDirectory(
            prefix="grade-", dir="/tmp" if long else None, ignore_cleanup_errors=True
        ) as folder:
            command, _ = sandbox()
            if command and command[0] == "bwrap":
                command = (*command, "--bind", folder, folder)
            options = {"transport": "ipc"} if command else {}
            options["connection_file"] = str(Path(folder, "kernel.json"))
            self.km = own_kernel(command, **options)
            self.resources = {"metadata": {"path": folder}}
            options = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
            options |= {"cleanup_kc": True, "env": surroundings(folder)}
            try:
                with self.setup_kernel(**options):
                    for index, (number, cell) in enumerate(self.numbered.items()):
                        self.begun.append(number)
                        self.execute_cell(cell, index)
                        if number == 0:  # now the judge is in its place
                            if self.errors:
                                raise RuntimeError(self.errors.pop(0))
                            self.deadline = time.monotonic() + self.seconds
            except CellTimeoutError:
                return "time", f"still running after {self.seconds:g} s, {self.place}"
            except Exception as error:  # garbled messages among them
                return "died", f"the kernel ended, {self.place} ({one_line(error)})"
        return "finished", ""

    @property
    def place(self):
        """Where it is, in words."""
        return f"in cell {self.begun[-1]}" if self.begun[1:] else "before its cells"


def surroundings(folder):
    """The environment variables of a submission's kernel."""
    places = ("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP", "MPLCONFIGDIR")
    places += ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "JUPYTER_RUNTIME_DIR")
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    mine = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return kernel_environment(folder) | dict.fromkeys(places, folder) | mine


def one_line(text, most=300):
    """The text on one line, without what could move a terminal's cursor."""
    text = "".join(c if c.isprintable() else " " for c in str(text))
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
