"""Reading notebooks, whoever saved them, and the kernels that run them."""

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat import reader, validator

ROOT = Path(__file__).parents[1]


class Unreadable(ValueError):
    """A file that is no notebook; the text says why in one line."""


def read(path):
    """The notebook at `path`, in format 4.5.

    A byte order mark, null fields, missing ids and older formats are accepted, as
    Windows editors, Colab and VS Code write them. Raises Unreadable.
    """
    return _read(path)[0]


def stored_faults(path):
    """Departures of the file at `path` from the notebook format, in words."""
    raw = _read(path)[1]
    if raw.get("nbformat_minor") != 5:
        yield f"format 4.{raw.get('nbformat_minor')}, expected 4.5"
    for error in validator.iter_validate(raw):
        where = "/".join(str(step) for step in error.absolute_path)
        yield f"{where or 'the notebook'}: {error.message}"


def _read(path):
    """`(notebook, JSON as it is stored)`."""
    try:
        content = Path(path).read_bytes()
        if not content:
            raise ValueError("the file is empty")
        text = content.decode("utf-8-sig")
        raw = json.loads(text)
        if not isinstance(raw, dict) or "nbformat" not in raw:
            raise ValueError("JSON, but not a notebook")
        mended = without_null(raw)
        for cell in mended.get("cells", []):
            cell.setdefault("metadata", {})
            cell.setdefault("source", "")
        notebook = nbformat.convert(reader.reads(json.dumps(mended)), 4)
        notebook.nbformat_minor = 5
        for number, cell in enumerate(notebook.cells, 1):
            if "id" not in cell:
                cell["id"] = f"cell-{number}"
        error = next(validator.iter_validate(notebook), None)
        if error is not None:
            where = "/".join(str(step) for step in error.absolute_path)
            raise ValueError(f"{where}: {error.message}")
    except json.JSONDecodeError as error:
        why = f"broken JSON in line {error.lineno}"
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        why = str(error).partition("\n")[0][:300]
    except Exception as error:  # nbformat's own errors have no common class
        why = f"{type(error).__name__}: {error}".partition("\n")[0][:300]
    else:
        return notebook, reader.parse_json(text)
    raise Unreadable(f"{path} cannot be read as a notebook ({why})")


def without_null(value):
    """JSON without the fields that are null, but for execution counts."""
    if isinstance(value, list):
        return [without_null(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: without_null(one)
        for key, one in value.items()
        if one is not None or key == "execution_count"
    }


def tags(cell):
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def heading(cell):
    """`(level, text)` of the heading that a Markdown cell begins with, or None."""
    found = re.match(r"\s*(#{1,6})\s+(.*)", cell.source)
    if cell.cell_type != "markdown" or not found:
        return None
    return len(found[1]), plain(found[2])


def plain(markdown):
    """A line of Markdown without its marks."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", markdown)
    return re.sub(r"\*|`|(?<!\w)_|_(?!\w)", "", text).strip()


# ---- kernels ----------------------------------------------------------------


def own_kernel(command=(), **options):
    """A kernel manager for this very Python, whatever kernels are registered.

    `command` is put before the kernel's own command line; `options` are those of
    `AsyncKernelManager`.
    """
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class OwnPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            spec = get_kernel_dict()
            spec["argv"] = [*command, *spec["argv"]]
            return self.kernel_spec_class(resource_dir=RESOURCES, **spec)

    return AsyncKernelManager(kernel_spec_manager=OwnPython(), **options)


def kernel_environment(folder):
    """Environment variables for a kernel whose outputs are stored or compared.

    No GPU, since its floats differ; a fixed hash seed, since sets are printed in its
    order; IPython's profile and our own data (a contest's entries) in `folder`, since
    a user's own would change what is shown; threads that sleep while they wait, since
    spinning makes a training five times as long on a busy machine. None: not set.
    """
    return {
        "CUDA_VISIBLE_DEVICES": "",
        "INCEPTION_EDU_DATA": str(Path(folder) / "data"),
        "INCEPTION_EDU_PROGRESS": "off",
        "IPYTHONDIR": str(folder),
        "MPLBACKEND": None,  # the kernel then chooses inline
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONHASHSEED": "0",
    }


@contextmanager
def environment(variables):
    """The process environment with these variables, restored afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        change_environment(variables)
        yield
    finally:
        change_environment(before)


def change_environment(variables):
    """Set each variable; None removes it."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
