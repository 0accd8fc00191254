"""How long a network takes, here: interleaved rounds, the median and the spread.

A time belongs to a machine, its load, its threads. So networks are compared in one
run, round by round.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import nn

from inception_edu.cost.run import checked, own_shape
from inception_edu.isolation import isolated
from inception_edu.modules import modes_kept
from inception_edu.options import whole_number


@dataclass(frozen=True)
class Latency:
    """Seconds that one call took, in every round, on `device` with `threads` threads.

    `precision` is the element type of the weights. `median`, and `low` to `high`,
    between which the middle half of the rounds lies.
    """

    name: str
    times: tuple
    device: str
    threads: int
    precision: str = "float32"

    @property
    def median(self):
        return median(self.times)

    @property
    def best(self):
        """The quickest round: the least disturbed by what else the machine does."""
        return min(self.times)

    @property
    def low(self):
        return float(np.quantile(self.times, 0.25))

    @property
    def high(self):
        return float(np.quantile(self.times, 0.75))

    def __str__(self):
        place = f"{self.device}, {self.precision}"
        if self.device == "cpu":
            place += f", {self.threads} thread{'s' * (self.threads > 1)}"
        return (
            f"{self.name}: {1e3 * self.median:.1f} ms (middle half of "
            f"{len(self.times)} rounds {1e3 * self.low:.1f} to {1e3 * self.high:.1f}; "
            f"{place})"
        )

    __repr__ = __str__


def latency(
    models: nn.Module | Mapping[str, nn.Module],
    input_shape: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    *,
    rounds: int = 7,
    warm_up: int = 2,
    threads: int | None = None,
) -> Latency | dict[str, Latency]:
    """The `Latency` of a network, or a dict of them by name.

    `models`: an `nn.Module`, or a dict of modules by name, timed in turns, so that
    whatever else the machine does meets all of them; the order turns from round to
    round. `input_shape`: one for all, a dict by name, or None for one image of each
    network's own size. `warm_up` calls come first and do not count. Each runs where
    its weights are and in their element type, in eval mode without gradients; an
    accelerator is waited for. `threads`: of the CPU, torch's own number unless given;
    one is what a busy machine disturbs least. Modes and threads are left as they were.
    """
    alone = isinstance(models, nn.Module)
    if alone:
        models = {type(models).__name__: models}
    threads = torch.get_num_threads() if threads is None else threads
    check(models, input_shape)
    whole_number("rounds", rounds, 1, 10**9)
    whole_number("warm_up", warm_up, 0, 10**9)
    whole_number("threads", threads, 1, 10_000)
    batches = {name: images(models[name], name, input_shape) for name in models}
    times, names = {name: [] for name in models}, list(models)
    with modes_kept(*models.values()), isolated(threads=threads), torch.no_grad():
        for name, model in models.items():
            model.eval()
            for _ in range(warm_up):
                seconds(model, batches[name])
        for turn in range(rounds):
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                times[name].append(seconds(models[name], batches[name]))
    found = {
        name: Latency(
            name, tuple(times[name]), str(batch.device), threads,
            str(batch.dtype).removeprefix("torch."),
        )
        for name, batch in batches.items()
    }  # fmt: skip
    return found[names[0]] if alone else found


def check(models, input_shape):
    """Refuse in words what cannot be timed."""
    if not isinstance(models, Mapping):
        raise TypeError(
            f"latency takes a module, or a dict of them by name, got {models!r}; "
            'such as latency(create_model("mini_v3"))'
        )
    if not models:
        raise ValueError("there is no network to time")
    for name, model in models.items():
        if not isinstance(model, nn.Module):
            raise TypeError(
                f"latency takes modules; {name} is a {type(model).__name__}"
            )
        if any(weight.is_meta for weight in model.parameters()):
            raise ValueError(
                f"{name} has no weights (it is on the meta device); build it on a "
                "real one to time it"
            )
    if isinstance(input_shape, Mapping) and not input_shape.keys() <= models.keys():
        raise ValueError(
            f"input_shape names {', '.join(map(repr, input_shape))}, "
            f"the networks are {', '.join(map(repr, models))}"
        )


def images(model, name, shape):
    """One random batch of this shape, of the weights' type, where they are."""
    if isinstance(shape, Mapping):
        shape = shape.get(name)
    shape = checked(own_shape(model) if shape is None else shape)
    weight = next(model.parameters(), torch.empty(0))
    batch = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return batch.to(weight.device, weight.dtype)


def seconds(model, batch):
    """Seconds of one call, the device's own work included."""
    wait_for(batch.device)
    start = perf_counter()
    model(batch)
    wait_for(batch.device)
    return perf_counter() - start


def wait_for(device):
    """Return when an accelerator has done what it was given."""
    if device.type == "mps":
        torch.mps.synchronize()
    elif device.type != "cpu":
        getattr(torch, device.type).synchronize(device)
