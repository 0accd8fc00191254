"""The one training loop: `fit`."""

import math
import sys
import time
from collections.abc import Callable
from os import PathLike

import numpy as np
import torch
from torch import nn

from inception_edu.cards import ipython_shell
from inception_edu.modules import refuse_lazy
from inception_edu.networks import create_model
from inception_edu.networks.memory_format import (
    device_of,
    lay_out,
    preferred_memory_format,
)
from inception_edu.text import percent
from inception_edu.training import recipes
from inception_edu.training.checkpoint import (
    identity_of,
    load_checkpoint,
    save_checkpoint,
)
from inception_edu.training.data import (
    Data,
    Split,
    as_input,
    check_whole_numbers,
    load_data,
)
from inception_edu.training.devices import (
    OutOfMemoryError,
    autocast,
    choose_device,
    cpu_threads,
    empty_cache,
    fits,
    free_memory,
    gradient_scaler,
    isolated,
    seed_generators,
    thread_count,
)
from inception_edu.training.evaluation import (
    by_scale,
    check_data,
    check_outputs,
    choose_layout,
    correct,
    loss_of,
)
from inception_edu.training.history import History
from inception_edu.training.optimizers import Average, make_optimizer

READ_EVERY = 10  # batches; reading a loss makes an accelerator wait


class Diverged(FloatingPointError):
    """The loss is not a finite number; `.history` holds the epochs before."""

    def __init__(self, words, history):
        super().__init__(words)
        self.history = history


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
    cannot take, `Diverged` when the loss is not a finite number.
    """
    if isinstance(data, str):
        data = load_data(data)
    for what, given, kind, example in (
        ("model", model, nn.Module | str, 'create_model("mini_v3") or "mini_v3"'),
        ("data", data, Data, "digits_at_scale()"),
        ("recipe", recipe, recipes.Recipe, "recipes.quick"),
        ("callback", callback, Callable | None, "a function of the history"),
    ):
        if not isinstance(given, kind):
            raise TypeError(f"{what}={given!r} cannot be used; pass {example}")
    epochs, seed = check_whole_numbers(
        epochs=(recipe.epochs if epochs is None else epochs, 1, 10**9),
        seed=(seed, 0, 2**63 - 1),
    )
    device = choose_device(device)
    check_data(data)
    count = thread_count(device.type, *data.train.images.shape[2:], threads)
    with isolated(device), cpu_threads(count):
        if isinstance(model, str):
            model = build(model, data, recipe, seed)
        refuse_lazy(model)
        own_device, was_training, training = device_of(model), model.training, None
        try:
            model.to(device)
            layout = choose_layout(model, data.train.images, device)
            lay_out(model, layout)
            check_outputs(model, data, recipe, device, layout)
            training = Training(model, data, recipe, epochs, seed, device, layout)
            if checkpoint is not None:
                training.resume(checkpoint)
            training.run(progress, checkpoint, callback)
        finally:
            if training is not None:
                training.keep_average()
            model.to(own_device).train(training is None and was_training)
    return training.history


def build(model, data, recipe, seed):
    """The network called `model`, its first weights drawn from `seed`."""
    seed_generators(seed, torch.device("cpu"))
    return create_model(
        model,
        num_classes=len(data.classes),
        aux=recipe.aux_weight > 0,
        **dict(recipe.model_options),
    )


def progress_bar(total, name, enabled):
    """A tqdm bar: a widget in a notebook, text in a terminal, else silent.

    Nothing is ever written where it would be stored: a log or a notebook's
    standard error.
    """
    from tqdm import tqdm

    if enabled and hasattr(ipython_shell(), "kernel"):
        from tqdm.notebook import tqdm as notebook_tqdm

        return notebook_tqdm(total=total, desc=name)
    silent = not (enabled and sys.stderr.isatty())
    return tqdm(total=total, desc=name, dynamic_ncols=True, disable=silent)


def batches(split, recipe):
    """The images once, in random order: `(images, labels)` batch by batch.

    A last batch of one is left out: batch normalization has no variance over it.
    """
    for indices in torch.randperm(len(split)).split(recipe.batch_size):
        if len(indices) > 1:
            indices = indices.to(split.images.device)
            yield split.images[indices], split.labels[indices]


class Tally:
    """Loss and accuracy over the part of an epoch that is done.

    What a step returns stays on the device until `read`.
    """

    def __init__(self):
        self.sums, self.batches, self.unread = (0.0, 0, 0), 0, []

    def add(self, loss, right, images):
        """Count one batch: its mean loss and how many are right, both on the device."""
        self.unread.append((loss, right, images))
        self.batches += 1

    def read(self):
        """`(mean loss, accuracy)` so far."""
        loss, right, seen = self.sums
        for batch_loss, batch_right, images in self.unread:
            loss += batch_loss.item() * images
            right += batch_right.item()
            seen += images
        self.unread, self.sums = [], (loss, right, seen)
        return loss / seen, right / seen


class Training:
    """One training in progress: the weights, their averages, and the history."""

    def __init__(self, model, data, recipe, epochs, seed, device, layout):
        self.model, self.data, self.recipe = model, data, recipe
        self.epochs, self.seed = epochs, seed
        self.device, self.layout = device, layout
        self.train, self.test = map(self.on_device, (data.train, data.test))
        self.optimizer = make_optimizer(recipe, model)
        self.average = Average(model, recipe.ema_decay) if recipe.ema_decay else None
        self.scaler = gradient_scaler(device)
        full, rest = divmod(len(data.train), recipe.batch_size)
        self.batches = full + (rest > 1)  # an epoch
        self.micro_batches = 1  # of a batch, computed one after the other
        name = getattr(model, "name", type(model).__name__)
        self.history = History(name, recipe, data.name, seed, epochs, model=model)
        if layout is not torch.channels_last:
            reason = "the model reads strides"
            if preferred_memory_format(device) is layout:
                reason = f"channels last is not reliable on this {device.type}"
            self.history.notes.append(f"contiguous images: {reason}")
        self.epochs_done = 0  # complete epochs
        self.seconds_before = 0.0  # in the checkpoint that this one resumes

    def on_device(self, split):
        """The split where the model is, if there is room for it."""
        if not fits(split.images.nbytes, free_memory(self.device)):
            return split
        parts = (split.images, split.labels)
        return Split(*(part.to(self.device) for part in parts), split.scales)

    def learned(self):
        """What has a state dict of its own, by its name in a checkpoint."""
        kept = {"model": self.model, "optimizer": self.optimizer, "scaler": self.scaler}
        return kept | ({"average": self.average} if self.average else {})

    def save(self, checkpoint):
        """Write everything that a checkpoint needs, as tensors and plain data."""
        state = {"identity": identity_of(self), "history": self.history.as_dict()}
        state |= {"done": self.epochs_done, "parts": self.micro_batches}
        state |= {name: part.state_dict() for name, part in self.learned().items()}
        save_checkpoint(state, checkpoint)

    def resume(self, checkpoint):
        """Continue the training in the checkpoint, where there is one."""
        state = load_checkpoint(checkpoint, identity_of(self))
        if state is None:
            return
        for name, part in self.learned().items():
            part.load_state_dict(state[name])
        parts = {"recipe": self.recipe, "model": self.model}
        self.history = History(**state["history"], **parts)
        self.epochs_done, self.micro_batches = state["done"], state["parts"]
        self.seconds_before = self.history.seconds[-1] if self.history.seconds else 0.0

    def run(self, progress, checkpoint, callback):
        """Epoch after epoch, to the end or to an interrupt."""
        start = time.perf_counter() - self.seconds_before
        bar = progress_bar(
            self.epochs * self.batches, self.history.model_name, progress
        )
        bar.update(self.epochs_done * self.batches)
        tally = Tally()
        try:
            while self.epochs_done < self.epochs:
                self.epoch(tally, bar)
                self.record(tally, start)
                tally = Tally()
                self.epochs_done += 1
                if checkpoint is not None:
                    self.save(checkpoint)
                bar.set_postfix_str(
                    f"loss {self.history.loss[-1]:.2f}, "
                    f"test accuracy {percent(self.history.accuracy[-1])}"
                )
                answer = None if callback is None else callback(self.history)
                if isinstance(answer, bool | np.bool_) and not answer:
                    self.history.interrupted = self.epochs_done < self.epochs
                    break
        except KeyboardInterrupt:
            self.history.interrupted = True
            if tally.batches:
                self.record(tally, start)
        finally:
            bar.close()

    def epoch(self, tally, bar):
        """One pass over the training images."""
        # A seed for each epoch, so that a resumed training draws the same.
        seed = (self.seed * 1_000_003 + self.epochs_done + 1) % 2**63
        seed_generators(seed, self.device)
        self.model.train()
        for images, labels in batches(self.train, self.recipe):
            progress = (self.epochs_done + tally.batches / self.batches) / self.epochs
            labels = labels.to(self.device, torch.int64)
            tally.add(*self.step(images, labels, progress), len(labels))
            bar.update()
            if tally.batches % READ_EVERY == 0:
                loss, accuracy = tally.read()
                self.check_finite(loss)
                bar.set_postfix_str(
                    f"loss {loss:.2f}, accuracy {percent(accuracy)}", refresh=False
                )
        self.check_finite(tally.read()[0])

    def step(self, images, labels, progress):
        """One update: the loss before it, and how many images were right."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate_at(progress)
        loss, right = self.gradients(images, labels)
        if self.device.type == "cpu":  # reading costs nothing: before the update
            self.check_finite(loss.item())
        if self.recipe.clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update()
        return loss, right

    def gradients(self, images, labels):
        """Backpropagate a batch, in halves where memory runs out: `(loss, right)`."""
        while True:
            try:
                return self.backpropagate(images, labels)
            except OutOfMemoryError as error:
                if 4 * self.micro_batches > self.recipe.batch_size:
                    raise OutOfMemoryError(
                        f"{self.device} has no memory for two images of "
                        f"{tuple(images.shape[1:])}; take a smaller network or "
                        "device='cpu'"
                    ) from error
            self.optimizer.zero_grad(set_to_none=True)
            self.micro_batches *= 2
            empty_cache(self.device)
            self.history.notes.append(
                f"out of memory in epoch {self.epochs_done + 1}: each batch is "
                f"computed in {self.micro_batches} parts"
            )

    def backpropagate(self, images, labels):
        """Sum the gradients over the parts of a batch: `(mean loss, right)`."""
        self.optimizer.zero_grad(set_to_none=True)
        parts = max(1, min(self.micro_batches, len(labels) // 2))
        total, right = 0.0, 0
        for some, their_labels in zip(
            images.tensor_split(parts), labels.tensor_split(parts), strict=True
        ):
            with autocast(self.device):
                outputs = self.model(as_input(some, self.device, self.layout))
            loss, logits = loss_of(outputs, their_labels, self.recipe)
            if not loss.requires_grad:
                raise ValueError(
                    "the model's output has no gradient: look for detach(), .data, "
                    "no_grad() or a reentrant checkpoint in its forward"
                )
            loss = loss * (len(their_labels) / len(labels))
            self.scaler.scale(loss).backward()
            total = total + loss.detach()
            right = right + (logits.detach().argmax(1) == their_labels).sum()
        return total, right

    def check_finite(self, loss):
        """Raise `Diverged` when the loss is not a finite number."""
        if not math.isfinite(loss):
            rate = self.optimizer.param_groups[0]["lr"]
            raise Diverged(
                f"the loss became {loss} in epoch {self.epochs_done + 1} at a learning "
                f"rate of {rate:.3g}; try a smaller one, or clip the gradient: "
                "recipe.but(learning_rate=..., clip=2.0)",
                self.history,
            )

    def record(self, tally, start):
        """Evaluate, and append a row for the epoch or the part of it done."""
        model = self.average.model if self.average else self.model
        model.eval()
        right = correct(model, self.test, self.device, self.layout)
        loss, accuracy = tally.read()
        self.history.add(
            epoch=self.epochs_done + tally.batches / self.batches,
            loss=loss,
            train_accuracy=accuracy,
            accuracy=right.mean().item(),
            by_scale=by_scale(right, self.test.scales, self.data.bins),
            seconds=time.perf_counter() - start,
        )

    def keep_average(self):
        """Give the model the averaged weights, which are the ones evaluated."""
        if self.average and self.history.epoch:
            self.average.copy_to_model()
