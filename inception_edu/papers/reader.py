"""Read the three tables of this folder; every row is a small printable object."""

import textwrap
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from inception_edu.cards import Card
from inception_edu.files import read_rows
from inception_edu.text import closest

HERE = Path(__file__).parent
VERDICTS = {
    "true": "True",
    "half": "Half true",
    "wrong": "Wrong",
    "unsettled": "Unsettled",
}


@dataclass(frozen=True)
class Source:
    """A paper, or a repository that publishes figures."""

    paper: str
    title: str
    authors: str
    year: int
    where: str


@dataclass(frozen=True)
class Published:
    """One published figure: `value` in `unit`, and where it stands.

    `crops` and `models` are 0 where the paper says nothing; `images` names the
    set that an accuracy was measured on.
    """

    id: str
    paper: str
    place: str
    network: str
    what: str
    value: float
    unit: str
    crops: int
    models: int
    images: str
    note: str

    @property
    def source(self):
        """Paper and place, ready to be printed beside the number."""
        paper = source(self.paper)
        return f"{paper.title}, {self.place} ({paper.where})"

    def __repr__(self):
        text = f"{self.network}, {self.what}: {self.value:.12g} {self.unit}".rstrip()
        setting = [f"{self.models} models"] if self.models > 1 else []
        plural = "s" if self.crops > 1 else ""
        setting += [f"{self.crops} crop{plural}"] if self.crops else []
        setting += [self.images] if self.images else []
        text += f" ({', '.join(setting)})" if setting else ""
        lines = [text, f"  {self.source}", f"  {self.note}" if self.note else ""]
        # As wide as JupyterLab shows on a small screen, its list of files open.
        wrapped = [textwrap.wrap(x, 100, subsequent_indent="    ") for x in lines]
        return "\n".join(line for part in wrapped for line in part)


@dataclass(frozen=True)
class Claim:
    """A statement, who makes it, the verdict, and the correct statement.

    `lesson` is the number of the notebook that judges it; `test` shows it: a test,
    or the cell of a notebook, whose output every run compares.
    """

    id: str
    claim: str
    who: str
    verdict: str
    correct: str
    source: str
    lesson: int
    test: str

    def judge(self, vote=None):
        """A card that sets your vote, such as "half", beside the verdict, or asks."""
        if vote not in VERDICTS:
            hint = "" if vote in (None, ...) else f"{vote!r} is no verdict. "
            hint += f"Write one of {', '.join(map(repr, VERDICTS))} into judge()."
            return Card("ask", self.claim, (f"Claimed by {self.who}.",), hint=hint)
        fits = vote == self.verdict
        kind, head = ("right", "Right.") if fits else ("wrong", "Not this time.")
        details = self.claim, *self.card().details
        compare = ("your vote", VERDICTS[vote]), ("verdict", VERDICTS[self.verdict])
        return Card(kind, head, details, compare=compare)

    def card(self):
        """The claim with its verdict, what is correct, and the source."""
        return Card(
            {"true": "right", "wrong": "wrong"}.get(self.verdict, "info"),
            f"{VERDICTS[self.verdict]}: {self.claim}",
            (f"Claimed by {self.who}.", self.correct, f"Source: {self.source}."),
        )

    def __repr__(self):
        return str(self.card())

    def _repr_html_(self):
        return self.card()._repr_html_()


@cache
def table(name, kind):
    """Every row of a table as a `kind`, by its first column; an empty cell is 0."""
    found = {}
    for row in read_rows(HERE / name):
        values = [each.type(row[each.name] or each.type()) for each in fields(kind)]
        found[values[0]] = kind(*values)
    return found


def one(name, kind, key):
    """The row called `key`, or a ValueError that names the close ones."""
    rows = table(name, kind)
    if key not in rows:
        raise ValueError(f"{closest(key, rows)}there is no {key!r} in {name}")
    return rows[key]


def frame(name, kind):
    """Every row of a table as a pandas DataFrame, indexed by id."""
    import pandas

    return pandas.DataFrame(table(name, kind).values()).set_index("id")


def figure(id):
    """The published figure with this id; `.value` is its number.

    Raises ValueError naming the close ids for one that is not there.
    """
    return one("figures.csv", Published, id)


def figures():
    """Every published figure, as a pandas DataFrame indexed by id.

    `figures().query("paper == 'rethinking' and place == 'table 3'")` is the ladder.
    """
    return frame("figures.csv", Published)


def claim(id):
    """The `Claim` with this id, shown as a card: claim, verdict, correct statement.

    Raises ValueError naming the close ids for one that is not there.
    """
    return one("claims.csv", Claim, id)


def claims(lesson=None):
    """The claims that a lesson judges, or all, as a pandas DataFrame indexed by id."""
    rows = frame("claims.csv", Claim)
    return rows if lesson is None else rows[rows["lesson"] == lesson]


def source(paper):
    """The `Source` with this short name, such as "rethinking"."""
    return one("sources.csv", Source, paper)
