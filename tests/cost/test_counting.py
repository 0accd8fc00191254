"""Totals of reference networks, on which three counters agree.

`reference_costs.csv`: torch's FlopCounterMode on the meta device, a dispatch mode
and plain arithmetic.
"""

import csv
from pathlib import Path

import pytest

from inception_edu.cost import trace

DATA = Path(__file__).parents[1] / "data"
with open(DATA / "reference_costs.csv", newline="", encoding="utf-8") as file:
    REFERENCES = list(csv.DictReader(file))


@pytest.mark.parametrize("row", REFERENCES, ids=lambda row: row["network"])
def test_reference_network_costs_what_three_counters_agree_on(row):
    peer, size = pytest.importorskip(row["library"]), int(row["size"])
    make = peer.create_model if row["library"] == "timm" else peer.models.get_model
    seen = trace(make(row["network"]), (1, 3, size, size))
    found = seen.params_built, seen.params, seen.macs
    columns = ("params_built", "params_used", "macs")
    assert found == tuple(int(row[column]) for column in columns)
    assert seen.unknown == []
    if row["field_before_pool"]:
        assert seen.receptive_field == (int(row["field_before_pool"]),) * 2
