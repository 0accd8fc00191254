"""The design contest: the best accuracy by scale under a budget of multiply-adds.

Everybody trains alike: `RULES` fixes the images, the recipe, the epochs. What counts
is the mean of the accuracies on the four sizes of digits, so that the small ones
weigh as much as the large. Your entries stay on disk, one small file each.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from pathlib import Path

from torch import nn

from inception_edu.cost import trace
from inception_edu.files import atomic_write
from inception_edu.training.data import digits_at_scale, own_folder
from inception_edu.training.loop import fit
from inception_edu.training.recipes import quick

SIDE = 48


@dataclass(frozen=True)
class Rules:
    """What is the same for all entries of a contest; `macs` is the budget."""

    name: str = "sprint"
    macs: int = 2_600_000
    images: int = 6000
    epochs: int = 2

    def __str__(self):
        return (
            f"{self.name}: at most {self.macs:,} MACs for one {SIDE}x{SIDE} image, "
            f"{self.epochs} epochs of {self.images:,} digits at every scale"
        )


RULES = Rules()


@dataclass(frozen=True)
class Entry:
    """One trained design: its cost, and its accuracy on each size of digits."""

    name: str
    macs: int
    params: int
    accuracy: float
    by_scale: dict
    seed: int
    rules: dict = field(default_factory=lambda: asdict(RULES))

    def __post_init__(self):
        right = (
            isinstance(self.name, str)
            and isinstance(self.macs, int)
            and isinstance(self.params, int)
            and isinstance(self.seed, int)
            and isinstance(self.rules, dict)
            and isinstance(self.by_scale, dict)
            and self.by_scale
            and all(is_share(v) for v in (self.accuracy, *self.by_scale.values()))
        )
        if not right:
            raise ValueError("not an entry of the contest")

    @property
    def score(self):
        """Mean accuracy over the sizes, in percent."""
        return 100 * sum(self.by_scale.values()) / len(self.by_scale)


def is_share(value):
    return isinstance(value, int | float) and isfinite(value) and 0 <= value <= 1


def data_folder():
    """Where your results are kept: INCEPTION_EDU_DATA, or your data folder."""
    return own_folder("INCEPTION_EDU_DATA", "XDG_DATA_HOME", "~/.local/share")


class Contest:
    """A contest and its leaderboard of your own runs; it prints itself.

    `contest.enter(name, build)` trains a design and keeps the entry; `entries` lists
    all that were kept under these rules, best first. A file that cannot be read is
    named in `damaged`, and stays where it is.
    """

    def __init__(self, rules=RULES, folder=None):
        self.rules = rules
        self.folder = Path(folder or data_folder() / "contest")
        self.unsaved = []  # entries for which there is no room or no right to write

    def check(self, build):
        """`(model, trace)` of a design, or ValueError naming what is over the rules."""
        if isinstance(build, nn.Module) or not callable(build):
            raise TypeError(
                f"build is a {type(build).__name__}; pass the function or the class "
                "that makes the network, without calling it"
            )
        model = build()
        run = trace(model, (1, 3, SIDE, SIDE))
        if run.output_shape != (1, 10):
            raise ValueError(
                f"the design puts out {run.output_shape} for one image; the contest "
                "has ten classes: (1, 10)"
            )
        if run.macs > self.rules.macs:
            over = run.macs / self.rules.macs
            raise ValueError(
                f"{run.macs:,} MACs are {over:.2f} times the budget of "
                f"{self.rules.macs:,}; make it narrower, shallower, or reduce before "
                "the large kernels"
            )
        return model, run

    def enter(self, name, build, *, seed=0, progress=True):
        """Train the network that `build()` returns, keep and return its `Entry`.

        `build` is called after the random seed was set. The same name, design and
        seed again replace their entry. Raises ValueError for a design over budget,
        before anything is trained.
        """
        import torch

        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"name={name!r} must be a text that is not empty")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, run = self.check(build)
        data = digits_at_scale(self.rules.images)
        epochs = self.rules.epochs
        history = fit(model, data, quick, epochs, seed=seed, progress=progress)
        if history.interrupted:
            raise ValueError("the training was stopped, so there is no entry")
        entry = Entry(
            name.strip(),
            run.macs,
            run.params,
            history.accuracy[-1],
            dict(history.by_scale[-1]),
            seed,
            asdict(self.rules),
        )
        self.keep(entry)
        return entry

    def path(self, entry):
        """The file of an entry: one for each name, cost and seed under the rules."""
        identity = [entry.name, entry.macs, entry.params, entry.seed, entry.rules]
        text = json.dumps(identity, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def keep(self, entry):
        """Write an entry, whole or not at all; without a disk it lasts as you do."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path(entry)) as part:
                part.write_text(json.dumps(asdict(entry), indent=1), encoding="utf-8")
        except OSError:
            self.unsaved.append(entry)

    def read(self):
        """`(entries, damaged files)` of this folder, under these rules."""
        entries, damaged = list(self.unsaved), []
        try:
            paths = sorted(self.folder.glob("*.json"))
            paths = [path for path in paths if not path.stem.endswith(".part")]
        except OSError:
            paths = []
        names = {column.name for column in fields(Entry)}
        for path in paths:
            try:
                if not path.is_file():  # a pipe would be waited for
                    raise ValueError("no file")
                stored = json.loads(path.read_text(encoding="utf-8"))
                entry = Entry(**{key: stored[key] for key in names})
            except Exception:  # cut off, no JSON, of another shape, not readable
                damaged.append(path)
                continue
            if entry.rules == asdict(self.rules):
                entries.append(entry)
        return sorted(entries, key=lambda e: (-e.score, e.macs, e.name)), damaged

    @property
    def entries(self):
        """Your entries under these rules, best first."""
        return self.read()[0]

    @property
    def damaged(self):
        """Files that could not be read."""
        return self.read()[1]

    def __str__(self):
        entries, damaged = self.read()
        lines = [str(self.rules)]
        if not entries:
            lines.append("no entry yet: contest.enter('my design', build)")
        else:
            bins = list(entries[0].by_scale)
            lines.append(
                f"{'':4}{'design':22}{'score':>7}{'M MACs':>8}"
                + "".join(f"{label:>8}" for label in bins)
                + f"{'seed':>6}"
            )
        for place, entry in enumerate(entries, 1):
            shares = "".join(f"{share:8.0%}" for share in entry.by_scale.values())
            lines.append(
                f"{place:>2}. {entry.name[:21]:22}{entry.score:7.1f}"
                f"{entry.macs / 1e6:8.2f}{shares}{entry.seed:6}"
            )
        if self.unsaved:
            lines.append(
                f"{len(self.unsaved)} could not be written to {self.folder} and last "
                "until this notebook is closed"
            )
        for path in damaged:
            lines.append(f"{path.name} cannot be read; it was left as it is")
        return "\n".join(lines)

    __repr__ = __str__
