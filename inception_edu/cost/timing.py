"""How long a network takes, here: interleaved rounds, the median and the spread.

A time belongs to a machine, its load, its threads. So two networks are compared in
one run, round by round, and what can be quoted is the ratio, with its spread.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from statistics import median, quantiles
from time import perf_counter

import torch
from torch import nn


@dataclass(frozen=True)
class Latency:
    """Seconds that one call took, in every round, on `device` with `threads` threads.

    `median`, and `low` to `high`, between which the middle half of the rounds lies.
    """

    name: str
    times: tuple
    device: str
    threads: int

    @property
    def median(self):
        return median(self.times)

    @property
    def best(self):
        """The quickest round: the least disturbed by what else the machine does."""
        return min(self.times)

    @property
    def low(self):
        return middle_half(self.times)[0]

    @property
    def high(self):
        return middle_half(self.times)[1]

    def speedup(self, other):
        """How many times faster than `other`, round by round: (median, low, high).

        Both must come from one call of `latency`; ValueError if they do not.
        """
        if len(self.times) != len(other.times):
            raise ValueError(
                f"{self.name} and {other.name} were not timed together; compare what "
                "one call of latency measured"
            )
        pairs = zip(self.times, other.times, strict=True)
        ratios = [theirs / ours for ours, theirs in pairs]
        return median(ratios), *middle_half(ratios)

    def __str__(self):
        place = self.device
        if place == "cpu":
            place += f", {self.threads} thread{'s' * (self.threads > 1)}"
        return (
            f"{self.name}: {1e3 * self.median:.1f} ms (middle half of "
            f"{len(self.times)} rounds {1e3 * self.low:.1f} to {1e3 * self.high:.1f}; "
            f"{place})"
        )

    __repr__ = __str__


def middle_half(values):
    """Lower and upper quartile."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def latency(models, input_shape=None, *, rounds=7, warm_up=2, threads=None):
    """The `Latency` of a network, or a table of them by name.

    `models`: an `nn.Module`, or a table of modules by name, timed in turns, so that
    whatever else the machine does meets all of them; the order turns from round to
    round. `input_shape`: one for all, a table by name, or None for one image of each
    network's own size. `warm_up` calls come first and do not count. Each runs where
    its weights are, in eval mode without gradients; a GPU is waited for. `threads`:
    of the CPU, torch's own number unless given; one is what a busy machine disturbs
    least, since several wait for each other. Modes and threads are left as they were.
    """
    alone = isinstance(models, nn.Module)
    if not alone and not isinstance(models, Mapping):
        raise TypeError(
            f"latency takes a module, or a table of them by name, got {models!r}; "
            'such as latency(create_model("mini_v3"))'
        )
    models = {type(models).__name__: models} if alone else dict(models)
    if not models:
        raise ValueError("there is no network in the table to time")
    unknown = set(input_shape) - set(models) if isinstance(input_shape, dict) else ()
    if unknown:
        raise ValueError(
            f"input_shape names {', '.join(map(repr, sorted(unknown, key=str)))}, "
            f"the networks are {', '.join(map(repr, models))}"
        )
    before = torch.get_num_threads()
    threads = before if threads is None else threads
    counts = (("rounds", rounds, 1), ("warm_up", warm_up, 0), ("threads", threads, 1))
    for label, count, least in counts:
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise ValueError(
                f"{label}={count!r} must be a whole number, at least {least}"
            )
    inputs = {name: images(model, name, input_shape) for name, model in models.items()}
    times, names = {name: [] for name in models}, list(models)
    was_training = {name: model.training for name, model in models.items()}
    try:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            for name, model in models.items():
                model.eval()
                for _ in range(warm_up):
                    call(model, inputs[name])
            for turn in range(rounds):
                start = turn % len(names)
                for name in names[start:] + names[:start]:
                    times[name].append(call(models[name], inputs[name]))
    finally:
        torch.set_num_threads(before)
        for name, model in models.items():
            model.train(was_training[name])
    found = {
        name: Latency(name, tuple(times[name]), str(inputs[name].device), threads)
        for name in names
    }
    return found[names[0]] if alone else found


def images(model, name, shape):
    """One random batch of the asked shape, of the weights' type, where they are."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"latency takes modules; {name} is a {type(model).__name__}")
    shape = shape.get(name) if isinstance(shape, dict) else shape
    if shape is None:
        size = getattr(model, "input_size", None)
        if size is None:
            raise ValueError(
                f"{name} does not say its image size; give input_shape=(1, 3, H, W)"
            )
        shape = (1, 3, size, size)
    if not all(isinstance(n, Integral) and n > 0 for n in shape):
        raise ValueError(
            f"input_shape={shape!r} must hold whole numbers above 0: "
            "(images, channels, height, width)"
        )
    weight = next(model.parameters(), torch.empty(0))
    if weight.is_meta:
        raise ValueError(
            f"{name} has no weights (it is on the meta device); build it on a real "
            "one to time it"
        )
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(shape, generator=generator)
    return batch.to(weight.device, weight.dtype)


def call(model, batch):
    """Seconds of one call, the device's own work included."""
    wait(batch.device)
    start = perf_counter()
    model(batch)
    wait(batch.device)
    return perf_counter() - start


def wait(device):
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
