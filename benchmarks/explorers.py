"""The explorers in a real JupyterLab and Chromium, as the browser tests time them."""

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.measure import Row, judged, missing, store

TESTS = ["tests/browser/test_explorers.py", "tests/browser/test_front_end.py"]
CHOICE = "reaches_the_screen or dragging or stored_frame_is_there"
FIGURES = {
    "key_to_repaint_ms": ("key to repaint, a key at a time, median", 40),
    "key_to_repaint_90_ms": ("key to repaint, a key at a time, 90th percentile", 60),
    "keys_in_a_row_ms": ("key to repaint, keys in a row, median", None),
    "keys_in_a_row_90_ms": ("key to repaint, keys in a row, 90th percentile", None),
    "drag_lag_ms": ("last input to last picture while dragging", 100),
    "frame_ms": ("stored frame", 5),
}
LARGE = 80  # ms at the 90th percentile, with two whole networks side by side


def main():
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        run = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-n", "0"),
                *(*TESTS, "-k", CHOICE, f"--junitxml={report}"),
            ],
            capture_output=True,
            encoding="utf-8",
        )
        cases = ElementTree.parse(report).iter("testcase")
        rows = [row for case in cases for row in rows_of(case)]
    if not rows:
        rows = [missing("explorers", run.stdout[-120:])]
    store("explorers", rows)


def rows_of(case):
    name = case.get("name")
    explorer = name.partition("[")[2].rstrip("]") or "module"
    for kind in ("skipped", "failure", "error"):
        for problem in case.iter(kind):
            yield missing(name, problem.get("message"))
    for prop in case.iter("property"):
        what, goal = FIGURES[prop.get("name")]
        if explorer == "network" and prop.get("name") == "key_to_repaint_90_ms":
            goal = LARGE
        row = Row(f"{explorer}: {what}", float(prop.get("value")), "ms")
        yield judged(row, at_most=goal) if goal else row


if __name__ == "__main__":
    main()
