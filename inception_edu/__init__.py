"""inception_edu: build, measure and touch the Inception family.

Everything a notebook needs hangs on this name and is imported when it is
first used, so `import inception_edu as ie` costs next to nothing.
"""

import sys
from importlib import import_module

from inception_edu.lazy import lazy

__version__ = "0.1.0"

_ROOMS = {  # with the names that hang on ie itself
    "papers": (),
    "networks": (
        "list_models",
        "create_model",
        "load_weights",
        "load_pretrained",
        "fuse",
    ),
    "cost": ("trace", "Trace", "latency"),
    "figures": ("diagram",),
    "explorers": ("explore",),
    "training": ("digits_at_scale", "fit", "recipes"),
    "lesson": ("check", "predict", "quiz", "progress"),
}
_HOMES = {name: room for room, names in _ROOMS.items() for name in (*names, room)}

__all__ = ["__version__", *_HOMES]
__getattr__, __dir__ = lazy(globals(), _HOMES)

if "IPython" in sys.modules:  # figures then show with a text twin and alt text
    import_module(f"{__name__}.figures.notebook").setup_notebook()
