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
    found = {}
    for key, build in ((key_of(*member), build_of(*member)) for member in members):
        if build:
            with torch.device("meta"):
                model = create_model(build[0], **build[1])
            run = trace(model, (1, 3, model.input_size, model.input_size))
            field, _ = run.receptive_field
            costs = run.params, run.macs, run.activation_bytes, field
            columns = ("network", "options", *COLUMNS)
            found[key] = dict(zip(columns, (*key, *costs), strict=True))
    return list(found.values())


STORED = TABLE, contents
