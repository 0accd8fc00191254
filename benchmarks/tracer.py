"""The tracer against every other counter: totals, times, memory.

Times are processor seconds of one thread, interleaved; the total that a tool prints
stands beside its time, since tools differ in what they count.
"""

import contextlib
import copy
import csv
import io
import subprocess
import sys
import time
import warnings
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

import inception_edu as ie
from benchmarks.measure import (
    Candidates,
    Row,
    interleaved,
    judged,
    milliseconds,
    missing,
    ratio,
    store,
)

DATA = Path(__file__).parents[1] / "tests" / "data"
SHAPE = (1, 3, 299, 299)
GOALS = {"FlopCounterMode (meta)": 30, "torchinfo": 50}


# ---- the counters: each gives its total of a model, in memory or without


def flop_counter(real, meta):
    with FlopCounterMode(display=False) as counter:
        meta(torch.empty(SHAPE, device="meta"))
    return counter.get_total_flops()


def torchinfo(real, meta):
    from torchinfo import summary

    return summary(real, SHAPE, verbose=0).total_mult_adds


def torchinfo_meta(real, meta):
    from torchinfo import summary

    return summary(meta, SHAPE, verbose=0, device="meta").total_mult_adds


def fvcore(real, meta):
    from fvcore.nn import FlopCountAnalysis

    found = FlopCountAnalysis(real, torch.zeros(SHAPE))
    return found.unsupported_ops_warnings(False).total()


def ptflops(real, meta, backend="pytorch"):
    from ptflops import get_model_complexity_info as count

    options = {"as_strings": False, "print_per_layer_stat": False, "backend": backend}
    return count(real, SHAPE[1:], **options)[0]


def thop(real, meta):
    from thop import profile

    # it leaves keys in the state dict, so it gets a copy of its own
    return profile(copy.deepcopy(real), (torch.zeros(SHAPE),), verbose=False)[0]


COUNTERS = {
    "FlopCounterMode (meta)": flop_counter,
    "torchinfo": torchinfo,
    "torchinfo (meta)": torchinfo_meta,
    "fvcore": fvcore,
    "ptflops": ptflops,
    "ptflops aten": partial(ptflops, backend="aten"),
    "thop": thop,
}


def quietly(function, *arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        return function(*arguments)


def times(model, rounds):
    """A row a counter, ours first."""
    real, meta = copy.deepcopy(model), copy.deepcopy(model).to("meta")
    found, totals = Candidates("v4: "), {}
    found["trace"] = partial(ie.trace, model, SHAPE)
    for name, counter in COUNTERS.items():
        count = partial(quietly, counter, real, meta)

        def make(name=name, count=count):
            totals[name] = int(count())
            return count

        found.add(name, make)
    taken = interleaved(found, rounds, clock=time.thread_time)
    macs = ie.trace(model, SHAPE).macs
    yield milliseconds("v4: trace", taken["trace"], note=f"{macs:,} MACs")
    for name, total in totals.items():
        row = milliseconds(f"v4: {name}", taken[name])
        gain = ratio(taken, name, "trace")
        row = row._replace(against="x the time of trace", ratio=gain)
        row = judged(row, at_least=GOALS[name]) if name in GOALS else row
        yield row._replace(note=f"prints {total:,}")
    yield from found.missing


def reference_networks():
    """Exact to the unit on how many of the reference networks."""
    right, wrong, absent = [], [], set()
    with open(DATA / "reference_costs.csv", newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            name, size = line["network"], int(line["size"])
            try:
                library = import_module(line["library"])
            except ImportError as problem:
                absent.add(f"{line['library']}: {problem}")
                continue
            build = getattr(library, "create_model", None) or library.models.get_model
            seen = ie.trace(build(name), (1, 3, size, size))
            found = seen.params_built, seen.params, seen.macs
            columns = ("params_built", "params_used", "macs")
            exact = found == tuple(int(line[column]) for column in columns)
            (right if exact else wrong).append(name)
    if absent:
        yield missing("reference networks", "; ".join(sorted(absent)))
    if right or wrong:
        row = Row("reference networks, exact to the unit", len(right), "networks")
        note = f"wrong: {', '.join(wrong)}" if wrong else ", ".join(right)
        yield judged(row, at_least=len(right) + len(wrong))._replace(note=note)


# Resident memory where the system tells it, else its peak.
COLD = """
import resource, time
from pathlib import Path
import torch, inception_edu as ie
from inception_edu.cost import trace
model = ie.create_model("inception_v4").eval()
def memory():
    file = Path("/proc/self/statm")
    if file.exists():
        return int(file.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before, start = memory(), time.thread_time()
{work}
print(time.thread_time() - start, memory() - before)
"""
FIRST = {
    "trace": "trace(model, (1, 3, 299, 299))",
    "FlopCounterMode (meta)": (
        "from torch.utils.flop_counter import FlopCounterMode\n"
        "model = model.to('meta')\n"
        "with torch.no_grad(), FlopCounterMode(display=False) as counter:\n"
        "    model(torch.empty(1, 3, 299, 299, device='meta'))"
    ),
    "torchinfo": (
        "import torchinfo\ntorchinfo.summary(model, (1, 3, 299, 299), verbose=0)"
    ),
}


def first_calls(rounds):
    for name, work in FIRST.items():
        command = [sys.executable, "-c", COLD.format(work=work)]
        try:
            found = [subprocess.check_output(command) for _ in range(rounds)]
        except subprocess.CalledProcessError as problem:
            yield missing(f"v4, first call: {name}", problem)
            continue
        pairs = [map(float, printed.split()) for printed in found]
        seconds, megabytes = zip(*pairs, strict=True)
        row = milliseconds(f"v4, first call: {name}", seconds)
        what = f"v4, first call's memory: {name}"
        small = Row(what, median(megabytes), "MB")
        if name == "trace":
            row, small = judged(row, at_most=50), judged(small, at_most=5)
        yield from (row, small)


def main(rounds=7):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with torch.no_grad():
        model = ie.create_model("inception_v4").eval()
        rows = list(times(model, rounds))
    store("tracer", [*rows, *reference_networks(), *first_calls(3)])


if __name__ == "__main__":
    main()
