"""The residual explorer's stacks: signal and gradient through residual blocks.

Measures the stacks of `explorers.residual` at their first weights, three seeds, in
about a minute, and writes explorers/residual.csv: the mean over the seeds.
"""

from experiments.runner import Experiment
from inception_edu.explorers.residual import SCALES, TABLE, Measured, measure, stack

SEEDS = (0, 1, 2)


def runs(seeds, epochs, images):
    """Every scale, with and without batch normalization."""
    return [{"norm": norm, "scale": scale} for norm in (1, 0) for scale in SCALES]


def measure_stack(run):
    """A row for each depth of one stack."""
    norm, scale = run.values()
    found = [measure(stack(scale, bool(norm), seed), seed) for seed in SEEDS]
    rows = []
    for depth, seeds in enumerate(zip(*found, strict=True)):
        means = [sum(column) / len(SEEDS) for column in zip(*seeds, strict=True)]
        texts = (f"{mean:.5g}" for mean in means)
        rows.append(
            {**run, "depth": depth} | dict(zip(Measured._fields, texts, strict=True))
        )
    return rows


EXPERIMENT = Experiment(
    table=TABLE, runs=runs, key=("norm", "scale"), measure=measure_stack
)
