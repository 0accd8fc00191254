"""Packages whose names are imported when they are first used."""

from importlib import import_module


def lazy(package, homes):
    """`(__getattr__, __dir__)` of a package, whose `globals()` are `package`.

    `homes`: the submodule that each name is in; a submodule's own name is itself.
    """
    own = package["__name__"]

    def get(name):
        if name not in homes:
            raise AttributeError(f"module {own!r} has no attribute {name!r}")
        module = import_module(f"{own}.{homes[name]}")
        package[name] = module if name == homes[name] else getattr(module, name)
        return package[name]

    return get, lambda: sorted(package["__all__"])
