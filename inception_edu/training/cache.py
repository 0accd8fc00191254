"""The user's folders, and arrays that are made once and kept there."""

import os
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from inception_edu.files import atomic_write


def cache_folder():
    """Where generated data is kept: INCEPTION_EDU_CACHE, or the user's cache."""
    return own_folder("INCEPTION_EDU_CACHE", "XDG_CACHE_HOME", "~/.cache")


def data_folder():
    """Where the reader's results are kept: INCEPTION_EDU_DATA, or their data folder."""
    return own_folder("INCEPTION_EDU_DATA", "XDG_DATA_HOME", "~/.local/share")


def own_folder(ours, systems, usual):
    """The folder that the variable `ours` names, else ours in the user's own one."""
    if os.environ.get(ours):  # set, but to nothing: as if it were not set
        return Path(os.path.expanduser(os.environ[ours]))  # ~nobody stays as it is
    home = os.environ.get(systems) or os.environ.get("LOCALAPPDATA")
    return Path(home or os.path.expanduser(usual)) / "inception_edu"


def fingerprint(arrays):
    """Checksum of a dict of arrays, names and shapes included."""
    total = 0
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total = zlib.crc32(f"{name}{array.shape}{array.dtype}".encode(), total)
        total = zlib.crc32(array, total)
    return total


def cached(name, build):
    """The arrays in the cache file `name`, or those of `build()`, then stored.

    A missing, damaged or unwritable cache costs the second it takes to build
    them again, never an error.
    """
    path = cache_folder() / name
    try:
        if not path.is_file():  # a pipe would be waited for
            raise FileNotFoundError(path)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        if int(arrays.pop("checksum")) == fingerprint(arrays) and arrays:
            return arrays
    except Exception:  # numpy raises half a dozen kinds
        pass
    arrays = build()
    with suppress(OSError):  # no folder, no right to write, no space left
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part, open(part, "wb") as file:
            np.savez(file, checksum=np.array(fingerprint(arrays)), **arrays)
    return arrays
