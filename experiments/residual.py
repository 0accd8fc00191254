"""The residual explorer's stacks: activations and gradient through residual blocks.

Measures the stacks of `explorers.residual` at their initial weights, three seeds, in
about a minute, and writes explorers/residual.csv: the mean over the seeds.
"""

import numpy as np

from experiments.runner import Experiment, settings
from inception_edu.explorers.residual import SCALES, TABLE, Stats, measure, stack

SEEDS = (0, 1, 2)


def measure_stack(run):
    """A row for each depth of one stack."""
    norm, scale = run["norm"], run["scale"]
    found = [measure(stack(scale, bool(norm), seed), seed) for seed in SEEDS]
    return [
        {"norm": norm, "scale": scale, "depth": depth}
        | {name: f"{mean:.5g}" for name, mean in Stats(*means)._asdict().items()}
        for depth, means in enumerate(np.mean(found, axis=0))
    ]


EXPERIMENT = Experiment(
    table=TABLE,
    key=("norm", "scale"),
    settings=settings(norm=(1, 0), scale=SCALES),  # with batch norm and without
    measure=measure_stack,
    seeds=SEEDS[:1],  # one run measures all of them
)
