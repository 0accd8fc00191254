"""The one training loop: `fit`."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from os import PathLike

import torch
from torch import nn

from inception_edu.cards import ipython_shell
from inception_edu.isolation import isolated, seed_generators
from inception_edu.modules import modes_kept, refuse_lazy
from inception_edu.networks import create_model
from inception_edu.networks.memory_format import device_of, set_memory_format
from inception_edu.options import whole_number
from inception_edu.text import percent
from inception_edu.training import checkpoint as checkpoints
from inception_edu.training import devices, evaluation, recipes
from inception_edu.training.data import Data, load_data
from inception_edu.training.history import History
from inception_edu.training.optimizers import Average, make_optimizer

READ_EVERY = 10  # batches; reading a loss makes an accelerator wait
ON_DEVICE = 2**30  # bytes of images at most; the rest is the network's


def fit(
    model: nn.Module | str,
    data: Data | str,
    recipe: recipes.Recipe = recipes.quick,
    epochs: int | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
    checkpoint: str | PathLike[str] | None = None,
    callback: Callable[[History], object] | None = None,
    threads: int | None = None,
) -> History:
    """Train `model` on `data` by `recipe`: a `History`, which holds the network.

    `model`: a network, trained in place, or the name of one, which is then built
    from `seed` with the recipe's `model_options` and auxiliary heads. `data`: a
    `Data`, or "cifar10" or "imagenette". `epochs`: the recipe's own unless given.
    `device`: "auto" takes the accelerator, if there is one; the model returns to the
    device it came from. `progress`: show a bar. `checkpoint`: a file written after
    every epoch, from which training resumes. `callback(history)` runs after every
    epoch; when it returns False, training ends. `threads`: of the CPU; one for images
    of at most 64 pixels a side unless given.

    Ctrl-C or the notebook's stop button ends training and keeps what was learned:
    `history.interrupted`. On a CPU the same seed and threads give the same weights,
    resumed or not. When an accelerator runs out of memory, each batch is computed in
    halves, and `history.notes` says so. Raises ValueError for data that the model
    cannot take, FloatingPointError when the loss is not a finite number.
    """
    if isinstance(data, str):
        data = load_data(data)
    for what, given, kind, example in (
        ("model", model, nn.Module | str, 'create_model("mini_v3") or "mini_v3"'),
        ("data", data, Data, "digits_at_scale()"),
        ("recipe", recipe, recipes.Recipe, "recipes.quick"),
    ):
        if not isinstance(given, kind):
            raise TypeError(f"{what}={given!r} cannot be used; pass {example}")
    epochs = recipe.epochs if epochs is None else epochs
    epochs = whole_number("epochs", epochs, 1, 10**9)
    seed = whole_number("seed", seed, 0, 2**63 - 1)
    device = devices.choose_device(device)
    with isolated(device, devices.thread_count(device, data.train.images, threads)):
        torch.set_grad_enabled(True)
        torch.backends.cudnn.benchmark = True  # every batch has the same shape
        if isinstance(model, str):
            model = build(model, data, recipe, seed)
        refuse_lazy(model)
        home = device_of(model)
        try:
            with modes_kept(model):  # if the model or the checkpoint is refused
                training = Training(model, data, recipe, epochs, seed, device)
                if checkpoint is not None:
                    training.resume(checkpoint)
            try:
                training.run(progress, checkpoint, callback)
            finally:
                model.eval()
        finally:
            model.to(home)
            set_memory_format(model, torch.contiguous_format)  # any code reads it
    return training.history


def build(model, data, recipe, seed):
    """The network called `model`, its first weights drawn from `seed`."""
    seed_generators(seed)
    return create_model(
        model,
        num_classes=len(data.classes),
        aux=recipe.aux_weight > 0,
        **dict(recipe.model_options),
    )


def progress_bar(total, name, enabled):
    """A tqdm bar: a widget in a notebook, text in a terminal, silent in a log."""
    from tqdm.auto import tqdm

    seen = hasattr(ipython_shell(), "kernel") or sys.stderr.isatty()
    return tqdm(total=total, desc=name, disable=not (enabled and seen))


def batches(split, recipe):
    """The images once, in random order: `(images, labels)` batch by batch.

    A last batch of one is left out: batch normalization has no variance over it.
    """
    for indices in torch.randperm(len(split)).split(recipe.batch_size):
        if len(indices) > 1:
            indices = indices.to(split.images.device)
            yield split.images[indices], split.labels[indices]


class Training:
    """One training in progress: the weights, their averages, and the history."""

    def __init__(self, model, data, recipe, epochs, seed, device):
        self.model, self.data, self.recipe = model.to(device), data, recipe
        self.epochs, self.seed, self.device = epochs, seed, device
        self.train, self.test = map(self.on_device, (data.train, data.test))
        self.memory_format, reason = evaluation.choose_memory_format(
            model, data.train.images, device
        )
        set_memory_format(model, self.memory_format)
        evaluation.check_outputs(model, data, recipe, device, self.memory_format)
        self.optimizer = make_optimizer(recipe, model)
        self.average = Average(model) if recipe.ema_decay else None
        self.scaler = devices.gradient_scaler(device)
        full, rest = divmod(len(data.train), recipe.batch_size)
        self.batches = full + (rest > 1)  # an epoch
        self.micro_batches = 1  # of a batch, computed one after the other
        self.steps = []  # of this epoch: `(loss, correct, images)`, on the device
        name = getattr(model, "name", type(model).__name__)
        self.history = History(name, recipe, data.name, seed, epochs, model=model)
        if reason:
            self.history.notes.append(f"contiguous images: {reason}")

    def on_device(self, split):
        """The split where the model is, if that leaves room for the network."""
        if split.images.nbytes > ON_DEVICE:
            return split
        images, labels = split.images.to(self.device), split.labels.to(self.device)
        return replace(split, images=images, labels=labels)

    @property
    def epochs_done(self):
        """How many epochs are complete."""
        return len(self.history.epoch)

    def parts(self):
        """What has a state dict of its own, by its name in a checkpoint."""
        kept = {"model": self.model, "optimizer": self.optimizer, "scaler": self.scaler}
        return kept | ({"average": self.average.model} if self.average else {})

    def save(self, checkpoint):
        """Write everything that a checkpoint needs, as tensors and plain data."""
        identity, history = checkpoints.identity_of(self), self.history.as_dict()
        state = {"identity": identity, "history": history}
        state["micro_batches"] = self.micro_batches
        state |= {name: part.state_dict() for name, part in self.parts().items()}
        checkpoints.save_checkpoint(state, checkpoint)

    def resume(self, checkpoint):
        """Continue the training in the checkpoint, where there is one."""
        identity = checkpoints.identity_of(self)
        state = checkpoints.load_checkpoint(checkpoint, identity)
        if state is not None:
            for name, part in self.parts().items():
                part.load_state_dict(state[name])
            own = {"recipe": self.recipe, "model": self.model}
            self.history = History(**state["history"], **own)
            self.micro_batches = state["micro_batches"]

    def run(self, progress, checkpoint, callback):
        """Epoch after epoch, to the end or to an interrupt."""
        start = time.perf_counter() - (self.history.seconds or [0.0])[-1]
        total = self.epochs * self.batches
        bar = progress_bar(total, self.history.model_name, progress)
        bar.update(self.epochs_done * self.batches)
        try:
            while self.epochs_done < self.epochs:
                self.epoch(bar)
                self.add_epoch(start)
                if checkpoint is not None:
                    self.save(checkpoint)
                bar.set_postfix_str(
                    f"loss {self.history.loss[-1]:.2f}, "
                    f"test accuracy {percent(self.history.accuracy[-1])}"
                )
                answer = None if callback is None else callback(self.history)
                if answer is not None and not answer:
                    self.history.interrupted = self.epochs_done < self.epochs
                    break
        except KeyboardInterrupt:
            self.history.interrupted = True
            if self.steps:
                self.add_epoch(start)
        finally:
            bar.close()
            if self.average and self.history.epoch:
                self.average.copy_to_model()  # the weights that were evaluated

    def epoch(self, bar):
        """One pass over the training images."""
        # A seed for each epoch, so that a resumed training draws the same.
        seed = (self.seed * 1_000_003 + self.epochs_done + 1) % 2**63
        seed_generators(seed, self.device)
        self.model.train()
        for images, labels in batches(self.train, self.recipe):
            labels = labels.to(self.device, torch.int64)
            self.steps.append((*self.step(images, labels), len(labels)))
            bar.update()
            if len(self.steps) % READ_EVERY == 0:
                loss, accuracy = self.mean_so_far()
                bar.set_postfix_str(
                    f"loss {loss:.2f}, accuracy {percent(accuracy)}", refresh=False
                )
        self.mean_so_far()

    def mean_so_far(self):
        """Mean loss and accuracy of the steps; FloatingPointError if it diverged."""
        losses, correct, images = zip(*self.steps, strict=True)
        total = 0.0
        for loss, count in zip(torch.stack(losses).tolist(), images, strict=True):
            total += loss * count
        loss = total / sum(images)
        if not math.isfinite(loss):
            rate = self.optimizer.param_groups[0]["lr"]
            raise FloatingPointError(
                f"the loss became {loss} in epoch {self.epochs_done + 1} at a learning "
                f"rate of {rate:.3g}; try a smaller one, or clip the gradient: "
                "recipe.but(learning_rate=..., clip=2.0)"
            )
        return loss, torch.stack(correct).sum().item() / sum(images)

    def step(self, images, labels):
        """One update: the loss before it, and how many images were correct."""
        progress = (self.epochs_done + len(self.steps) / self.batches) / self.epochs
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate_at(progress)
        loss, correct = self.gradients(images, labels)
        if self.recipe.clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:  # which begins with the weights after the first step
            self.average.update(1 - self.recipe.ema_decay if progress else 1.0)
        return loss, correct

    def gradients(self, images, labels):
        """Backpropagate a batch, in halves where memory runs out: `(loss, correct)`."""
        while True:
            self.optimizer.zero_grad()
            try:
                return self.backpropagate(images, labels)
            except devices.OutOfMemoryError:
                if 4 * self.micro_batches > self.recipe.batch_size:  # two images each
                    raise
            self.micro_batches *= 2
            self.history.notes.append(
                f"out of memory in epoch {self.epochs_done + 1}: each batch is "
                f"computed in {self.micro_batches} parts"
            )

    def backpropagate(self, images, labels):
        """Sum the gradients over the parts of a batch: `(mean loss, correct)`."""
        parts = max(1, min(self.micro_batches, len(labels) // 2))
        total, correct = 0.0, 0
        for some, their_labels in zip(
            images.tensor_split(parts), labels.tensor_split(parts), strict=True
        ):
            outputs = evaluation.forward(
                self.model, some, self.device, self.memory_format
            )
            loss, logits = evaluation.loss_of(outputs, their_labels, self.recipe)
            if not loss.requires_grad:
                raise ValueError(
                    "the model's output has no gradient: look for detach(), .data, "
                    "no_grad() or a reentrant checkpoint in its forward"
                )
            loss = loss * (len(their_labels) / len(labels))
            self.scaler.scale(loss).backward()
            total = total + loss.detach()
            correct = correct + (logits.detach().argmax(1) == their_labels).sum()
        return total, correct

    def add_epoch(self, start):
        """Evaluate, and add the epoch, or the part of it done, to the history."""
        model = self.average.model if self.average else self.model
        model.eval()
        accuracy, by_scale = evaluation.evaluate_split(
            model, self.test, self.data.bins, self.device, self.memory_format
        )
        loss, train_accuracy = self.mean_so_far()
        done, self.steps = self.epochs_done + len(self.steps) / self.batches, []
        self.history.add(
            epoch=done,
            loss=loss,
            train_accuracy=train_accuracy,
            accuracy=accuracy,
            by_scale=by_scale,
            seconds=time.perf_counter() - start,
        )
