"""What you look at: diagrams, charts, one theme.

`theme` and `svg` import neither torch nor matplotlib; the rest is imported
when it is first used.
"""

from importlib import import_module

_HOMES = {
    "Table": "table",
    "diagram": "diagrams",
    "accuracy_by_scale": "charts",
    "asymmetric_pair": "illustrations",
    "learning_curve": "charts",
    "sample_sheet": "charts",
    "setup_notebook": "notebook",
    "sliding_window": "illustrations",
}

__all__ = [*_HOMES]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOMES})
