"""Trainings in processes of their own, which the training explorer starts.

Neither the notebook's cells nor torch's random numbers in them notice. A thread
reads what the process reports after every epoch. Pause ends the process; the next
start with the same settings continues from the last complete epoch, to the same
weights as without a pause.
"""

import json
import subprocess
import sys
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

from inception_edu.training import recipes
from inception_edu.training.history import History

RECIPES = {"quick": recipes.quick, "v1": recipes.v1, "v3": recipes.v3}
MOST_RUNS = 6  # that a reader can tell apart
SETTINGS = ("model", "recipe", "epochs", "images", "seed")  # of a run


@dataclass
class Run:
    """One training: its settings, its history so far, and its status."""

    name: str
    epochs: int
    settings: dict | None = None  # None: it was trained elsewhere
    history: History | None = None
    process: subprocess.Popen | None = None
    stopped: bool = False
    error: str = ""

    @property
    def status(self):
        """ "training", "paused", "failed" or "done"."""
        if self.process and not self.stopped:
            return "training"
        if self.error:
            return "failed"
        return "paused" if self.done < self.epochs else "done"

    @property
    def done(self):
        """How many epochs are behind it."""
        epoch = self.history.epoch if self.history else ()
        return epoch[-1] if epoch else 0


# The path, so that the child finds the package wherever this process found it.
CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.readline()); "
    "from inception_edu.explorers.training_runs import work; work()"
)


def work():
    """What the process does: `fit`, and a line of JSON after every epoch."""
    from inception_edu.training import digits_at_scale, fit

    settings, out = json.loads(sys.stdin.readline()), sys.stdout
    sys.stdout = sys.stderr  # nothing but JSON may go where the parent listens

    def report(message):
        print(json.dumps(message), file=out, flush=True)

    try:
        fit(
            settings["model"],
            digits_at_scale(settings["images"]),
            RECIPES[settings["recipe"]],
            settings["epochs"],
            settings["seed"],
            progress=False,
            checkpoint=settings["checkpoint"],
            callback=lambda history: report(history.as_dict()),
        )
    except BrokenPipeError:  # the notebook is gone
        pass
    except Exception as error:
        report({"error": str(error) or type(error).__name__})


def end(runs):
    """Stop every process; also called when Python ends."""
    for run in runs:
        if run.process:
            run.stopped = True
            run.process.terminate()


@dataclass(eq=False)
class Trainer:
    """The runs of one explorer, and what its buttons do."""

    runs: list = field(default_factory=list)
    changed: object = lambda: None  # called after every epoch, from a thread

    def __post_init__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.threads = []
        weakref.finalize(self, end, self.runs)

    @property
    def active(self):
        """The run that is training, or None."""
        return next((run for run in self.runs if run.status == "training"), None)

    def train(self, values):
        """Start a run with these settings, or go on with the one that was paused."""
        if self.active:
            raise ValueError(f"{self.active.name} is training; press Pause first")
        settings = {name: values[name] for name in SETTINGS}
        known = [run for run in self.runs if run.settings == settings]
        if known and known[0].status == "done":
            raise ValueError(
                f"{known[0].name} is trained, and would come out the same again; "
                "choose another seed, or press Clear"
            )
        if not known and len(self.runs) >= MOST_RUNS:
            raise ValueError(f"{MOST_RUNS} runs fill the picture; press Clear first")
        if not known:
            name = f"{values['model']} {values['recipe']} {values['seed']}"
            known = [Run(name, values["epochs"], settings)]
            self.runs += known
        self.start(known[0])

    def start(self, run):
        """A child process for `run`, and a thread that listens to it."""
        number = self.runs.index(run)
        checkpoint = Path(self.folder.name) / f"{number}-{id(run)}.pt"
        run.stopped, run.error = False, ""
        run.process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            start_new_session=True,  # the notebook's stop button stops a cell, not it
        )
        for line in (sys.path, run.settings | {"checkpoint": str(checkpoint)}):
            print(json.dumps(line), file=run.process.stdin, flush=True)
        listener = Thread(target=self.listen, args=(run, run.process), daemon=True)
        self.threads.append(listener)
        listener.start()

    def listen(self, run, process):
        """Take in what the process reports, until it ends."""
        with process:
            for line in process.stdout:
                report = json.loads(line)
                run.error = report.get("error", "")
                if not run.error:
                    run.history = History.from_dict(report)
                self.changed()
        if run.process is process:  # and not one that was started since
            run.process = None
            if run.status == "paused" and not run.stopped:
                run.error = f"it ended by itself (exit code {process.returncode})"
        self.changed()

    def pause(self, values=None):
        """Stop the run; the checkpoint of its last complete epoch is kept."""
        if not self.active:
            raise ValueError("nothing is training; press Train first")
        end([self.active])

    def clear(self, values=None):
        """Stop and forget every run."""
        end(self.runs)
        self.runs.clear()

    def wait(self, seconds=None):
        """Until nothing trains; for programs. Returns whether that is so."""
        for thread in self.threads:
            thread.join(seconds)
        return not self.active
