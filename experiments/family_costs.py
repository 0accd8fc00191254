"""The family explorer's costs: every network at its own image size.

Traces every network that the explorer shows and writes explorers/family_figures.csv.
"""

import torch

from experiments.runner import write_table
from inception_edu.cost import trace
from inception_edu.explorers.family_figures import COLUMNS, SETS, TABLE, options_text
from inception_edu.networks import create_model


def rows():
    """One row for each network and its options: parameters, MACs, bytes, pixels."""
    builds = [build for members in SETS.values() for build, _ in members.values()]
    found = {}
    for name, options in filter(None, builds):
        with torch.device("meta"):
            model = create_model(name, **options)
        run = trace(model, (1, 3, model.input_size, model.input_size))
        values = run.params, run.macs, run.activation_bytes, run.receptive_field[0]
        key = name, options_text(options)
        found[key] = [*key, *values]
    return list(found.values())


def main():
    """Trace every network and write the file."""
    columns = ("network", "options", *COLUMNS)
    write_table(TABLE, [dict(zip(columns, row, strict=True)) for row in rows()])
