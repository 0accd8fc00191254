"""inception_edu: build, measure and touch the Inception family.

Everything a notebook needs hangs on this name and is imported when it is
first used, so `import inception_edu as ie` costs next to nothing.
"""

import sys
from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "list_models": "networks",
    "create_model": "networks",
    "load_weights": "networks",
    "load_pretrained": "networks",
    "fuse": "networks",
    "trace": "cost",
    "Trace": "cost",
    "latency": "cost",
    "diagram": "figures",
    "digits_at_scale": "training",
    "fit": "training",
    "recipes": "training",
    "check": "lesson",
    "predict": "lesson",
    "quiz": "lesson",
    "progress": "lesson",
    "explore": "explorers",
}
_FLOORS = (
    "papers",
    "networks",
    "cost",
    "figures",
    "explorers",
    "training",
    "lesson",
)

__all__ = ["__version__", *_HOMES, *_FLOORS]


def __getattr__(name):
    if name in _FLOORS:
        return import_module(f"{__name__}.{name}")
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)


if "IPython" in sys.modules:  # figures then show with a text twin and alt text
    import_module(f"{__name__}.figures.notebook").setup_notebook()
