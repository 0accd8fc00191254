"""`python -m benchmarks`: every part in turn, then the table in benchmarks/README.md.

Each part runs in a process of its own; `PRODUCT_PYTHON` names the interpreter with
JupyterLab, which the explorers need. Parts can be named: `-m benchmarks tracer`.
"""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks import report
from benchmarks.measure import machine, write

ROOT = Path(__file__).parents[1]


def main():
    wanted = sys.argv[1:] or report.PARTS
    unknown = [part for part in wanted if part not in report.PARTS]
    if unknown:
        sys.exit(
            f"no part is called {unknown[0]!r}; choose from {', '.join(report.PARTS)}"
        )
    product = os.environ.get("PRODUCT_PYTHON", sys.executable)
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": paths, "CUDA_MODULE_LOADING": "LAZY"}
    write("machine", ("what", "how"), machine().items())
    failed = []
    for part in wanted:
        python = product if part == "explorers" else sys.executable
        print(f"--- {part}", flush=True)
        command = [python, "-m", f"benchmarks.{part}"]
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            failed.append(part)
    report.write()
    if failed:
        sys.exit(f"these parts failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
