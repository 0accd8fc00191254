"""The one training loop: `fit`, and `evaluate`."""

import signal
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from inception_edu.files import atomic_write
from inception_edu.networks import create_model
from inception_edu.training import recipes
from inception_edu.training.data import Data, Split, as_input, load_data, plain
from inception_edu.training.history import History
from inception_edu.training.optimizers import make_optimizer


class Evaluation(NamedTuple):
    """Share of test images named rightly, and the same by scale."""

    accuracy: float
    by_scale: dict


class Diverged(FloatingPointError):
    """The loss is no number any more; `.history` holds the epochs before."""

    def __init__(self, words, history):
        super().__init__(words)
        self.history = history


def choose_device(device="auto"):
    """The torch.device meant: "auto" takes a CUDA GPU, else Apple's, else the CPU."""
    if device != "auto":
        try:
            probe = torch.zeros(1, device=device)
            probe.item()  # "meta" has no memory, and a network sent there loses its own
            return probe.device
        except Exception as problem:  # torch raises half a dozen kinds
            raise ValueError(
                f"device={device!r} cannot be used here ({problem}); choose 'auto', "
                "'cpu', or 'cuda' or 'mps' where there is one"
            ) from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def precision(device):
    """Autocast context and gradient scaler: half precision on CUDA alone.

    On a CPU bfloat16 is slower than float32 at these sizes.
    """
    if device.type != "cuda":
        return nullcontext(), torch.amp.GradScaler(enabled=False)
    bfloat = torch.cuda.is_bf16_supported()
    context = torch.autocast("cuda", torch.bfloat16 if bfloat else torch.float16)
    return context, torch.amp.GradScaler("cuda", enabled=not bfloat)


@contextmanager
def own_state(device):
    """Leave torch's global random state and gradient mode as they were found.

    An interrupt that falls into torch's own `no_grad` leaves gradients switched off.
    """
    index, gradients = device.index or 0, torch.is_grad_enabled()
    with torch.random.fork_rng([index] if device.type == "cuda" else []):
        try:
            torch.set_grad_enabled(True)
            yield
        finally:
            torch.set_grad_enabled(gradients)


def split_outputs(outputs):
    """`(logits, list of the heads' logits)` of whatever a network returns."""
    if isinstance(outputs, torch.Tensor):
        return outputs, []
    logits, *rest = outputs
    heads = []
    for part in rest:
        heads.extend(part if isinstance(part, tuple | list) else [part])
    return logits, [head for head in heads if head is not None]


def evaluate(model, data, *, device=None, batch_size=500):
    """`Evaluation(accuracy, by_scale)` on the test images, in eval mode.

    `data` is a `Data` or one of its splits (then by_scale is empty). The model's
    mode is left as it was. Runs where the model's weights are.
    """
    if not isinstance(model, nn.Module) or not isinstance(data, Data | Split):
        raise TypeError(
            f"evaluate takes a module and data, not {type(model).__name__} and "
            f"{type(data).__name__}; such as evaluate(load_pretrained('mini_v3'), "
            "digits_at_scale(6000))"
        )
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be a whole number above 0")
    split, bins = (data.test, data.bins) if isinstance(data, Data) else (data, {})
    if not len(split):
        raise ValueError("there is no image to evaluate on")
    if device is None:
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
    else:
        device = choose_device(device)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            right = torch.cat(
                [
                    split_outputs(model(as_input(images, device)))[0].argmax(1).cpu()
                    == labels
                    for images, labels in zip(
                        split.images.split(batch_size),
                        split.labels.split(batch_size),
                        strict=True,
                    )
                ]
            ).double()
    finally:
        model.train(was_training)
    by_scale = {}
    if split.scales is not None:
        for label, (smallest, largest) in bins.items():
            inside = (split.scales >= smallest) & (split.scales <= largest)
            if inside.any():
                by_scale[label] = right[inside].mean().item()
    return Evaluation(right.mean().item(), by_scale)


def augment(images, recipe):
    """Mirrored and moved copies of a batch, as the recipe asks for."""
    if recipe.flip:
        mirrored = torch.rand(len(images)) < 0.5
        images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if recipe.shift:
        down, right = torch.randint(-recipe.shift, recipe.shift + 1, (2,)).tolist()
        height, width = images.shape[2:]
        rows = (torch.arange(height) + down).clamp(0, height - 1)
        columns = (torch.arange(width) + right).clamp(0, width - 1)
        images = images[:, :, rows][:, :, :, columns]
    return images


def batches(split, recipe):
    """The images once, in random order: `(uint8 images, labels)` batch by batch.

    A last batch of one image is left out: batch normalisation has no variance
    over it.
    """
    for indices in torch.randperm(len(split)).split(recipe.batch_size):
        if len(indices) > 1:
            yield augment(split.images[indices], recipe), split.labels[indices]


def batch_count(split, recipe):
    """How many batches `batches` yields."""
    whole, rest = divmod(len(split), recipe.batch_size)
    return whole + (rest > 1)


def loss_of(outputs, labels, recipe):
    """Cross-entropy with label smoothing, plus the heads' share of theirs."""
    logits, heads = split_outputs(outputs)
    smoothing = recipe.label_smoothing
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
    for head in heads:
        side = F.cross_entropy(head.float(), labels, label_smoothing=smoothing)
        loss = loss + recipe.aux_weight * side
    return loss, logits


def check_fit(model, data, device):
    """Refuse, before any training, data that the model cannot learn from."""
    if len(data.train) < 2:
        raise ValueError(
            f"{len(data.train)} training images: at least 2 are needed, since batch "
            "normalisation has no variance over one"
        )
    if not len(data.test):
        raise ValueError("no test images; without them no accuracy can be shown")
    classes = len(data.classes)
    for split in (data.train, data.test):
        low, high = int(split.labels.min()), int(split.labels.max())
        if split.labels.is_floating_point():
            raise ValueError(
                f"labels of type {split.labels.dtype}: expected whole numbers; pass "
                "labels.long()"
            )
        if low < 0 or high >= classes:
            raise ValueError(
                f"labels from {low} to {high}: expected 0 to {classes - 1}, since "
                f"the data names {classes} classes"
            )
    was_training = model.training
    model.eval()
    try:
        for split in (data.test, data.train):
            shape = tuple(split.images.shape[1:])
            with torch.no_grad():
                outputs = model(as_input(split.images[:2], device))
    except Exception as error:
        raise ValueError(
            f"the model does not take images of shape {shape}: {error}"
        ) from error
    finally:
        model.train(was_training)
    if not isinstance(outputs, torch.Tensor | tuple | list):
        raise ValueError(
            f"the model returns a {type(outputs).__name__}; expected a tensor of "
            f"(images, {classes}), or a tuple that begins with one"
        )
    logits, _ = split_outputs(outputs)
    if logits.ndim != 2 or logits.shape[1] < classes:
        raise ValueError(
            f"the model returns {tuple(logits.shape)} for 2 images; expected "
            f"(2, {classes}), one value for each class: build it with "
            f"num_classes={classes}"
        )


def in_notebook():
    """Whether this runs in a kernel with a front end, where a widget can show."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def progress_bar(total, name, wanted):
    """A tqdm bar: a widget in a notebook, text in a terminal, else silent.

    Nothing is ever written where it would be stored: a log or a notebook's
    standard error.
    """
    from tqdm import tqdm

    if wanted and in_notebook():
        try:
            import ipywidgets  # noqa: F401 - tqdm's bar needs it
            from tqdm.notebook import tqdm as notebook_tqdm
        except ImportError:
            return tqdm(disable=True)
        return notebook_tqdm(total=total, desc=name)
    return tqdm(
        total=total,
        desc=name,
        dynamic_ncols=True,
        disable=not (wanted and sys.stderr.isatty()),
    )


@contextmanager
def uninterrupted():
    """Hold an interrupt back until the end: torch.save makes it a RuntimeError."""
    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(before):  # then none arrives here
        yield
        return
    held = []
    signal.signal(signal.SIGINT, lambda *arrived: held.append(arrived))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if held:
            before(*held[0])


def save_whole(state, path):
    """Write a checkpoint so that the file is the new one whole, or the old one."""
    with uninterrupted(), atomic_write(path) as part, open(part, "wb") as file:
        torch.save(state, file)


def is_no(answer):
    """Whether a callback said False, in Python or in numpy; None is no answer."""
    return isinstance(answer, bool | np.bool_) and not answer


def load_checkpoint(path, identity):
    """The state in a checkpoint, or None where there is no file.

    Raises ValueError when the file is damaged or belongs to another training.
    """
    if path is None:
        return None
    path = Path(path)
    if (path.exists() and not path.is_file()) or not path.parent.is_dir():
        raise FileNotFoundError(
            f"checkpoint {path} must be a file in a folder that is there; make the "
            "folder, or name a file in another"
        )
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:  # better now than after the first epoch
        raise PermissionError(
            f"checkpoint {path}: its folder takes no files ({error.strerror}); name "
            "a file in another"
        ) from None
    if not path.exists():
        return None
    advice = "delete the file to start again, or name another"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        stored = dict(state["identity"])
    except Exception as error:
        raise ValueError(
            f"checkpoint {path} cannot be read ({type(error).__name__}); {advice}"
        ) from error
    for what, value in identity.items():
        if stored.get(what) != value:
            raise ValueError(
                f"checkpoint {path} belongs to another training: its {what} is "
                f"{stored.get(what)!r}, this one's {value!r}; {advice}"
            )
    return state


def identify(model, data, recipe, epochs, seed):
    """What must be the same for a training to be taken up again."""
    shapes = [(name, tuple(p.shape)) for name, p in model.state_dict().items()]
    images = zlib.crc32(data.train.images.contiguous().numpy())
    return {
        "recipe": repr(recipe.but(name="", source="", changes=())),
        "epochs": epochs,
        "seed": seed,
        "network": zlib.crc32(repr(shapes).encode()),
        "data": zlib.crc32(data.train.labels.contiguous().numpy(), images),
    }


def build(model, data, recipe, seed):
    """The network called `model`, its first weights drawn from `seed`."""
    torch.manual_seed(seed)
    return create_model(
        model,
        num_classes=len(data.classes),
        aux=recipe.aux_weight > 0,
        **dict(recipe.model_options),
    )


def fit(
    model,
    data,
    recipe=recipes.quick,
    epochs=None,
    seed=0,
    device="auto",
    progress=True,
    checkpoint=None,
    callback=None,
):
    """Train `model` on `data` by `recipe`: a `History`, which holds the network.

    `model`: a network, trained in place, or the name of one, which is then built
    from `seed` with the recipe's `model_options` and auxiliary heads. `data`: a
    `Data`, or "cifar10" or "imagenette". `epochs`: the recipe's own unless given.
    `progress`: show a bar. `checkpoint`: a file written after every epoch; if it is
    there, training goes on from it, to the same weights as without the break.
    `callback(history)` runs after every epoch; when it returns False, training ends.

    Ctrl-C or the notebook's stop button ends training too and keeps what was
    learned: `history.interrupted`. On one device the same seed gives the same
    weights. Raises ValueError for data that the model cannot take, `Diverged` when
    the loss is no number any more.
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
    epochs = recipe.epochs if epochs is None else epochs
    epochs, seed = plain(epochs, seed)
    for what, value, least in (("epochs", epochs, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(
                f"{what}={value!r} must be a whole number, at least {least}"
            )
    device = choose_device(device)
    with own_state(device):
        if isinstance(model, str):
            model = build(model, data, recipe, seed)
        home = next((p.device for p in model.parameters()), torch.device("cpu"))
        model.to(device, memory_format=torch.channels_last)
        check_fit(model, data, device)
        training = Training(model, data, recipe, epochs, seed, device)
        training.resume(checkpoint)
        try:
            training.run(progress, checkpoint, callback)
        finally:
            training.keep_average()
            model.to(home).eval()
    return training.history


class Training:
    """One training under way: the weights, their averages, and the history."""

    def __init__(self, model, data, recipe, epochs, seed, device):
        self.model, self.data, self.recipe = model, data, recipe
        self.epochs, self.seed, self.device = epochs, seed, device
        self.optimizer = make_optimizer(recipe, model)
        self.average = None
        if recipe.average:
            self.average = AveragedModel(
                model,
                multi_avg_fn=get_ema_multi_avg_fn(recipe.average),
                use_buffers=True,
            )
        self.autocast, self.scaler = precision(device)
        self.batches = batch_count(data.train, recipe)
        self.identity = identify(model, data, recipe, epochs, seed)
        name = getattr(model, "name", type(model).__name__)
        self.history = History(name, recipe, data.name, seed, epochs, model=model)
        self.done = 0  # whole epochs
        self.before = 0.0  # seconds, in runs that a checkpoint continues

    def state(self):
        """Everything that a checkpoint needs, as tensors and plain data."""
        return {
            "identity": self.identity,
            "done": self.done,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average and self.average.state_dict(),
            "scaler": self.scaler.state_dict(),
            "history": self.history.as_dict() | {"recipe": None},
        }

    def resume(self, checkpoint):
        """Take up the training in the checkpoint, where there is one."""
        state = load_checkpoint(checkpoint, self.identity)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.load_state_dict(state["average"])
        history = History.from_dict(state["history"])
        history.recipe, history.model = self.recipe, self.model
        self.history, self.done = history, state["done"]
        self.before = history.seconds[-1] if history.seconds else 0.0

    def run(self, progress, checkpoint, callback):
        """Epoch after epoch, to the end or to an interrupt."""
        start = time.perf_counter() - self.before
        total, name = self.epochs * self.batches, self.history.model_name
        bar = progress_bar(total, name, progress)
        bar.update(self.done * self.batches)
        so_far = {}
        try:
            while self.done < self.epochs:
                so_far.clear()
                self.epoch(so_far, bar)
                self.record(so_far, start)
                so_far.clear()
                self.done += 1
                if checkpoint is not None:
                    save_whole(self.state(), checkpoint)
                bar.set_postfix_str(
                    f"loss {self.history.loss[-1]:.2f}, "
                    f"test accuracy {self.history.accuracy[-1]:.0%}"
                )
                if callback is not None and is_no(callback(self.history)):
                    self.history.interrupted = self.done < self.epochs
                    break
        except KeyboardInterrupt:
            self.history.interrupted = True
            if so_far.get("batches"):
                self.record(so_far, start)
        finally:
            bar.close()

    def epoch(self, so_far, bar):
        """One pass over the training images; `so_far` counts as it goes."""
        # A seed for each epoch, so that a resumed training draws the same.
        torch.manual_seed((self.seed * 1_000_003 + self.done + 1) % 2**63)
        so_far.update(loss=0.0, right=0, seen=0, batches=0)
        self.model.train()
        for images, labels in batches(self.data.train, self.recipe):
            share = (self.done + so_far["batches"] / self.batches) / self.epochs
            labels = labels.to(self.device, torch.int64)
            loss, right = self.step(images, labels, share)
            so_far["loss"] += loss * len(labels)
            so_far["right"] += right
            so_far["seen"] += len(labels)
            so_far["batches"] += 1
            bar.update()
            if so_far["batches"] % 10 == 0:
                bar.set_postfix_str(
                    f"loss {so_far['loss'] / so_far['seen']:.2f}, "
                    f"accuracy {so_far['right'] / so_far['seen']:.0%}",
                    refresh=False,
                )

    def step(self, images, labels, share):
        """One update: the loss before it, and how many images were right."""
        rate = self.recipe.learning_rate_at(share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.autocast:
            outputs = self.model(as_input(images, self.device))
        loss, logits = loss_of(outputs, labels, self.recipe)
        value = loss.item()
        if not abs(value) < float("inf"):
            raise Diverged(
                f"the loss became {value} in epoch {self.done + 1} at a learning rate "
                f"of {rate:.3g}; try a smaller one, or clip the gradient: "
                "recipe.but(learning_rate=..., clip=2.0)",
                self.history,
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        if self.recipe.clip is not None:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update_parameters(self.model)
        return value, (logits.argmax(1) == labels).sum().item()

    def record(self, so_far, start):
        """Evaluate, and append a row for the epoch or the part of it done."""
        model = self.average.module if self.average else self.model
        found = evaluate(model, self.data, device=self.device)
        self.history.add(
            epoch=self.done + so_far["batches"] / self.batches,
            loss=so_far["loss"] / so_far["seen"],
            train_accuracy=so_far["right"] / so_far["seen"],
            accuracy=found.accuracy,
            by_scale=found.by_scale,
            seconds=time.perf_counter() - start,
        )

    def keep_average(self):
        """Give the model the averaged weights, which are the ones evaluated."""
        if self.average and self.history.epoch:
            self.model.load_state_dict(self.average.module.state_dict())
