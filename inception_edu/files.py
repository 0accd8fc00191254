"""Files: read as rows; complete, or as they were."""

import csv
import glob
import os
import shutil
from contextlib import contextmanager
from pathlib import Path


def read_rows(path):
    """The rows of a CSV as dicts of text, by the names in its first line."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def parts_of(path):
    """What `atomic_write` to `path` left where a process was killed."""
    return path.parent.glob(f"{glob.escape(path.stem)}.*.part{path.suffix}")


@contextmanager
def atomic_write(path):
    """A temporary path beside `path`, which takes its place when the block ends.

    When the block fails or is interrupted, `path` is as it was. The suffix is the
    same, since some writers choose their format by it. A link stays a link, and the
    permissions of an old file go to the new one; PermissionError when the old one is
    read-only.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path} is read-only; name another file")
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
