"""The training loop against the one a student would write first.

The student's: a Dataset of PIL images, a transform to floats, a DataLoader, and a
network as torch builds it. Same network, weights, order of images and recipe, so
the losses must be the same; one epoch each, in turn, seconds without evaluation.
Then each trick alone.
"""

import copy
import warnings
from functools import partial
from statistics import median

import numpy
import torch
from PIL import Image
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

import inception_edu as ie
from benchmarks.measure import Row, interleaved, judged, missing, ratio, store
from inception_edu.training.data import as_input
from inception_edu.training.loop import Training
from inception_edu.training.optimizers import make_optimizer


class Pictures(Dataset):
    """Images as files give them: PIL, made floats one by one."""

    def __init__(self, split, transform):
        pixels = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.pictures = [Image.fromarray(image) for image in pixels]
        self.labels, self.transform = split.labels.tolist(), transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.pictures[index]), self.labels[index]


def transform():
    """torchvision's usual two steps: 0 becomes -2, 255 becomes 2, as in ie.fit."""
    from torchvision.transforms import Compose, Normalize, ToTensor

    return Compose([ToTensor(), Normalize([0.5] * 3, [0.25] * 3)])


def order(split, batch_size):
    """The batches that `ie.fit` draws in its first epoch."""
    torch.manual_seed(1)
    return torch.randperm(len(split)).split(batch_size)


def train(model, batches, recipe, count, channels_last=False, fused=False):
    """One epoch as a student writes it; returns the losses."""
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    model.to(memory_format=memory_format).train()
    optimizer, losses = make_optimizer(recipe, model), []
    for number, (images, labels) in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate_at(number / count)
            if fused:
                group |= {"fused": True, "foreach": False}
        loss = F.cross_entropy(model(images.to(memory_format=memory_format)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def in_memory(split, indices, channels_last):
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    for places in indices:
        yield as_input(split.images[places], "cpu", memory_format), split.labels[places]


class Silent:
    """No bar."""

    update = set_postfix_str = lambda *args, **kwargs: None


def measure(name, images, rounds):
    data = ie.digits_at_scale(images, n_test=60)
    split, recipe = data.train, ie.recipes.quick.but(epochs=1)
    start = ie.create_model(name)
    indices = order(split, recipe.batch_size)
    pictures, losses = Pictures(split, transform()), {}

    def student(workers=0, **options):
        sampler = [places.tolist() for places in indices]
        batches = DataLoader(pictures, batch_sampler=sampler, num_workers=workers)
        return train(copy.deepcopy(start), batches, recipe, len(indices), **options)

    def memory(**options):
        found = in_memory(split, indices, options.get("channels_last", False))
        return train(copy.deepcopy(start), found, recipe, len(indices), **options)

    def ours():
        cpu = torch.device("cpu")
        training = Training(copy.deepcopy(start), data, recipe, 1, 0, cpu)
        training.epoch(Silent())
        return training.mean_so_far()[0]

    def noted(key, function):
        def run():
            losses[key] = function()

        return run

    first = "DataLoader + PIL, contiguous"
    last = {"channels_last": True}
    functions = {
        first: student,
        f"{first}, 2 workers": partial(student, workers=2),
        "DataLoader + PIL, channels last": partial(student, **last),
        "in memory, contiguous": memory,
        "in memory, channels last": partial(memory, **last),
        "in memory, channels last, fused optimizer": partial(
            memory, **last, fused=True
        ),
        "ie.fit": ours,
    }
    functions = {key: noted(key, function) for key, function in functions.items()}
    taken = interleaved(functions, rounds, warm_up=0)
    for key in functions:
        row = Row(f"{name}: {key}", median(taken[key]), "s an epoch")
        if key != first:
            gain = ratio(taken, first, key)
            row = row._replace(against="x as fast as the first loop", ratio=gain)
        yield judged(row, at_least=1.4) if key == "ie.fit" else row
    theirs = numpy.average(losses[first], weights=[len(places) for places in indices])
    difference = float(abs(theirs - losses["ie.fit"]) / theirs)
    row = Row(f"{name}: mean loss of the epoch, relative difference", difference)
    yield judged(row, at_most=0.01)


def main(images=1280, rounds=3):
    warnings.simplefilter("ignore")
    torch.manual_seed(0)
    torch.set_num_threads(1)
    rows = []
    for name in ("mini_reduced", "mini_v3"):
        try:
            rows += measure(name, images, rounds)
        except ImportError as problem:
            rows.append(missing(name, problem))
    store("training", rows)


if __name__ == "__main__":
    main()
