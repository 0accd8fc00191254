"""Trainings in processes of their own, which the training explorer starts.

Neither the notebook's cells nor torch's random numbers in them notice. A thread
reads what the process reports after every epoch. Pause ends the process; the next
start with the same settings continues from the last complete epoch, to the same
weights as without a pause.
"""

import json
import os
import subprocess
import sys
import tempfile
import weakref
from dataclasses import dataclass
from threading import Thread

RECIPES = ("quick", "v1", "v3")
MAX_RUNS = 6  # that a reader can tell apart
SETTINGS = ("model", "recipe", "epochs", "images", "seed")  # of a run
COMMAND = (sys.executable, "-m", __name__)  # `work`, below


@dataclass
class Run:
    """One training: its settings, its history so far, and its status."""

    settings: dict
    history: object = None  # a `training.History`
    checkpoint: str = ""
    process: subprocess.Popen | None = None
    error: str = ""

    @property
    def name(self):
        return "{model} {recipe} {seed}".format(**self.settings)

    @property
    def done(self):
        """How many epochs are behind it."""
        return len(self.history.epoch) if self.history else 0

    @property
    def status(self):
        """ "training", "paused", "failed" or "done"."""
        if self.process:
            return "training"
        if self.error:
            return "failed"
        return "paused" if self.done < self.settings["epochs"] else "done"


def end(runs):
    """Stop every process; also called when Python ends."""
    for run in runs:
        process, run.process = run.process, None
        if process:
            process.terminate()


class Trainer:
    """The runs of one explorer, and what its buttons do."""

    def __init__(self):
        self.runs, self.thread = [], None
        self.changed = lambda: None  # called after every epoch, from a thread
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        weakref.finalize(self, end, self.runs)

    @property
    def active(self):
        """The run that is training, or None."""
        return next((run for run in self.runs if run.process), None)

    def train(self, values):
        """Start a run with these settings, or go on with the one that was paused."""
        if self.active:
            raise ValueError(f"{self.active.name} is training; press Pause first")
        settings = {name: values[name] for name in SETTINGS}
        run = next((run for run in self.runs if run.settings == settings), None)
        if run is None:
            if len(self.runs) >= MAX_RUNS:
                raise ValueError(f"{MAX_RUNS} runs fill the picture; press Clear first")
            folder = tempfile.mkdtemp(dir=self.folder.name)
            run = Run(settings, checkpoint=f"{folder}/run.pt")
            self.runs.append(run)
        elif run.status == "done":
            raise ValueError(
                f"{run.name} is trained, and would come out the same again; "
                "choose another seed, or press Clear"
            )
        run.error = ""
        run.process = subprocess.Popen(
            [*COMMAND, json.dumps(settings), run.checkpoint],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            # It finds the package wherever this process found it.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # the notebook's stop button stops a cell, not it
        )
        self.thread = Thread(target=self.listen, args=(run, run.process), daemon=True)
        self.thread.start()

    def listen(self, run, process):
        """Take in what the process reports, until it ends."""
        from inception_edu.training import History, recipes  # brings torch

        with process:
            for line in process.stdout:
                report = json.loads(line)
                run.error = report.get("error", "")
                if not run.error:
                    recipe = getattr(recipes, run.settings["recipe"])
                    run.history = History(**report, recipe=recipe)
                self.changed()
        if run.process is process:  # it was not stopped
            run.process = None
            if run.status == "paused":
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


def work(settings, checkpoint):
    """What the process does: `fit`, and a line of JSON after every epoch."""
    from inception_edu.training import digits_at_scale, fit, recipes

    out, sys.stdout = sys.stdout, sys.stderr  # nothing but JSON reaches the parent

    def report(message):
        print(json.dumps(message), file=out, flush=True)

    try:
        fit(
            settings["model"],
            digits_at_scale(settings["images"]),
            getattr(recipes, settings["recipe"]),
            settings["epochs"],
            settings["seed"],
            progress=False,
            checkpoint=checkpoint,
            callback=lambda history: report(history.as_dict()),
        )
    except BrokenPipeError:  # the notebook is gone
        pass
    except Exception as error:
        report({"error": str(error) or type(error).__name__})


if __name__ == "__main__":
    work(json.loads(sys.argv[1]), sys.argv[2])
