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
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode

import inception_edu as ie
from benchmarks.measure import Row, interleaved, judged, missing, peer, ratio, store

PART = "tracer"
DATA = Path(__file__).parents[1] / "tests" / "data"
SHAPE = (1, 3, 299, 299)


def counters(model):
    """`{tool: function that gives its total}`, and the rows of the missing."""
    real, meta = copy.deepcopy(model), copy.deepcopy(model).to("meta")
    found, absent = {}, []

    def torch_meta():
        with FlopCounterMode(display=False) as counter:
            meta(torch.empty(SHAPE, device="meta"))
        return counter.get_total_flops()

    def add(name, package, make):
        try:
            found[name] = make(peer(package))
        except Exception as problem:
            absent.append(missing(PART, name, problem))

    found["FlopCounterMode (meta)"] = torch_meta
    add(
        "torchinfo",
        "torchinfo",
        lambda p: lambda: p.summary(real, SHAPE, verbose=0).total_mult_adds,
    )
    add(
        "torchinfo (meta)",
        "torchinfo",
        lambda p: (
            lambda: p.summary(meta, SHAPE, verbose=0, device="meta").total_mult_adds
        ),
    )
    add(
        "fvcore",
        "fvcore.nn",
        lambda p: (
            lambda: (
                p.FlopCountAnalysis(real, torch.zeros(SHAPE))
                .unsupported_ops_warnings(False)
                .total()
            )
        ),
    )
    for name, backend in (("ptflops", "pytorch"), ("ptflops aten", "aten")):
        add(
            name,
            "ptflops",
            lambda p, backend=backend: (
                lambda: p.get_model_complexity_info(
                    real,
                    SHAPE[1:],
                    as_strings=False,
                    print_per_layer_stat=False,
                    backend=backend,
                )[0]
            ),
        )
    # thop leaves keys in the state dict, so it gets a copy of its own
    add(
        "thop",
        "thop",
        lambda p: (
            lambda: p.profile(
                copy.deepcopy(model), (torch.zeros(SHAPE),), verbose=False
            )[0]
        ),
    )
    return found, absent


def quietly(function):
    def call():
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            return function()

    return call


def times(model, rounds):
    found, rows = counters(model)
    macs = ie.trace(model, SHAPE).macs
    functions = {
        "trace": lambda: [ie.trace(model, SHAPE) for _ in range(5)],
        **{name: quietly(function) for name, function in found.items()},
    }
    totals = {}
    for name, function in found.items():
        try:
            totals[name] = int(quietly(function)())
        except Exception as problem:
            rows.append(missing(PART, name, problem))
            del functions[name]
    taken = interleaved(functions, rounds, clock=time.thread_time)
    taken["trace"] = [seconds / 5 for seconds in taken["trace"]]
    for name, seconds in taken.items():
        row = Row(PART, f"v4: {name}", 1e3 * median(seconds), "ms")
        if name == "trace":
            row = row._replace(note=f"{macs:,} MACs")
        else:
            row = row._replace(
                against="x the time of trace", ratio=ratio(taken, name, "trace")
            )
            goals = {"FlopCounterMode (meta)": 30, "torchinfo": 50}
            if name in goals:
                row = judged(row, at_least=goals[name])
            row = row._replace(note=f"prints {totals[name]:,}")
        rows.append(row)
    return rows


def reference_networks():
    """Exact to the unit on how many of the reference networks."""
    right, wrong, absent = [], [], []
    with open(DATA / "reference_costs.csv", newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            name, size = line["network"], int(line["size"])
            try:
                library = peer(line["library"])
            except Exception as problem:
                absent.append(f"{line['library']}: {problem}")
                continue
            build = getattr(library, "create_model", None) or library.models.get_model
            seen = ie.trace(build(name), (1, 3, size, size))
            found = seen.params_built, seen.params, seen.macs
            wanted = tuple(
                int(line[k]) for k in ("params_built", "params_used", "macs")
            )
            (right if found == wanted else wrong).append(name)
    if absent:
        yield missing(PART, "reference networks", "; ".join(sorted(set(absent))))
    if right or wrong:
        row = Row(PART, "reference networks, exact to the unit", len(right), "networks")
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
        found = []
        for _ in range(rounds):
            run = subprocess.run(
                [sys.executable, "-c", COLD.format(work=work)],
                capture_output=True,
                encoding="utf-8",
            )
            if run.returncode:
                yield missing(PART, f"v4, first call: {name}", run.stderr[-120:])
                break
            found.append([float(word) for word in run.stdout.split()])
        else:
            seconds, megabytes = (median(column) for column in zip(*found, strict=True))
            row = Row(PART, f"v4, first call: {name}", 1e3 * seconds, "ms")
            small = Row(PART, f"v4, first call's memory: {name}", megabytes, "MB")
            if name == "trace":
                row, small = judged(row, at_most=50), judged(small, at_most=5)
            yield row
            yield small


def main(rounds=7):
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with torch.no_grad():
        model = ie.create_model("inception_v4").eval()
        rows = times(model, rounds)
    rows += reference_networks()
    rows += first_calls(3)
    store(PART, rows)


if __name__ == "__main__":
    main()
