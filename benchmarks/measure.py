"""Interleaved rounds, medians and ratios; one row a figure, one CSV a part."""

import csv
import gc
import os
import platform
import time
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import NamedTuple

RESULTS = Path(__file__).parent / "results"
PEERS = "torchvision timm torchinfo fvcore ptflops thop onnxruntime openvino"


class Row(NamedTuple):
    """One figure. `ratio` and `against` read "1.5" "x the time of ie.fuse".

    `goal` is the ratio (or, without one, the value) that is asked for; `met` says
    whether it was reached: "yes", "no", "" without a goal, or why there is no figure.
    """

    what: str
    value: float | str = ""
    unit: str = ""
    against: str = ""
    ratio: float | str = ""
    goal: str = ""
    met: str = ""
    note: str = ""


def judged(row, at_least=None, at_most=None):
    """`row` with its goal: on the ratio where it has one, else on the value."""
    figure = row.value if row.ratio == "" else row.ratio
    if at_least is not None:
        goal, reached = f">= {at_least:g}", figure >= at_least
    else:
        goal, reached = f"<= {at_most:g}", figure <= at_most
    return row._replace(goal=goal, met="yes" if reached else "no")


def missing(what, why):
    """The row of a peer that could not be measured: said, not left out."""
    return Row(what, met="not measured", note=" ".join(str(why).split())[:120])


class Candidates(dict):
    """`{name: function}` to be timed; `.setup`: the seconds that each took to make.

    A peer that is not installed, or fails, becomes one of the rows in `.missing`.
    """

    def __init__(self, prefix):
        super().__init__()
        self.prefix, self.setup, self.missing = prefix, {}, []

    def add(self, name, make):
        """Make the function `name` by `make()`."""
        start = time.perf_counter()
        try:
            self[name] = make()
        except Exception as problem:
            self.missing.append(missing(self.prefix + name, problem))
        self.setup[name] = time.perf_counter() - start


def interleaved(functions, rounds, warm_up=1, clock=time.perf_counter):
    """Seconds of every call: `{name: [one a round]}`, the order turning."""
    names, times = list(functions), {name: [] for name in functions}
    for name in names * warm_up:
        functions[name]()
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            gc.collect()  # nobody pays for another's garbage
            before = clock()
            functions[name]()
            times[name].append(clock() - before)
    return times


def ratio(times, slow, fast):
    """How many times faster `fast` is than `slow`: median over the rounds."""
    pairs = zip(times[slow], times[fast], strict=True)
    return median(theirs / ours for theirs, ours in pairs)


def milliseconds(what, seconds, **more):
    """The row of a median time."""
    return Row(what, 1e3 * median(seconds), "ms", **more)


def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def processor():
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found = [line.split(":")[1].strip() for line in lines if "model name" in line]
        flags = next((line for line in lines if line.startswith("flags")), "")
        wide = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else ""
        return ", ".join(filter(None, (found[0], wide)))
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def machine():
    """`{what: how}` of the machine and the versions that the figures belong to."""
    import torch

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "processor": processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load when started": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{name: version(name) for name in PEERS.split()},
    }


def write(name, head, rows):
    """Write one CSV of the results."""
    RESULTS.mkdir(exist_ok=True)
    with open(RESULTS / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([head, *rows])


def store(part, rows):
    """Write the part's rows to its CSV, and print them."""
    texts = [[f"{v:.4g}" if isinstance(v, float) else v for v in row] for row in rows]
    write(part, Row._fields, texts)
    for row in rows:
        figure = f"{row.ratio:.2f} {row.against}" if row.ratio != "" else ""
        print(f"{row.what}: {row.value} {row.unit} {figure} {row.goal} {row.met}")
