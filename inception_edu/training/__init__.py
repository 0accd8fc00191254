"""What you train: data, recipes, the loop, its history, stored results."""

from importlib import import_module

_HOMES = {
    "Data": "data",
    "Split": "data",
    "as_input": "data",
    "digits_at_scale": "data",
    "load_data": "data",
    "plain_digits": "data",
    "Diverged": "loop",
    "dead_channels": "evaluation",
    "evaluate": "evaluation",
    "fit": "loop",
    "History": "history",
    "Recipe": "recipes",
    "RMSpropTF": "optimizers",
    "results": "stored",
    "compare": "stored",
    "Contest": "contest",
}

__all__ = [*_HOMES, "recipes"]


def __getattr__(name):
    if name == "recipes":
        return import_module(f"{__name__}.recipes")
    if name in _HOMES:
        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
