"""Files that are there whole, or as they were."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path):
    """A path beside `path` to write to; at the end it takes the place of `path`.

    When the writing fails or is interrupted, nothing of it is left and what was at
    `path` stays as it was. The ending of the name is the same, since some writers
    choose their format by it. A link stays a link, and the rights of an old file go
    to the new one; PermissionError when that is read-only.
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
