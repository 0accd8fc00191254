"""inception_edu: build, measure and touch the Inception family.

Everything a notebook needs hangs on this name and is imported when it is
first used, so `import inception_edu as ie` costs next to nothing.
"""

import sys
from importlib import import_module

from inception_edu.lazy import lazy

__version__ = "0.1.0"

_LAZY = {
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
_ROOMS = (
    "papers",
    "networks",
    "cost",
    "figures",
    "explorers",
    "training",
    "lesson",
)

__all__ = ["__version__", *_LAZY, *_ROOMS]


__getattr__, __dir__ = lazy(globals(), _LAZY | dict(zip(_ROOMS, _ROOMS, strict=True)))

if "IPython" in sys.modules:  # figures then show with a text twin and alt text
    import_module(f"{__name__}.figures.notebook").setup_notebook()
