"""Reading notebooks, whoever saved them, and the kernels that run them."""

import json
import os
import re
from pathlib import Path

import nbformat
from nbformat import validator

ROOT = Path(__file__).parents[1]
TEXT = {"metadata": {}, "source": ""}
RESULT = {"metadata": {}, "execution_count": None}
REQUIRED = {  # by the format, of cells and outputs
    **{"markdown": TEXT, "raw": TEXT, "code": TEXT | RESULT | {"outputs": []}},
    **{"display_data": {"metadata": {}}, "execute_result": RESULT},
}


class Unreadable(ValueError):
    """A file that is no notebook; the text says why in one line."""


def read(path):
    """The notebook at `path`, in format 4.5.

    A byte order mark, null fields and missing ids are accepted, as Windows editors,
    Colab and VS Code write them. Raises Unreadable.
    """
    try:
        # in UTF-8, or in UTF-16 as PowerShell writes
        raw = without_null(json.loads(Path(path).read_bytes()))
        notebook = nbformat.v4.reads(json.dumps(raw))
        notebook.nbformat_minor = 5
        for number, cell in enumerate(notebook.cells, 1):
            cell.setdefault("id", f"cell-{number}")
        for fault in faults(notebook):
            raise ValueError(fault)
        return notebook
    except json.JSONDecodeError as error:
        why = f"broken JSON in line {error.lineno}"
    except Exception as error:  # nbformat's own errors have no common class
        why = str(error).partition("\n")[0][:300]
    raise Unreadable(f"{path} cannot be read as a notebook ({why})")


def faults(notebook):
    """Departures from the notebook format, in words."""
    for error in validator.iter_validate(notebook):
        where = "/".join(str(step) for step in error.absolute_path)
        yield f"{where or 'the notebook'}: {error.message}"


def without_null(value):
    """JSON without the fields that are null, and with those that must be there."""
    if isinstance(value, list):
        return [without_null(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: without_null(one) for key, one in value.items() if one is not None}
    return REQUIRED.get(value.get("cell_type", value.get("output_type")), {}) | kept


def tags(cell):
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def heading(cell):
    """`(level, text)` of the heading that a Markdown cell begins with, or None."""
    found = re.match(r"\s*(#{1,6})\s+(.*)", cell.source)
    if cell.cell_type != "markdown" or not found:
        return None
    return len(found[1]), plain(found[2])


def title(notebook):
    """The first heading of a notebook, or ""."""
    return next((found[1] for cell in notebook.cells if (found := heading(cell))), "")


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
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    specs = KernelSpecManager(kernel_dirs=[])  # leaves the one of this Python
    manager = AsyncKernelManager(kernel_spec_manager=specs, **options)
    manager.kernel_spec.argv[:0] = command
    return manager


def kernel_environment(folder):
    """The environment of a kernel whose outputs are stored or compared.

    No GPU, since its floats differ; a fixed hash seed, since sets are printed in its
    order; IPython's profile and our own data (a contest's entries) in `folder`, since
    a user's own would change what is shown; threads that sleep while they wait, since
    spinning makes a training five times as long on a busy machine.
    """
    variables = os.environ | {
        "CUDA_VISIBLE_DEVICES": "",
        "INCEPTION_EDU_DATA": str(Path(folder) / "data"),
        "INCEPTION_EDU_PROGRESS": "off",
        "IPYTHONDIR": str(folder),
        "OMP_WAIT_POLICY": "PASSIVE",
        "PYTHONHASHSEED": "0",
    }
    variables.pop("MPLBACKEND", None)  # the kernel then chooses inline
    return variables
