"""Recipes as data: every switch of a training in one frozen record.

`v1` is the paper's, `v3` is Rethinking's, `quick` is for the first lessons; `ladder`
adds v3's tricks one by one. `recipe.changes` lists what a recipe does differently
from its paper.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate
from numbers import Real
from typing import NamedTuple

from inception_edu.options import check_choice
from inception_edu.text import closest

OPTIMIZERS = ("sgd", "adamw", "rmsprop", "rmsprop_tf")
SCHEDULES = ("constant", "steps", "one-cycle")
LIMITS = {
    "learning_rate": (0, math.inf),
    "momentum": (0, 0.9999),
    "weight_decay": (0, math.inf),
    "rms_decay": (0, 1),
    "eps": (0, math.inf),
    "lr_decay": (1e-6, 1),
    "lr_decay_every": (1e-6, 1),
    "label_smoothing": (0, 0.9999),
    "aux_weight": (0, math.inf),
    "ema_decay": (0, 0.99999),
    "clip": (1e-6, math.inf),
    "batch_size": (2, math.inf),  # batch normalization has no variance over one image
    "epochs": (1, math.inf),
}


class Change(NamedTuple):
    """One thing that a recipe does differently from its paper, and both values."""

    what: str
    paper: str
    here: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train. Change one switch with `recipe.but(clip=2.0)`.

    optimizer: "sgd", "adamw", "rmsprop" (torch's) or "rmsprop_tf" (TensorFlow's).
    learning_rate, momentum, weight_decay; rms_decay and eps: RMSProp's.
    schedule: "constant"; "steps", times `lr_decay` after every `lr_decay_every`, a
    share of the whole training (2 of 100 epochs is 0.02); "one-cycle", up for the
    first 30 % and down along a cosine.
    clip: largest norm of the gradient, None for none. label_smoothing: epsilon,
    for the auxiliary heads too. aux_weight: of each head's loss, 0 builds none.
    ema_decay: of the exponential moving average of weights, 0 for none.
    model_options: given to `create_model` where `fit` builds the model by name.
    """

    name: str
    optimizer: str = "sgd"
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 0.0
    rms_decay: float = 0.9
    eps: float = 1e-8
    schedule: str = "steps"
    lr_decay: float = 1.0
    lr_decay_every: float = 1.0
    clip: float | None = None
    label_smoothing: float = 0.0
    aux_weight: float = 0.0
    ema_decay: float = 0.0
    batch_size: int = 64
    epochs: int = 6
    model_options: tuple[tuple[str, object], ...] = ()
    source: str = ""
    changes: tuple[Change, ...] = ()

    def __post_init__(self):
        if isinstance(self.model_options, Mapping):
            object.__setattr__(self, "model_options", tuple(self.model_options.items()))
        for field, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            check_choice(field, getattr(self, field), choices)
        for field, (least, most) in LIMITS.items():
            value = getattr(self, field)
            off = field == "clip" and value is None
            if not off and not (isinstance(value, Real) and least <= value <= most):
                raise ValueError(
                    f"{field}={value!r} must lie between {least} and {most}"
                )

    def but(self, **switches):
        """A copy with some switches changed: `recipe.but(clip=2.0)`."""
        known = self.__dataclass_fields__
        if unknown := switches.keys() - known:
            name = unknown.pop()
            raise TypeError(
                f"a recipe has no switch {name!r}; {closest(name, known)}it has: "
                f"{', '.join(known)}"
            )
        return replace(self, **switches)

    def learning_rate_at(self, progress):
        """The learning rate when `progress` (0 to 1) of the training is done."""
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "steps":
            # the small term: 0.06 / 0.02 is 2.9999999999999996
            return self.learning_rate * self.lr_decay ** int(
                progress / self.lr_decay_every + 1e-9
            )
        lowest, rise = 0.04, 0.3  # of the top rate; of the training
        if progress < rise:
            part = (1 - math.cos(math.pi * progress / rise)) / 2
            return self.learning_rate * (lowest + (1 - lowest) * part)
        part = (1 + math.cos(math.pi * (progress - rise) / (1 - rise))) / 2
        return self.learning_rate * max(part, 1e-4)


quick = Recipe(
    name="quick",
    optimizer="adamw",
    learning_rate=0.02,
    weight_decay=0.01,
    schedule="one-cycle",
    epochs=4,
    source="AdamW with a one-cycle rate: not the paper's, but learns in minutes",
    changes=(
        Change("optimizer", "asynchronous SGD, momentum 0.9", "AdamW"),
        Change("learning rate", "x 0.96 every 8 epochs", "one cycle, top 0.02"),
        Change("images", "1.2 million, 224x224, 1,000 classes", "6,000, 48x48, 10"),
        Change("normalization", "local response", "batch"),
        Change("auxiliary heads", "2, weight 0.3", "none"),
        Change("dropout", "40 %", "none"),
        Change("averaging", "Polyak", "none"),
    ),
)

v1 = Recipe(
    name="v1",
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=2e-4,
    schedule="steps",
    lr_decay=0.96,
    lr_decay_every=8 / 250,
    ema_decay=0.98,
    source="Going deeper with convolutions, section 6",
    changes=(
        Change("optimizer", "asynchronous SGD on many CPUs", "SGD on one machine"),
        Change("learning rate", "start not given", "0.1"),
        Change(
            "decay",
            "x 0.96 every 8 epochs, length not given",
            "x 0.96 every 3.2 % of the training (8 epochs of Caffe's 250)",
        ),
        Change("weight decay", "not given", "0.0002, as in Caffe's replication"),
        Change("averaging", "Polyak", "exponential, 0.98 a step"),
        Change("batch", "not given", "64"),
        Change("images", "1.2 million, 224x224, 1,000 classes", "6,000, 48x48, 10"),
        Change("augmentation", "crops of 8 to 100 %, color", "none"),
        Change("normalization", "local response", "batch"),
        Change("auxiliary heads", "2, weight 0.3", "none"),
        Change("dropout", "40 %", "none"),
    ),
)

# What Rethinking, section 8, says of every network it trains, SGD its starting
# point ("our earlier experiments used momentum").
RETHINKING = Recipe(
    name="rethinking",
    optimizer="sgd",
    learning_rate=0.2,
    momentum=0.9,
    weight_decay=4e-5,
    schedule="steps",
    lr_decay=0.94,
    lr_decay_every=2 / 100,
    clip=2.0,
    aux_weight=0.4,
    ema_decay=0.98,
    epochs=4,
    model_options=(("stem", "plain"), ("bn_aux", False)),
    source="Rethinking the Inception architecture, section 8",
    changes=(
        Change("learning rate", "0.045 (RMSProp); momentum's not given", "searched"),
        Change(
            "decay",
            "x 0.94 every 2 of 100 epochs",
            "x 0.94 every 2 % of the training, the same in all",
        ),
        Change("batch", "32 on each of 50 machines", "64 on one"),
        Change("averaging", "running average, decay not given", "0.98 a step"),
        Change("auxiliary weight", "not given", "0.4, as in the released code"),
        Change("weight decay", "not given", "0.00004, as in the released code"),
        Change("images", "1.2 million, 299x299, 1,000 classes", "6,000, 48x48, 10"),
        Change("augmentation", "crops, color", "none"),
        Change("dropout", "20 % in the released code", "none"),
    ),
)

# Rethinking, table 3, row by row: each step keeps those before it. The rate was
# searched for each optimizer alone, on other seeds and other data than those of the
# short ladder: results/ladder_short_search.csv.
ABLATION_STEPS = {
    "rmsprop": {
        "optimizer": "rmsprop_tf",
        "momentum": 0.9,
        "rms_decay": 0.9,
        "eps": 1.0,
        "learning_rate": 0.2,
    },
    "label_smoothing": {"label_smoothing": 0.1},
    "factorized_stem": {"model_options": {"stem": "factorized", "bn_aux": False}},
    "bn_aux": {"model_options": {"stem": "factorized", "bn_aux": True}},
}


def add_step(recipe, step):
    """`recipe` with one of `ABLATION_STEPS` switched on, and nothing else changed."""
    name, switches = step
    return recipe.but(name=f"{recipe.name} + {name}", **switches)


_recipes = accumulate(ABLATION_STEPS.items(), add_step, initial=RETHINKING)
ladder = dict(zip(("baseline", *ABLATION_STEPS), _recipes, strict=True))
v3 = ladder["bn_aux"].but(name="v3")
