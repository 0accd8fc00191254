"""Signal and gradient through stacks of residual blocks, the residual explorer's.

    python -m experiments residual

measures the stacks of `explorers.residual` at their first weights, three seeds, in
about a minute, and writes explorers/residual.csv.
"""

import csv

from inception_edu.explorers.residual import SCALES, TABLE, Measured, measure, stack

SEEDS = (0, 1, 2)


def main(out=TABLE):
    """Measure every stack and write the table: the mean over the seeds."""
    rows = []
    for norm in (True, False):
        for scale in SCALES:
            runs = [measure(stack(scale, norm, seed), seed) for seed in SEEDS]
            for depth, seeds in enumerate(zip(*runs, strict=True)):
                means = [
                    sum(column) / len(SEEDS) for column in zip(*seeds, strict=True)
                ]
                rows.append([int(norm), scale, depth, *(f"{m:.5g}" for m in means)])
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["norm", "scale", "depth", *Measured._fields])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
