"""The family explorer's costs: every network at its own image size."""

import torch

from inception_edu.cost import trace
from inception_edu.explorers.family_figures import COLUMNS, SETS, TABLE, build_of
from inception_edu.networks import create_model


def contents():
    """One row for each member of an error set: parameters, MACs, bytes, pixels."""
    rows = []
    for error_set, name in [(key, name) for key in SETS for name in SETS[key]]:
        if build := build_of(error_set, name):
            network, options = build
            with torch.device("meta"):
                model = create_model(network, **options)
            cost = trace(model, (1, 3, model.input_size, model.input_size))
            field, _ = cost.receptive_field
            costs = cost.params, cost.macs, cost.activation_bytes, field
            row = {"errors": error_set, "name": name}
            rows.append(row | dict(zip(COLUMNS, costs, strict=True)))
    return rows


STORED = TABLE, contents
