"""The training loop against the one a student would write first.

The student's: a Dataset of PIL images, a transform to floats, a DataLoader, and a
network as torch builds it. Same network, weights, order of images and recipe, so
the losses must be the same; one epoch each, in turn, seconds without evaluation.
Then each trick alone.
"""

import argparse
import copy
import warnings
from statistics import median

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import inception_edu as ie
from benchmarks.measure import (
    Row,
    interleaved,
    judged,
    missing,
    peer,
    ratio,
    store,
)
from inception_edu.training.data import as_input
from inception_edu.training.loop import Tally, Training
from inception_edu.training.optimizers import make_optimizer

PART = "training"


class Pictures(Dataset):
    """Images as files give them: PIL, made floats one by one."""

    def __init__(self, split, transform):
        from PIL import Image

        pixels = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.pictures = [Image.fromarray(image) for image in pixels]
        self.labels, self.transform = split.labels.tolist(), transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.pictures[index]), self.labels[index]


def transform():
    """torchvision's usual two steps, or the same in torch where it is missing."""
    try:
        steps = peer("torchvision.transforms")
    except Exception:
        import numpy

        return lambda picture: (
            torch.from_numpy(numpy.array(picture))
            .permute(2, 0, 1)
            .float()
            .div(63.75)
            .sub(2.0)
        )
    # 0 becomes -2, 255 becomes 2, as in ie.fit
    return steps.Compose([steps.ToTensor(), steps.Normalize([0.5] * 3, [0.25] * 3)])


def order(split, batch_size, seed=0, epoch=0):
    """The batches that `ie.fit` draws in that epoch."""
    torch.manual_seed((seed * 1_000_003 + epoch + 1) % 2**63)
    return torch.randperm(len(split)).split(batch_size)


def train(model, batches, recipe, count, channels_last=False, fused=False):
    """One epoch as a student writes it; returns the losses."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model.to(memory_format=layout).train()
    optimizer = make_optimizer(recipe, model)
    if fused:
        for group in optimizer.param_groups:
            group |= {"fused": True, "foreach": False}
    losses = []
    for number, (images, labels) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(number / count)
        loss = F.cross_entropy(model(images.to(memory_format=layout)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def in_memory(split, indices, channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for places in indices:
        images = as_input(split.images[places]).contiguous(memory_format=layout)
        yield images, split.labels[places]


class Silent:
    """No bar."""

    update = set_postfix_str = lambda *args, **kwargs: None


def measure(name, images, rounds):
    data = ie.digits_at_scale(images, n_test=60)
    split, recipe = data.train, ie.recipes.quick.but(epochs=1)
    start = ie.create_model(name)
    indices = order(split, recipe.batch_size)
    count = len(indices)
    pictures = Pictures(split, transform())

    def loader(workers):
        return DataLoader(
            pictures,
            batch_sampler=[places.tolist() for places in indices],
            num_workers=workers,
        )

    losses = {}

    def student(workers=0, **options):
        def call():
            model = copy.deepcopy(start)
            return train(model, loader(workers), recipe, count, **options)

        return call

    def memory(**options):
        last = options.get("channels_last", False)

        def call():
            model = copy.deepcopy(start)
            found = in_memory(split, indices, last)
            return train(model, found, recipe, count, **options)

        return call

    def ours():
        model = copy.deepcopy(start).to(memory_format=torch.channels_last)
        cpu, tally = torch.device("cpu"), Tally()
        training = Training(model, data, recipe, 1, 0, cpu, torch.channels_last)
        training.epoch(tally, Silent())
        return tally.read()[0]

    functions = {
        "DataLoader + PIL, contiguous": student(),
        "DataLoader + PIL, contiguous, 2 workers": student(2),
        "DataLoader + PIL, channels last": student(channels_last=True),
        "in memory, contiguous": memory(),
        "in memory, channels last": memory(channels_last=True),
        "in memory, channels last, fused optimizer": memory(
            channels_last=True, fused=True
        ),
        "ie.fit": ours,
    }

    def noted(key):
        def run():
            losses[key] = functions[key]()

        return run

    taken = interleaved({key: noted(key) for key in functions}, rounds, warm_up=0)
    first = "DataLoader + PIL, contiguous"
    for key in functions:
        gain = ratio(taken, first, key)
        row = Row(PART, f"{name}: {key}", median(taken[key]), "s an epoch")
        if key != first:
            row = row._replace(against="x as fast as the first loop", ratio=gain)
        if key == "ie.fit":
            row = judged(row, at_least=1.4)
        yield row
    weights = [len(places) for places in indices]
    theirs = sum(a * b for a, b in zip(losses[first], weights, strict=True))
    theirs /= sum(weights)
    difference = abs(theirs - losses["ie.fit"]) / theirs
    row = Row(PART, f"{name}: mean loss of the epoch, relative difference", difference)
    yield judged(row, at_most=0.01)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1280)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    rows = []
    for name in ("mini_reduced", "mini_v3"):
        try:
            rows += measure(name, options.images, options.rounds)
        except ImportError as problem:
            rows.append(missing(PART, name, problem))
    store(PART, rows)


if __name__ == "__main__":
    main()
