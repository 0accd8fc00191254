"""What you touch: every explorer of the series, imported when it is first named.

`ie.explore.module()` shows the explorer that lives in `explorers/module.py`.
Each file has a pure `draw(state)` and a builder of the file's own name;
`explorers/frame.py` tells how to write one.
"""

from difflib import get_close_matches
from importlib import import_module

NAMES = ("module", "bottleneck", "kernels", "grid_reduction")
NAMES += ("label_smoothing", "optimizers", "auxiliary_head", "training")
NAMES += ("network", "residual", "feature_maps")
NAMES += ("family",)


class Explore:
    """The explorers as attributes: `explore.module(...)` returns an Explorer."""

    def __getattr__(self, name):
        if name.startswith("_") or name not in NAMES:
            close = get_close_matches(name, NAMES, n=2, cutoff=0.4)
            hint = f"did you mean {' or '.join(close)}? " if close else ""
            raise AttributeError(
                f"no explorer is called {name!r}; {hint}there are: {', '.join(NAMES)}"
            )
        builder = getattr(import_module(f"{__name__}.{name}"), name)
        setattr(self, name, builder)
        return builder

    def __dir__(self):
        return list(NAMES)

    def __repr__(self):
        return f"<explorers: {', '.join(NAMES)}>"


explore = Explore()

__all__ = ["NAMES", "explore"]
