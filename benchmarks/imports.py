"""What `import inception_edu` costs on top of `import torch`, in fresh processes."""

import subprocess
import sys
from statistics import median

from benchmarks.measure import Row, judged, store

PART = "imports"
TIMED = """
import time
{before}
start = time.perf_counter()
{work}
print(time.perf_counter() - start)
"""
WORK = {
    "import torch": ("", "import torch"),
    "import inception_edu after torch": ("import torch", "import inception_edu"),
    "import inception_edu.cost after torch": (
        "import torch",
        "import inception_edu.cost",
    ),
    "import inception_edu.networks after torch": (
        "import torch",
        "import inception_edu.networks",
    ),
    "import inception_edu, papers and SVG drawing, without torch": (
        "",
        "import inception_edu.papers, inception_edu.figures.svg",
    ),
}


def main(rounds=5):
    taken = {name: [] for name in WORK}
    for _ in range(rounds):
        for name, (before, work) in WORK.items():
            code = TIMED.format(before=before, work=work)
            run = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True,
                encoding="utf-8",
                check=True,
            )
            taken[name].append(float(run.stdout))
    rows = []
    for name, seconds in taken.items():
        row = Row(PART, name, 1e3 * median(seconds), "ms")
        goal = name == "import inception_edu after torch"
        rows.append(judged(row, at_most=30) if goal else row)
    store(PART, rows)


if __name__ == "__main__":
    main()
