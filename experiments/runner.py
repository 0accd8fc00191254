"""Many runs, a table: `python -m experiments NAME` (docs/experiments.md).

A table is a CSV with the rows of every finished run. The command measures the runs
that its table lacks, so an interrupted experiment continues where it stopped.
"""

import argparse
import csv
import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from pathlib import Path

import torch
from joblib import Parallel, delayed, parallel_config

from inception_edu.cost import trace
from inception_edu.files import atomic_write, read_rows

SEARCH_SEEDS = (100, 101, 102)  # disjoint from those of every table that is shown
FILES = {file.stem for file in Path(__file__).parent.glob("*.py")}
NAMES = sorted(FILES - {"__init__", "__main__", "runner"})


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What one table holds, and how it is measured.

    `table`: the CSV; the columns `key` identify a run in it. `settings` are dicts;
    a run is one of them with its seed, epochs and images. A setting may have epochs
    and images of its own; "seeds" is on how many of the seeds it is measured.
    `measure(run)` returns the run's row, or a list of rows; it runs in a worker
    process, perhaps on another machine. Content under the name of a file is
    written beside the table.
    """

    table: Path
    key: tuple
    settings: list
    measure: Callable
    seeds: tuple = (0, 1, 2, 3, 4)
    epochs: int = 1
    images: int = 6000

    def runs(self, seeds=None, epochs=None, images=None):
        """All settings on the first seed, then on the second, ..."""
        found, seeds = [], seeds or self.seeds
        for index, seed in enumerate(seeds):
            for setting in self.settings:
                run = setting | {"seed": seed}
                run.setdefault("epochs", epochs or self.epochs)
                run.setdefault("images", images or self.images)
                if index < run.pop("seeds", len(seeds)):
                    found.append(run)
        return found


def settings(**values):
    """Every combination of the values as a dict, the last name changing fastest."""
    return [
        dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())
    ]


def read_table(path):
    """The rows of a CSV, dicts of text; none where there is no file."""
    return read_rows(path) if path.exists() else []


def write_table(path, content):
    """Write rows, dicts of the same columns, as a CSV; other data as packed JSON."""
    with atomic_write(path) as part:
        if path.suffix == ".csv":
            with part.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, content[0], lineterminator="\n")
                writer.writeheader()
                writer.writerows(content)
        else:  # the same bytes for the same data
            text = json.dumps(content, separators=(",", ":"))
            part.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def add_rows(path, rows):
    """Append rows to a table; ValueError when the columns differ."""
    known = read_table(path)
    if known and known[0].keys() != rows[0].keys():
        raise ValueError(
            f"{path} has the columns {', '.join(known[0])}, this run has "
            f"{', '.join(rows[0])}; name another file with --out"
        )
    write_table(path, [*known, *rows])


def run_all(experiment, runs, path, jobs=1):
    """Measure the runs that the table at `path` lacks: False when interrupted."""
    key = experiment.key
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {tuple(map(row.get, key)) for row in read_table(path)}
    missing = [run for run in runs if tuple(str(run[c]) for c in key) not in done]
    print(f"{len(runs) - len(missing)} of {len(runs)} runs are in {path.name}")
    results = Parallel(jobs, batch_size=1, return_as="generator_unordered")(
        delayed(experiment.measure)(run) for run in missing
    )
    try:
        for number, rows in enumerate(results, 1):
            rows = [rows] if isinstance(rows, dict) else rows
            for name in [name for name in rows[0] if "." in name]:  # a file
                path.with_name(name).write_bytes(rows[0].pop(name))
            add_rows(path, rows)
            shown = (c for c in (*key, "accuracy", "seconds") if c in rows[0])
            words = ", ".join(f"{column} {rows[0][column]}" for column in shown)
            print(f"{number} of {len(missing)}: {words}", flush=True)
    except KeyboardInterrupt:
        print("interrupted; the same command continues from here", file=sys.stderr)
        return False
    return True


def training_row(run, history, input_shape=(1, 3, 48, 48)):
    """The row of a training: `run`, the network's cost, what its history holds."""
    if history.interrupted:
        raise KeyboardInterrupt
    cost = trace(history.model, input_shape)
    return {
        **run,
        "macs": cost.macs,
        "params": cost.params,
        "loss": round(history.loss[-1], 4),
        "train_accuracy": round(history.train_accuracy[-1], 4),
        "accuracy": round(history.accuracy[-1], 4),
        **{s: round(a, 4) for s, a in history.accuracy_by_scale.items()},
        "seconds": round(history.seconds[-1], 1),
        "torch": torch.__version__,
    }


def main(argv=None):
    """The command: True when every run is in its table."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    add = parser.add_argument
    add("name", choices=NAMES)
    add("--search", action="store_true", help="its search for settings")
    add("--only", metavar="COLUMN=VALUE", help="some of the runs")
    add("--seeds", type=int, nargs="+")
    add("--epochs", type=int)
    add("--images", type=int, help="training images")
    add("--out", type=Path, help="the CSV to add to")
    add("--jobs", type=int, help="runs at a time; -1: one a core")
    add("--backend", default="loky", help="joblib's: loky, dask, ray")
    add("--scheduler", help="address of the Dask scheduler")
    given = parser.parse_args(argv)
    module = import_module(f"experiments.{given.name}")
    if hasattr(module, "STORED"):  # a table that is made at once
        table, contents = module.STORED
        write_table(table, contents())
        return True
    experiment = getattr(module, "SEARCH" if given.search else "EXPERIMENT", None)
    if experiment is None:
        parser.error(f"{given.name} has no search")
    runs = experiment.runs(given.seeds, given.epochs, given.images)
    if given.only:
        column, _, value = given.only.partition("=")
        runs = [run for run in runs if str(run.get(column)) == value]
        if not runs:
            parser.error(f"no run has {given.only}")
    jobs, options = given.jobs or 1, {}
    if given.backend == "dask":
        from dask.distributed import Client

        jobs, options["client"] = given.jobs or -1, Client(given.scheduler)
    with parallel_config(given.backend, **options):
        return run_all(experiment, runs, given.out or experiment.table, jobs)
