"""The user's folders, and arrays that are made once and kept there."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from inception_edu.files import atomic_write


def cache_folder():
    """Where generated data is kept: INCEPTION_EDU_CACHE, or the user's cache."""
    return user_folder("CACHE", "~/.cache")


def user_data_folder():
    """Where progress and entries are kept: INCEPTION_EDU_DATA, or the user's data."""
    return user_folder("DATA", "~/.local/share")


def user_folder(kind, usual):
    """What our variable of this kind names, else a folder in the user's own one."""
    if chosen := os.environ.get(f"INCEPTION_EDU_{kind}"):
        return Path(os.path.expanduser(chosen))  # ~nobody stays as it is
    base = os.environ.get(f"XDG_{kind}_HOME") or os.environ.get("LOCALAPPDATA")
    return Path(base or os.path.expanduser(usual)) / "inception_edu"


def cached(name, build):
    """The arrays in the cache file `name`, or those of `build()`, then stored.

    A missing, damaged or unwritable cache costs the second it takes to build
    them again, never an error. The file's format has a checksum for each array.
    """
    path = cache_folder() / name
    with suppress(Exception), np.load(path, allow_pickle=False) as stored:
        return dict(stored)
    arrays = build()
    with suppress(OSError):  # no folder, no right to write, no space left
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part, open(part, "wb") as file:
            np.savez(file, **arrays)
    return arrays
