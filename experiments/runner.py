"""Many trainings, one row each, in a CSV that grows and can be gone on with.

`results("modules")`, "ladder", "responses", "residual_scaling" and the like are the
stored tables; the command `python -m experiments.modules`, or the like of
the others, adds to its own.
"""

import argparse
import csv
import io
import os
import sys
from pathlib import Path

from inception_edu.files import atomic_write
from inception_edu.training.stored import FOLDER

SEEDS = (0, 1, 2, 3, 4)
SEARCH_SEEDS, SEARCH_DATA = (100,), 1  # for learning rates; never shown


def count(model, input_shape=(1, 3, 48, 48)):
    """`(macs, parameters)` of what runs at inference, by hooks on a forward pass.

    Convolution and linear weights only, one image, no auxiliary head; for the
    tables here, so that they stand without the tracer that they are tested against.
    """
    import torch
    from torch import nn

    macs, parameters = 0, 0
    hooks = []

    def add(layer, _, output):
        nonlocal macs, parameters
        if isinstance(layer, nn.Conv2d | nn.Linear):
            macs += layer.weight.numel() * output[0, 0].numel()
        parameters += sum(p.numel() for p in layer.parameters(recurse=False))

    was_training = model.training
    try:
        hooks = [layer.register_forward_hook(add) for layer in model.modules()]
        with torch.no_grad():
            model.eval()(torch.zeros(input_shape))
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    return macs, parameters


def done(path, key):
    """The keys of the rows in `path`, as tuples of strings; whole rows only.

    A last row without an end was cut off while it was being written: it is taken
    out, and run again. Raises ValueError, and changes nothing, for a file that is
    no table of such runs.
    """
    if not path.exists() or (path.is_file() and not path.stat().st_size):
        return set()
    try:
        text = path.read_text(encoding="utf-8")
        columns = next(csv.reader(io.StringIO(text)), [])
    except (OSError, ValueError, csv.Error):
        columns = []
    if not set(key) <= set(columns):
        raise ValueError(
            f"{path} is no table of these runs, with the columns {', '.join(key)}; "
            "name another file with --out"
        )
    if not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        print(f"the last row of {path.name} has no end: that run is done again")
        with atomic_write(path) as part:
            part.write_text(text, encoding="utf-8")
    return {tuple(row[k] for k in key) for row in csv.DictReader(io.StringIO(text))}


def append(path, row):
    """Add one row in a single write, under a header if the file is new."""
    text = io.StringIO()
    writer = csv.DictWriter(text, row, lineterminator="\n")
    if not path.exists() or not path.stat().st_size:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer.writeheader()
    else:
        with open(path, encoding="utf-8") as file:
            header = next(csv.reader(file))
        if header != list(row):
            raise ValueError(
                f"{path} has the columns {', '.join(header)}, this run has "
                f"{', '.join(row)}; name another file with --out"
            )
    writer.writerow(row)
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(handle, text.getvalue().encode())
    finally:
        os.close(handle)


def run_all(plan, path, key, train):
    """`train(run)` for every run of the plan that `path` does not hold yet.

    `plan` is a list of dicts whose entries `key` name a run; `train` returns the
    whole row, or None when it was interrupted. Prints a line for each. Returns
    False when it was interrupted: start it again, and it goes on.
    """
    known = done(path, key)
    missing = [run for run in plan if tuple(str(run[k]) for k in key) not in known]
    print(f"{len(plan) - len(missing)} of {len(plan)} runs are in {path.name}")
    try:
        for number, run in enumerate(missing, 1):
            row = train(run)
            if row is None:
                raise KeyboardInterrupt
            append(path, row)
            name = ", ".join(f"{k} {run[k]}" for k in key)
            print(
                f"{number} of {len(missing)}: {name}: accuracy {row['accuracy']:.1%}, "
                f"{row['seconds']:.0f} s",
                flush=True,
            )
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return False
    return True


def measure(history, first, input_shape=(1, 3, 48, 48)):
    """The row of a run: `first`, then what its history holds."""
    import torch

    macs, parameters = count(history.model, input_shape)
    return {
        **first,
        "macs": macs,
        "params": parameters,
        "loss": round(history.loss[-1], 4),
        "train_accuracy": round(history.train_accuracy[-1], 4),
        "accuracy": round(history.accuracy[-1], 4),
        **{s: round(a, 4) for s, a in history.accuracy_by_scale.items()},
        "seconds": round(history.seconds[-1], 1),
        "torch": torch.__version__,
    }


def command(
    argv, *, about, name, epochs, plan, key, train, search_plan=None, images=6000
):
    """An experiment's command line: True when every run is in its file.

    `plan(seeds, epochs, images)` and `search_plan`, of the same form, list the
    runs; `train(run, data_seed)` makes a row. The search has data and seeds of its
    own, so that the numbers shown come from no picture that chose a setting; None
    where the experiment chooses none.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="default 0 1 2 3 4")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--images", type=int, default=images, help="training images")
    if search_plan:
        parser.add_argument("--search", action="store_true", help="learning rates")
    parser.add_argument("--out", type=Path, help="the CSV to add to")
    given = parser.parse_args(argv)
    if search_plan and given.search:
        runs = search_plan(given.seeds or SEARCH_SEEDS, given.epochs, given.images)
        out = given.out or FOLDER / f"{name}_search.csv"
        key = (*key, "learning_rate")
        return run_all(runs, out, key, lambda run: train(run, SEARCH_DATA))
    runs = plan(given.seeds or SEEDS, given.epochs, given.images)
    return run_all(runs, given.out or FOLDER / f"{name}.csv", key, train)
