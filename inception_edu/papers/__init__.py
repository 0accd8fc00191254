"""What the papers say: published figures and the ledger of claims.

`figures.csv` holds every published number that a lesson quotes, `claims.csv`
every statement that a lesson judges, `sources.csv` the papers. A number is
never copied into a lesson by hand: `papers.figure(id)` carries its source.
"""

from inception_edu.papers.reader import claim, claims, figure, figures, source

__all__ = ["claim", "claims", "figure", "figures", "source"]
