"""The stored tables of trainings, made by `python -m experiments`, and their test."""

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "results"


def results(name):
    """The stored table of an experiment, such as "modules": a pandas DataFrame.

    One row a run; accuracy and the columns named by a scale ("10-15" pixels) are
    shares of the test images, 0 to 1.
    """
    import pandas

    stored = sorted(path.stem for path in FOLDER.glob("*.csv"))
    if name not in stored:
        raise ValueError(f"no results are called {name!r}; stored: {', '.join(stored)}")
    return pandas.read_csv(FOLDER / f"{name}.csv")


class Comparison(NamedTuple):
    """How much a value rises from one kind of run to another, seed by seed.

    `mean` of the paired differences and its 95 % confidence interval, `low` to
    `high`; `t`, the mean over its standard error, and the `limit` that it must exceed
    in size to differ from zero at 5 %; `detectable`, the smallest true difference
    that this many seeds find four times in five.
    """

    mean: float
    low: float
    high: float
    t: float
    limit: float
    detectable: float
    seeds: int


def compare(runs, column, one, other, value="accuracy"):
    """The `Comparison` of the runs whose `column` is `other` with those of `one`.

    `runs`: a table with a row a run and a column "seed". Pairs over the seeds that
    both have; ValueError with fewer than two.
    """
    from scipy.stats import t as student

    values = [
        runs[runs[column] == kind].set_index("seed")[value] for kind in (one, other)
    ]
    differences = (values[1] - values[0]).dropna()
    seeds = len(differences)
    if seeds < 2:
        raise ValueError(
            f"{one!r} and {other!r} have {seeds} seeds in common; 2 are needed"
        )
    mean, error = differences.mean(), differences.std() / seeds**0.5
    limit = student.ppf(0.975, seeds - 1)
    interval = mean - limit * error, mean + limit * error
    t = mean / error if error else float("inf")
    detectable = (limit + student.ppf(0.8, seeds - 1)) * error
    return Comparison(*map(float, (mean, *interval, t, limit, detectable)), seeds)
