"""Many runs, a table: `python -m experiments NAME` (docs/experiments.md)."""

import argparse
import gzip
import json
from collections.abc import Callable
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from joblib import Parallel, delayed, parallel_config
from pandas import DataFrame

from inception_edu.cost import trace
from inception_edu.files import atomic_write, read_rows

FILES = {file.stem for file in Path(__file__).parent.glob("[a-z]*.py")}
NAMES = sorted(FILES - {"runner"})


class Experiment(NamedTuple):
    """A table with a row a run, what runs there are, and how one is measured.

    A run is a dict; `measure(run)` returns its row in the CSV, which begins with the
    run. It is called in a worker process, perhaps on another machine, so content
    under the name of a file comes back too, and is written beside the table.
    """

    table: Path
    runs: list
    measure: Callable


def settings(**values):
    """Every combination of the values as a dict, the last name changing fastest."""
    return [
        dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())
    ]


def over_seeds(seeds, settings, epochs, images=6000):
    """The runs: all settings on the first seed, then on the second, ...

    A setting may have epochs and images of its own.
    """
    return [
        {**setting, "seed": seed, "epochs": epochs, "images": images, **setting}
        for seed in seeds
        for setting in settings
    ]


def read_table(path):
    """The rows of a CSV, dicts of text; none where there is no file."""
    return read_rows(path) if path.exists() else []


def write_table(path, content):
    """Write rows, dicts of the same columns, as a CSV; other data as packed JSON."""
    with atomic_write(path) as part:
        if path.suffix == ".csv":
            DataFrame(content).to_csv(part, index=False, lineterminator="\n")
        else:  # the same bytes for the same data
            text = json.dumps(content, separators=(",", ":"))
            part.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def add_row(path, row):
    """Append a row to a table; ValueError when the columns differ."""
    known = read_table(path)
    if known and known[0].keys() != row.keys():
        raise ValueError(
            f"{path} has the columns {', '.join(known[0])}, this run has "
            f"{', '.join(row)}; name another file with --out"
        )
    write_table(path, [*known, row])


def run_all(measure, runs, path, jobs=None):
    """Measure the runs that the table at `path` lacks; an interrupt ends Python."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [{column: row.get(column) for column in runs[0]} for row in read_table(path)]
    missing = [run for run in runs if {c: str(v) for c, v in run.items()} not in done]
    print(f"{len(runs) - len(missing)} of {len(runs)} runs are in {path.name}")
    rows = Parallel(jobs, batch_size=1, return_as="generator_unordered")(
        delayed(measure)(run) for run in missing
    )
    try:
        for number, row in enumerate(rows, 1):
            for name in [name for name in row if "." in name]:  # a file
                path.with_name(name).write_bytes(row.pop(name))
            add_row(path, row)
            print(f"{number} of {len(missing)}: {row}", flush=True)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command continues from here") from None


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
        return write_table(table, contents())
    if given.search and not hasattr(module, "SEARCH"):
        parser.error(f"{given.name} had no search")
    table, runs, measure = module.SEARCH if given.search else module.EXPERIMENT
    if given.seeds:
        runs = [run for run in runs if run["seed"] == runs[0]["seed"]]
        runs = [run | {"seed": seed} for seed in given.seeds for run in runs]
    for column in ("epochs", "images"):
        if value := getattr(given, column):
            runs = [run | {column: value} for run in runs]
    if given.only:
        column, _, value = given.only.partition("=")
        runs = [run for run in runs if str(run.get(column)) == value]
        if not runs:
            parser.error(f"no run has {given.only}")
    options = {}
    if given.backend == "dask":
        from dask.distributed import Client

        options["client"] = Client(given.scheduler)
    with parallel_config(given.backend, **options):
        run_all(measure, runs, given.out or table, given.jobs)
