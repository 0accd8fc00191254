"""What you look at: diagrams, charts, one theme.

Only `charts` and `export` import matplotlib; none imports torch before `record` runs a
model. Every name is imported when it is first used.
"""

from inception_edu.lazy import lazy

_LAZY = {
    "Table": "table",
    "diagram": "diagrams",
    "accuracy_by_scale": "charts",
    "asymmetric_pair": "illustrations",
    "learning_curve": "charts",
    "sample_sheet": "charts",
    "sliding_window": "illustrations",
}

__all__ = [*_LAZY]
__getattr__, __dir__ = lazy(globals(), _LAZY)
