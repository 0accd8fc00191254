"""The stored tables of trainings, made by `python -m experiments`."""

from pathlib import Path

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
