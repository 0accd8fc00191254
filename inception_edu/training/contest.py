"""The design contest: the best accuracy by scale under a budget of multiply-adds.

Everybody trains alike: `RULES` fixes the images, the recipe, the epochs. What counts
is the mean of the accuracies on the four sizes of digits, so that the small ones
weigh as much as the large. Your entries stay on disk, one small file each.
"""

import hashlib
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from inception_edu.cost import trace
from inception_edu.files import atomic_write
from inception_edu.isolation import isolated, seed_generators
from inception_edu.text import percent
from inception_edu.training.cache import user_data_folder
from inception_edu.training.data import digits_at_scale
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
    rules: dict

    @property
    def score(self):
        """Mean accuracy over the sizes, in percent."""
        return 100 * sum(self.by_scale.values()) / len(self.by_scale)

    def __str__(self):
        shares = "".join(f"{percent(share):>8}" for share in self.by_scale.values())
        return (
            f"{self.name[:21]:22}{self.score:7.1f}{self.macs / 1e6:8.2f}{shares}"
            f"{self.seed:6}"
        )


class Contest:
    """A contest and its leaderboard of your own runs; it prints itself.

    `contest.enter(name, build)` trains a design and keeps the entry; `entries` lists
    all that were kept in `folder` under these rules, best first.
    """

    def __init__(self, rules=RULES, folder=None):
        self.rules = rules
        self.folder = Path(folder or user_data_folder() / "contest")
        self.made = {}  # this object's own entries, by the names of their files

    def enter(self, name, build, *, seed=0, progress=True):
        """Train the network that `build()` returns, keep and return its `Entry`.

        `build` is called after the random seed was set. The same name, design and
        seed again replace their entry. Raises ValueError for a design over budget,
        before anything is trained.
        """
        if isinstance(build, nn.Module) or not callable(build):
            raise TypeError(
                f"build is a {type(build).__name__}; pass the function or the class "
                "that makes the network, without calling it"
            )
        with isolated():
            seed_generators(seed)
            model = build()
        cost, budget = trace(model, (1, 3, SIDE, SIDE)), self.rules.macs
        if cost.macs > budget:
            raise ValueError(
                f"{cost.macs:,} MACs are {cost.macs / budget:.2f} times the budget of "
                f"{budget:,}; make it narrower, shallower, or reduce before "
                "the large kernels"
            )
        data, epochs = digits_at_scale(self.rules.images), self.rules.epochs
        history = fit(model, data, quick, epochs, seed=seed, progress=progress)
        if history.interrupted:
            raise ValueError("the training was stopped, so there is no entry")
        entry = Entry(
            name=name,
            macs=cost.macs,
            params=cost.params,
            accuracy=history.accuracy[-1],
            by_scale=history.accuracy_by_scale,
            seed=seed,
            rules=asdict(self.rules),
        )
        self.keep(entry)
        return entry

    def keep(self, entry):
        """Write an entry to its file, one for each name, cost and seed."""
        identity = [entry.name, entry.macs, entry.params, entry.seed, entry.rules]
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
        path = self.folder / f"{digest.hexdigest()[:16]}.json"
        self.made[path.name] = entry
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as part:
                part.write_text(json.dumps(asdict(entry), indent=1), encoding="utf-8")
        except OSError as error:
            warnings.warn(
                f"the entry lasts until this notebook is closed: {error}", stacklevel=3
            )

    @property
    def entries(self):
        """Your entries under these rules, best first."""
        found = {}
        for path in self.folder.glob("*.json"):
            try:
                found[path.name] = Entry(**json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, TypeError, OSError) as error:
                warnings.warn(f"{path} holds no entry: {error}", stacklevel=2)
        entries = (found | self.made).values()
        entries = [entry for entry in entries if entry.rules == asdict(self.rules)]
        return sorted(entries, key=lambda e: (-e.score, e.macs, e.name))

    def __str__(self):
        entries, lines = self.entries, [str(self.rules)]
        if not entries:
            return f"{self.rules}\nno entry yet: contest.enter('my design', build)"
        scales = "".join(f"{label:>8}" for label in entries[0].by_scale)
        lines.append(f"{'':4}{'design':22}{'score':>7}{'M MACs':>8}{scales}  seed")
        lines += [f"{rank:>2}. {entry}" for rank, entry in enumerate(entries, 1)]
        return "\n".join(lines)

    __repr__ = __str__
