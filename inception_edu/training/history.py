"""The history of a training: plain data, one row an epoch."""

from dataclasses import dataclass, field, fields

from inception_edu.text import percent
from inception_edu.training.recipes import Recipe


@dataclass
class History:
    """Loss and accuracy by epoch, and where they came from.

    `epoch`, `loss`, `train_accuracy`, `accuracy` (of the test images) and `seconds`
    (since the start) are lists of equal length; `by_scale` holds a dict for each,
    such as {"10-15": 0.77}. Accuracies are shares, 0 to 1. After an interrupt the
    last epoch may be a part of one, such as 2.4. `notes`: what the device made
    different, such as a batch computed in parts for want of memory. `model` is the
    trained network, in eval mode.
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

    def add(self, **row):
        """Append to every column: epoch, loss, ..., by_scale, seconds."""
        for column, value in row.items():
            getattr(self, column).append(value)

    @property
    def accuracy_by_scale(self):
        """Test accuracy after the last epoch, by scale: {"10-15": 0.77, ...}."""
        return dict(self.by_scale[-1]) if self.by_scale else {}

    @property
    def summary(self):
        """One line: the network, the recipe, the accuracy in whole percent."""
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
        """What was measured, as lists, numbers and strings: no recipe, no model."""
        names = {f.name for f in fields(self)} - {"recipe", "model"}
        return {name: getattr(self, name) for name in names}
