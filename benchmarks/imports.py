"""What `import inception_edu` costs on top of `import torch`, in fresh processes."""

import subprocess
import sys

from benchmarks.measure import judged, milliseconds, store

TIMED = """
import time
{before}
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
"""
ROUNDS, GOAL = 5, "import inception_edu after torch"
WORK = {
    "import torch": ("", "torch"),
    GOAL: ("import torch", "inception_edu"),
    "import inception_edu.cost after torch": ("import torch", "inception_edu.cost"),
    "import inception_edu.networks after torch": (
        *("import torch", "inception_edu.networks"),
    ),
    "import inception_edu, papers and SVG drawing, without torch": (
        *("", "inception_edu.papers, inception_edu.figures.svg"),
    ),
}


def seconds(before, module):
    code = TIMED.format(before=before, module=module)
    return float(subprocess.check_output([sys.executable, "-c", code]))


def main():
    taken = {name: [] for name in WORK}
    for _ in range(ROUNDS):
        for name, work in WORK.items():
            taken[name].append(seconds(*work))
    rows = [milliseconds(name, found) for name, found in taken.items()]
    store("imports", [judged(r, at_most=30) if r.what == GOAL else r for r in rows])


if __name__ == "__main__":
    main()
