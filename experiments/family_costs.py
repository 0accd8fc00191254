"""The family explorer's costs: every network at its own image size.

Traces every network that the explorer shows and writes explorers/family_figures.csv.
"""

import torch

from inception_edu.cost import trace
from inception_edu.explorers.family_figures import (
    COLUMNS,
    SETS,
    TABLE,
    build_of,
    key_of,
)
from inception_edu.networks import create_model


def contents():
    """One row for each network and its options: parameters, MACs, bytes, pixels."""
    members = [(figures, name) for figures in SETS for name in SETS[figures]]
    builds = {key: build_of(*one) for one in members if (key := key_of(*one))}
    rows = []
    for key, (name, options) in builds.items():
        with torch.device("meta"):
            model = create_model(name, **options)
        run = trace(model, (1, 3, model.input_size, model.input_size))
        field, _ = run.receptive_field
        costs = run.params, run.macs, run.activation_bytes, field
        columns = ("network", "options", *COLUMNS)
        rows.append(dict(zip(columns, (*key, *costs), strict=True)))
    return rows


STORED = TABLE, contents
