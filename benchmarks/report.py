"""The table of benchmarks/README.md, from the stored CSVs."""

import csv
import re
from pathlib import Path

from benchmarks.measure import RESULTS

README = Path(__file__).with_name("README.md")
START, END = "<!-- benchmarks: start -->\n", "\n<!-- benchmarks: end -->"
# part -> heading; shown are rows with a goal, not measured, or with a ratio
PARTS = {
    "tracer": "Tracer, Inception v4 at 299x299",
    "inference": "Fused inference, Inception v4 at 299x299, fp32",
    "training": "Training loop, one epoch of digits at every scale",
    "explorers": "Explorers, in JupyterLab and headless Chromium",
    "imports": "Import",
}


def stored(name):
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def short(number):
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def line(row):
    figure = row["value"] and f"{short(float(row['value']))} {row['unit']}".strip()
    if row["ratio"]:
        figure += f"; {float(row['ratio']):.2f} {row['against']}"
    met = row["met"] + (f": {row['note']}" if row["met"] == "not measured" else "")
    return f"| {row['what']} | {figure} | {row['goal']} | {met} |"


def table():
    how = {row["what"]: row["how"] for row in stored("machine")}
    lines = [
        f"Measured with {how.get('cores')} cores ({how.get('processor')}), GPU: "
        f"{how.get('gpu')}, torch {how.get('torch')}, Python {how.get('python')}; load "
        f"when started {how.get('load when started')}. All figures, those without a "
        "goal too: `benchmarks/results/`.",
    ]
    for part, heading in PARTS.items():
        rows = [r for r in stored(part) if r["goal"] or r["met"] or r["ratio"]]
        if rows:
            lines += ["", f"| {heading} | measured | goal | met |", "|---|---|---|---|"]
            lines += map(line, rows)
    return "\n".join(lines)


def write():
    """Put the table between its two marks in benchmarks/README.md."""
    text = README.read_text(encoding="utf-8")
    held = re.compile(f"(?<={START}).*(?={END})", re.DOTALL)
    README.write_text(held.sub(lambda _: table(), text), encoding="utf-8")
