"""What the networks are held against: one row a module, worked out elsewhere.

`tests/data/module_costs.csv` was computed by plain arithmetic from the channel
counts in the papers and in tf-slim's sources (the `source` column), and checked
there against torchvision, timm and tf-slim's own parameter counts.
"""

import csv
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).parents[1] / "data"
FREE = ("lrn1", "lrn2", "flatten", "dropout")  # stages the table does not list


class Golden(NamedTuple):
    module: str
    out_shape: tuple
    params: int
    macs: int


def golden(network):
    """The rows of `network`: modules in order, auxiliary heads, the two totals."""
    modules, heads, totals = [], [], []
    with open(DATA / "module_costs.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["network"] != network:
                continue
            costs = int(row["params"]), int(row["macs"])
            if row["module"].startswith("TOTAL"):
                totals.append(costs)
                continue
            shape = tuple(int(row[key]) for key in ("out_channels", "out_h", "out_w"))
            kind = heads if row["is_aux"] == "1" else modules
            kind.append(Golden(row["module"], shape, *costs))
    assert modules, f"no network {network!r} in module_costs.csv"
    return modules, heads, totals


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())
