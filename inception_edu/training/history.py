"""The history of a training: plain data, one row an epoch."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from inception_edu.files import atomic_write
from inception_edu.text import percent
from inception_edu.training.recipes import Change, Recipe

COLUMNS = ("epoch", "loss", "train_accuracy", "accuracy", "seconds")


@dataclass
class History:
    """Loss and accuracy by epoch, and where they came from.

    `epoch`, `loss`, `train_accuracy`, `accuracy` (of the test images) and `seconds`
    (since the start) are lists of equal length; `by_scale` holds a dict for each,
    such as {"10-15": 0.77}. Accuracies are shares, 0 to 1. After an interrupt the
    last epoch may be a part of one, such as 2.4. `notes`: what the device made
    different, such as a batch computed in parts for want of memory. `model` is the
    trained network, in eval mode; it is not saved.
    """

    model_name: str
    recipe: Recipe | None = None
    data_name: str = ""
    seed: int = 0
    epochs: int = 0
    epoch: list = field(default_factory=list)
    loss: list = field(default_factory=list)
    train_accuracy: list = field(default_factory=list)
    accuracy: list = field(default_factory=list)
    by_scale: list = field(default_factory=list)
    seconds: list = field(default_factory=list)
    interrupted: bool = False
    notes: list = field(default_factory=list)
    model: object = field(default=None, repr=False, compare=False)

    def add(self, *, by_scale, **row):
        """Append one row: epoch, loss, train_accuracy, accuracy, seconds."""
        for column in COLUMNS:
            getattr(self, column).append(row[column])
        self.by_scale.append(dict(by_scale))

    @property
    def accuracy_by_scale(self):
        """Test accuracy after the last epoch, by scale: {"10-15": 0.77, ...}."""
        return dict(self.by_scale[-1]) if self.by_scale else {}

    @property
    def rows(self):
        """One dict an epoch: epoch, loss, ..., then the scales."""
        return [
            {column: getattr(self, column)[i] for column in COLUMNS} | self.by_scale[i]
            for i in range(len(self.epoch))
        ]

    @property
    def summary(self):
        """One line: the network, the recipe, the accuracy in whole per cents."""
        recipe = f"recipe {self.recipe.name}, " if self.recipe else ""
        start = f"{self.model_name}, {recipe}seed {self.seed}"
        if not self.epoch:
            return f"{start}: interrupted before the first step"
        scales = ", ".join(
            f"{scale} px: {percent(share)}"
            for scale, share in self.accuracy_by_scale.items()
        )
        return (
            f"{start}: {self.epoch[-1]:.3g} of {self.epochs} epochs"
            f"{' (interrupted)' if self.interrupted else ''}, test accuracy "
            f"{percent(self.accuracy[-1])}{f' ({scales})' if scales else ''}"
        )

    def __repr__(self):
        return f"<History {'; '.join((self.summary, *self.notes))}>"

    def as_dict(self):
        """Everything but the model, as dicts, lists, numbers and strings."""
        plain = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("model", "recipe")
        }
        return plain | {"recipe": self.recipe and asdict(self.recipe)}

    @classmethod
    def from_dict(cls, plain):
        """The history that `as_dict` took apart."""
        recipe = plain["recipe"]
        if recipe is not None:
            changes = tuple(Change(*change) for change in recipe["changes"])
            options = dict(recipe["model_options"])
            recipe = Recipe(**recipe | {"changes": changes, "model_options": options})
        return cls(**plain | {"recipe": recipe})

    def save(self, path):
        """Write everything but the model to a .json file; returns its path."""
        path = Path(path)
        if path.suffix != ".json":
            raise ValueError(f"{path.name}: save as .json")
        with atomic_write(path) as part:
            part.write_text(json.dumps(self.as_dict(), indent=1), encoding="utf-8")
        return path

    @classmethod
    def load(cls, path):
        """The history in a .json file that `save` wrote."""
        path = Path(path)
        if path.suffix != ".json":
            raise ValueError(f"{path.name}: load a .json")
        if path.exists() and not path.is_file():  # a pipe would block
            raise ValueError(f"{path.name} is a folder or a pipe; load a file")
        try:
            history = cls.from_dict(json.loads(path.read_text(encoding="utf-8-sig")))
            list(history.rows), str(history)  # what is shown of it can be made
            return history
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as problem:
            raise ValueError(
                f"{path.name} is not a history that save wrote ({problem!r})"
            ) from None
