"""Many runs, a table: `python -m experiments NAME --jobs N`.

A table is a CSV with the rows of every finished run. The command measures the runs
that its table lacks, so an interrupted experiment continues where it stopped. Runs
are distributed by joblib: over the cores of this machine with `--jobs`, over a Dask
cluster with `--backend dask --scheduler ADDRESS` (docs/experiments.md).
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from joblib import Parallel, delayed, parallel_config

from inception_edu.files import atomic_write
from inception_edu.training.stored import FOLDER

SEEDS = (0, 1, 2, 3, 4)
SEARCH_SEEDS = (100, 101, 102)  # disjoint from those of every table that is shown


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What one table holds, and how it is measured.

    `table`: the CSV. `runs(seeds, epochs, images)` lists the runs as dicts; the
    columns `key` identify one. `measure(run)` returns its row, or a list of rows, or
    None when it was interrupted; it runs in a worker process, perhaps on another
    machine. `store(rows, folder)`, if given, runs here before the rows are written
    and returns them; it writes what does not belong in a CSV.
    """

    table: Path
    runs: Callable
    key: tuple
    measure: Callable
    store: Callable | None = None
    seeds: tuple = SEEDS
    epochs: int = 1
    images: int = 6000


def table_path(name):
    """Where the table of that name is stored with the package."""
    return FOLDER / f"{name}.csv"


def names():
    """The experiments: the other files here."""
    files = {file.stem for file in Path(__file__).parent.glob("*.py")}
    return sorted(files - {"__init__", "__main__", "runner"})


def read_table(path):
    """`(columns, rows)` of a CSV, rows as dicts of strings.

    A last row without its line end was cut off while it was written: left out.
    """
    text = path.read_text("utf-8") if path.exists() else ""
    columns = next(csv.reader(text.splitlines()[:1]), [])
    complete = text[: text.rfind("\n") + 1]
    return columns, list(csv.DictReader(io.StringIO(complete)))


def add_rows(path, rows):
    """Append rows to a table, atomically; ValueError when the columns differ."""
    columns, known = read_table(path)
    if columns and columns != list(rows[0]):
        raise ValueError(
            f"{path} has the columns {', '.join(columns)}, this run has "
            f"{', '.join(rows[0])}; name another file with --out"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(path) as part,
        open(part, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows([*known, *rows])


def missing_runs(runs, path, key):
    """The runs whose key is in no row of the table; ValueError for another table."""
    try:
        columns, rows = read_table(path)
    except (OSError, UnicodeDecodeError, csv.Error):
        columns, rows = ["not a table"], []
    if columns and not set(key) <= set(columns):
        raise ValueError(
            f"{path} is not a table of these runs, with the columns "
            f"{', '.join(key)}; name another file with --out"
        )
    done = {tuple(row[column] for column in key) for row in rows}
    return [run for run in runs if tuple(str(run[c]) for c in key) not in done]


def run_all(experiment, runs, path, jobs=1):
    """Measure the runs that the table at `path` lacks and append their rows.

    Returns False when interrupted: the finished runs are in the table.
    """
    missing = missing_runs(runs, path, experiment.key)
    print(f"{len(runs) - len(missing)} of {len(runs)} runs are in {path.name}")
    results = Parallel(jobs, batch_size=1, return_as="generator_unordered")(
        delayed(measured)(experiment.measure, run) for run in missing
    )
    try:
        for number, (run, rows) in enumerate(results, 1):
            if rows is None:
                raise KeyboardInterrupt
            if experiment.store:
                rows = experiment.store(rows, path.parent)
            add_rows(path, rows)
            name = ", ".join(f"{column} {run[column]}" for column in experiment.key)
            found = [
                f", {column} {rows[0][column]}"
                for column in ("accuracy", "seconds")
                if column in rows[0]
            ]
            print(f"{number} of {len(missing)}: {name}{''.join(found)}", flush=True)
    except KeyboardInterrupt:
        print("interrupted; the same command continues from here", file=sys.stderr)
        return False
    return True


def measured(measure, run):
    """`(run, list of rows)`; None for the rows of an interrupted run."""
    rows = measure(run)
    return run, [rows] if isinstance(rows, dict) else rows


def training_row(run, history, input_shape=(1, 3, 48, 48)):
    """The row of a training: `run`, the network's cost, what its history holds."""
    import torch

    from inception_edu.cost import trace

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


def parse(argv):
    """The command's options, the experiment's own defaults filled in."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("name", choices=names())
    parser.add_argument("--search", action="store_true", help="its search for settings")
    parser.add_argument("--only", metavar="COLUMN=VALUE", help="some of the runs")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--images", type=int, help="training images")
    parser.add_argument("--out", type=Path, help="the CSV to add to")
    parser.add_argument("--jobs", type=int, help="runs at a time; -1: one a core")
    parser.add_argument("--backend", default="loky", help="joblib's: loky, dask, ray")
    parser.add_argument("--scheduler", help="address of the Dask scheduler")
    given = parser.parse_args(argv)
    module = import_module(f"experiments.{given.name}")
    if not hasattr(module, "EXPERIMENT"):  # a table made at once
        given.experiment = module.main
        return parser, given
    if given.search and not hasattr(module, "SEARCH"):
        parser.error(f"{given.name} has no search")
    given.experiment = module.SEARCH if given.search else module.EXPERIMENT
    for option in ("seeds", "epochs", "images"):
        if getattr(given, option) is None:
            setattr(given, option, getattr(given.experiment, option))
    return parser, given


def main(argv=None):
    """The command: True when every run is in its table."""
    parser, given = parse(argv)
    experiment = given.experiment
    if not isinstance(experiment, Experiment):
        experiment()
        return True
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
