"""The network explorer's modules: of every network at every input size.

Traces each network that the explorer names at each size that its slider has, with
one A, one B and one C, in a few seconds, and writes explorers/networks.json.gz, so
that the explorer draws without torch.
"""

import gzip
import json

import torch

from inception_edu.cost import trace
from inception_edu.explorers.network_modules import (
    COUNTS,
    LETTERS,
    PRINTED,
    SIZES,
    TABLES,
    as_lists,
    modules_of,
)
from inception_edu.networks import MODELS, create_model

FAMILY = [name for name in MODELS if not name.startswith("mini")]
NAMES = [*FAMILY, PRINTED, *(name for name in MODELS if name.startswith("mini"))]


def skeleton(name):
    """The network with one A, B and C where it has them, without memory."""
    options = dict.fromkeys(LETTERS, 1) if name in COUNTS else {}
    if name == PRINTED:
        name, options = "inception_resnet_v2", options | {"layout": "paper"}
    with torch.device("meta"):
        return create_model(name, **options)


def sizes_of(model):
    """`{size: modules}` for the sizes that the network can take."""
    found = {}
    for size in SIZES:
        try:
            found[size] = modules_of(trace(model, (1, 3, size, size)))
        except ValueError:  # its last grid would be empty, or one is odd
            continue
    return found


def tables():
    """`{name: {"input_size", "min_size", "sizes": {size: modules}}}` as plain data."""
    found = {}
    for name in NAMES:
        model = skeleton(name)
        found[name] = {
            "input_size": model.input_size,
            "min_size": model.min_size,
            "sizes": {
                str(size): as_lists(modules)
                for size, modules in sizes_of(model).items()
            },
        }
    return found


def main(out=TABLES):
    """Trace every network and write the file."""
    text = json.dumps(tables(), separators=(",", ":"))
    out.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{out.name}: {out.stat().st_size:,} bytes")
