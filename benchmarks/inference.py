"""Fused inference of Inception v4: each step alone, and the peers, in turn.

fp32, 299x299. With one thread, times are processor seconds of the process, so that
other work on the machine changes little; with more, the clock's. The peak of a run
is the best convolution or matrix product that torch reaches in the same rounds; a
share is multiply-adds over that. Weights are random, with batch statistics of random
images: untrained ones fade to denormal numbers, which are slow.
"""

import argparse
import copy
import io
import time
import warnings
from statistics import median

import torch
from torch import nn

import inception_edu as ie
from benchmarks.measure import Row, interleaved, judged, missing, peer, ratio, store

PART = "inference"
STEPS = {
    "fold": ("fold",),
    "channels last alone": ("channels_last",),
    "fold + exchange": ("fold", "exchange"),
    "fold + exchange + merge": ("fold", "exchange", "merge"),
    "fold + channels last": ("fold", "channels_last"),
    "fold + exchange + merge + channels last": (
        *("fold", "exchange", "merge", "channels_last"),
    ),
    "fold + channels last + pack": ("fold", "channels_last", "pack"),
    "all steps": ("fold", "exchange", "merge", "channels_last", "pack"),
}
OURS = "ie.fuse, all steps"


def settle(model):
    """Batch statistics of random images, so that no layer fades."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    with torch.no_grad():
        model.train()(torch.randn(2, 3, 299, 299))
    return model.eval()


def onnx_file(model, image):
    buffer = io.BytesIO()
    program = torch.onnx.export(model, (image,), dynamo=True, verbose=False)
    program.save(buffer)
    return buffer.getvalue()


def runtimes(model, image, threads):
    """`{name: (function, seconds of set-up)}` of the runtimes, and the missing."""
    found, absent = {}, []
    start = time.perf_counter()
    try:
        peer("onnxscript")
        exported = onnx_file(model, image)
    except Exception as problem:
        for name in ("ONNX Runtime", "OpenVINO"):
            absent.append(missing(PART, name, f"no ONNX export: {problem}"))
        return found, absent
    export = time.perf_counter() - start
    pixels = image.numpy()
    try:
        runtime = peer("onnxruntime")
        start = time.perf_counter()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        session = runtime.InferenceSession(
            exported, options, providers=["CPUExecutionProvider"]
        )
        name = session.get_inputs()[0].name
        seconds = export + time.perf_counter() - start
        found["ONNX Runtime"] = lambda: session.run(None, {name: pixels}), seconds
    except Exception as problem:
        absent.append(missing(PART, "ONNX Runtime", problem))
    try:
        openvino = peer("openvino")
        start = time.perf_counter()
        core = openvino.Core()
        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        options["INFERENCE_PRECISION_HINT"] = "f32"
        ready = core.compile_model(core.read_model(exported), "CPU", options)
        seconds = export + time.perf_counter() - start
        found["OpenVINO"] = lambda: ready(pixels), seconds
    except Exception as problem:
        absent.append(missing(PART, "OpenVINO", problem))
    return found, absent


def compiled(model, image):
    """torch.compile with freezing, channels last: the strongest of torch itself."""
    from torch._inductor import config

    config.freezing = True
    torch._dynamo.reset()
    start = time.perf_counter()
    model = torch.compile(model.to(memory_format=torch.channels_last))
    image = image.to(memory_format=torch.channels_last)
    model(image)
    return lambda: model(image), time.perf_counter() - start


def peaks():
    """`{name: (function, multiply-adds)}`: what this processor can do."""
    a = torch.randn(1024, 1024)
    conv = nn.Conv2d(256, 256, 3, padding=1, bias=False).eval()
    conv = conv.to(memory_format=torch.channels_last)
    image = torch.randn(1, 256, 35, 35).to(memory_format=torch.channels_last)
    return {
        "peak: 3x3 convolution": (lambda: conv(image), 35 * 35 * 256 * 256 * 9),
        "peak: matrix product": (lambda: a @ a, 1024**3),
    }


def clock_for(threads):
    """Processor seconds where one thread does it all, else the clock's."""
    return time.process_time if threads == 1 else time.perf_counter


def repeated(function, times):
    return lambda: [function() for _ in range(times)]


def reference(model, image, last):
    """The largest difference from float64, eager and fused, over sixteen images.

    Over fewer, one output decides: the ratio of the two spreads from 1.1 to 1.6. What
    is left of it is torch's: channels last alone has 1.3 times eager's spread (rms).
    """
    images = torch.randn(16, *image.shape[1:])
    exact = copy.deepcopy(model).double()(images.double())
    return [(m(images).double() - exact).abs().max().item() for m in (model, last)]


def measure(batch, threads, rounds, compile_too):
    image = torch.randn(batch, 3, 299, 299)
    functions, setup, rows = {}, {}, []
    own = settle(ie.create_model("inception_v4"))
    macs = ie.trace(own, (batch, 3, 299, 299)).macs
    try:
        timm = settle(peer("timm").create_model("inception_v4"))
        eager = "timm, contiguous"
        functions[eager] = lambda: timm(image)
        last = settle(peer("timm").create_model("inception_v4"))
        last = last.to(memory_format=torch.channels_last)
        tail = image.to(memory_format=torch.channels_last)
        functions["timm, channels last"] = lambda: last(tail)
        found, absent = runtimes(timm, image, threads)
        rows += absent
        for name, (function, seconds) in found.items():
            functions[name], setup[name] = function, seconds
        name = "timm, torch.compile + freezing, channels last"
        if compile_too:
            try:
                twin = settle(peer("timm").create_model("inception_v4"))
                functions[name], setup[name] = compiled(twin, image)
            except Exception as problem:
                rows.append(missing(PART, name, problem))
        elif batch == 1:
            rows.append(missing(PART, name, "left out by --no-compile"))
    except ImportError as problem:
        rows.append(missing(PART, "timm and all that runs its network", problem))
        eager = "ours, contiguous"
    functions["ours, contiguous"] = lambda: own(image)
    for name, steps in STEPS.items():
        name = OURS if name == "all steps" else name
        start = time.perf_counter()
        fused = ie.fuse(own, steps=steps)
        fused(image)  # packs the weights
        setup[name] = time.perf_counter() - start
        if batch == 1 or name == OURS:
            functions[name] = lambda fused=fused: fused(image)
    plain, ours = reference(own, image, fused)
    limit = 1.5 * plain + 1e-6
    row = Row(PART, f"batch {batch}: largest error against float64", ours, "")
    rows.append(judged(row, at_most=float(f"{limit:.3g}")))
    best = {name: f for name, (f, _) in peaks().items()}
    functions |= {name: repeated(f, 5) for name, f in best.items()}
    clock = clock_for(threads)
    taken = interleaved(functions, rounds, clock=clock)
    for name, (_, work) in peaks().items():
        taken[name] = [seconds / 5 for seconds in taken[name]]
        speed = work / min(taken[name]) / 1e9
        rows.append(Row(PART, f"batch {batch}: {name}", speed, "GMAC/s"))
    peak = max(work / min(taken[name]) for name, (_, work) in peaks().items())
    goals = {
        1: {
            eager: 1.5,
            "timm, channels last": 1.1,
            "timm, torch.compile + freezing, channels last": 1.05,
            "OpenVINO": 0.85,
            "ONNX Runtime": 0.8,
        },
        8: {eager: 1.7, "ONNX Runtime": 0.9},
    }[batch]
    for name in functions:
        if name in best:
            continue
        share = macs / min(taken[name]) / peak
        row = Row(PART, f"batch {batch}: {name}", 1e3 * median(taken[name]), "ms")
        note = f"{share:.0%} of the peak"
        if name in setup:
            note += f"; ready in {setup[name]:.1f} s"
        if name == OURS:
            row = judged(row._replace(value=share, unit="of the peak"), at_least=0.8)
            rows.append(row)
            made = Row(PART, f"batch {batch}: {OURS}, ready in", setup[name], "s")
            rows.append(judged(made, at_most=3))
            note, row = (
                f"{share:.0%} of the peak",
                Row(PART, f"batch {batch}: {name}", 1e3 * median(taken[name]), "ms"),
            )
        elif name in goals:
            gain = ratio(taken, name, OURS)
            row = row._replace(against=f"x the time of {OURS}", ratio=gain)
            row = judged(row, at_least=goals[name])
        elif name in STEPS:
            gain = ratio(taken, "ours, contiguous", name)
            row = row._replace(against="x as fast as plain", ratio=gain)
        rows.append(row._replace(note=note))
    return rows


def small_ones(rounds):
    """GoogLeNet and Inception v3: what the steps gain where layers are small."""
    for name, size in (("googlenet", 224), ("inception_v3", 299)):
        options = {"norm": "batch"} if name == "googlenet" else {}
        model = settle(ie.create_model(name, **options))
        image = torch.randn(1, 3, size, size)
        fused = ie.fuse(model)
        functions = {
            "plain": lambda model=model, image=image: model(image),
            "fused": lambda fused=fused, image=image: fused(image),
        }
        clock = clock_for(torch.get_num_threads())
        taken = interleaved(functions, rounds, warm_up=2, clock=clock)
        yield Row(
            PART,
            f"{name}: ie.fuse",
            1e3 * median(taken["fused"]),
            "ms",
            "x as fast as plain",
            ratio(taken, "plain", "fused"),
        )


def on_gpu(rounds):
    """Channels last and half precision, where there is a GPU."""
    if not torch.cuda.is_available():
        yield missing(PART, "GPU", "no GPU here")
        return
    model = settle(ie.create_model("inception_v4")).cuda()
    fused = ie.fuse(model)
    half = ie.fuse(model).to(torch.float16)
    image = torch.randn(8, 3, 299, 299, device="cuda")
    tail = image.to(memory_format=torch.channels_last)

    def timed(model, image):
        def call():
            model(image)
            torch.cuda.synchronize()

        return call

    taken = interleaved(
        {
            "plain": timed(model, image),
            "fused": timed(fused, tail),
            "fused, fp16": timed(half, tail.half()),
        },
        rounds,
        warm_up=5,
    )
    for name in ("fused", "fused, fp16"):
        yield Row(
            PART,
            f"GPU, batch 8: {name}",
            1e3 * median(taken[name]),
            "ms",
            "x as fast as plain",
            ratio(taken, "plain", name),
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    rows = []
    with torch.no_grad():
        for batch in options.batches:
            compile_too = batch == 1 and not options.no_compile
            rounds = options.rounds if batch == 1 else max(3, options.rounds // 3)
            rows += measure(batch, options.threads, rounds, compile_too)
            store(PART, rows)
        rows += small_ones(options.rounds)
        rows += on_gpu(options.rounds)
    store(PART, rows)


if __name__ == "__main__":
    main()
