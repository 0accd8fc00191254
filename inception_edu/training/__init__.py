"""What you train: data, recipes, the loop, its history, stored results."""

from inception_edu.lazy import lazy

_LAZY = {
    "Data": "data",
    "Split": "data",
    "as_input": "data",
    "digits_at_scale": "data",
    "load_data": "data",
    "plain_digits": "data",
    "dead_channels": "evaluation",
    "evaluate": "evaluation",
    "fit": "loop",
    "History": "history",
    "Recipe": "recipes",
    "RMSpropTF": "optimizers",
    "results": "stored",
    "compare": "stored",
    "Contest": "contest",
    "recipes": "recipes",
}

__all__ = [*_LAZY]
__getattr__, __dir__ = lazy(globals(), _LAZY)
