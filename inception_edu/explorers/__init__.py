"""What you touch: every explorer of the series, imported when it is first named.

`ie.explore.module()` shows the explorer that `explorers/module.py` describes: its
QUESTION, CONTROLS and pure `draw(state)`, and where there are, SWEEP, `adjust` and
`inactive`; `controls.py` says how to write one. Options are those of `Explorer`:
start, sweep and frames. A file whose explorer has buttons has a function of its own
name, which calls `make` with what differs.
"""

from functools import partial
from importlib import import_module

from inception_edu.explorers.controls import Picture, Range
from inception_edu.lazy import lazy
from inception_edu.text import closest

NAMES = (
    "module",
    "bottleneck",
    "kernels",
    "grid_reduction",
    "label_smoothing",
    "optimizers",
    "auxiliary_head",
    "training",
    "network",
    "residual",
    "feature_maps",
    "family",
)


def description(name):
    """What `Panel` takes for the explorer `name`, read from its file."""
    said = vars(import_module(f"{__name__}.{name}"))
    parts = ("QUESTION", "CONTROLS", "SWEEP", "draw", "adjust", "inactive")
    return {"name": name} | {part.lower(): said[part] for part in parts if part in said}


def make(name, **options):
    """The explorer `name`; `options`, `Explorer`'s, replace what its file says."""
    from inception_edu.explorers.widget import Explorer

    return Explorer(**description(name) | options)


class Explore:
    """The explorers as attributes: `explore.module(...)` returns an Explorer."""

    def __getattr__(self, name):
        if name not in NAMES:
            raise AttributeError(
                f"no explorer is called {name!r}; {closest(name, NAMES)}"
                f"there are: {', '.join(NAMES)}"
            )
        file = import_module(f"{__name__}.{name}")
        builder = partial(make, name)
        builder.__doc__ = file.__doc__
        return getattr(file, name, builder)

    def __dir__(self):
        return list(NAMES)


explore = Explore()

__all__ = ["NAMES", "Explorer", "Picture", "Range", "explore", "make"]
__getattr__, __dir__ = lazy(globals(), {"Explorer": "widget"})  # brings anywidget
