"""Run a notebook and store what it showed, the same bytes every time.

nbclient runs the cells. What would differ between two runs, or between two
editors, is taken out before the file is written: times, widget state, random
model ids, the pieces in which a stream happened to arrive, unknown metadata.
"""

import os
import re
import subprocess
import tempfile
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import reader, validator

from inception_edu.files import atomic_write

WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_METADATA = (
    "editable",
    "jp-MarkdownHeadingCollapsed",
    "jupyter",
    "slideshow",
    "tags",
)
NOTEBOOK_METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


def kernel_environment(folder):
    """Environment variables for a kernel whose outputs are stored or compared.

    No GPU, since its floats differ; a fixed hash seed, since sets are printed
    in its order; an empty IPython profile in `folder`, since a user's own may
    change how things are shown, and for the same reason no results of the user's
    (a contest's entries); threads that sleep while they wait, since on a busy
    machine those that spin make a training five times as long. A value of None
    means: not set at all.
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
    """The process environment with these variables, put back afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    try:
        change_environment(variables)
        yield
    finally:
        change_environment(before)


def change_environment(variables):
    """Set each variable; None takes it out."""
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def own_kernel():
    """A kernel manager for this very Python, whatever kernels are registered."""
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class OwnPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            return self.kernel_spec_class(resource_dir=RESOURCES, **get_kernel_dict())

    return AsyncKernelManager(kernel_spec_manager=OwnPython())


class Unreadable(ValueError):
    """A file that is no notebook, or one of another format."""


def read(path):
    """The notebook as it is stored; nbformat.read would mend ids on the way.

    Raises Unreadable for a file that is none.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        version = reader.get_version(reader.parse_json(text))[0]
        if version != 4:
            raise ValueError(f"of nbformat {version}, expected 4; save it anew")
        notebook = nbformat.v4.reads(text)
        for error in validator.iter_validate(notebook):
            where = "/".join(str(step) for step in error.absolute_path)
            raise ValueError(f"{where or 'the notebook'}: {error.message}")
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        problem = str(error).partition("\n")[0]
        raise Unreadable(f"{path} cannot be read as a notebook ({problem})") from None
    return notebook


def execute(path, timeout=120):
    """`(problems, changed)` of running the notebook at `path` in its own kernel.

    `timeout` is in seconds for each cell. With problems (an error without the
    tag raises-exception, text on stderr, a cell over its time) the file stays
    as it was; otherwise it is replaced in one step if a byte differs.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import (
        CellExecutionError,
        CellTimeoutError,
        DeadKernelError,
    )

    path = Path(path)
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(execution_count=None, outputs=[])
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        environment(kernel_environment(folder)),
    ):
        client = NotebookClient(
            notebook,
            km=own_kernel(),
            timeout=timeout,
            record_timing=False,
            store_widget_state=False,
            resources={"metadata": {"path": str(path.parent.resolve())}},
        )
        try:
            # Not the kernel's own log; and no kernel that outlives its notebook.
            client.execute(cleanup_kc=True, stderr=subprocess.DEVNULL)
        except CellTimeoutError:
            return [f"{last_run(notebook)} took more than its {timeout} s"], False
        except DeadKernelError:
            return [f"{last_run(notebook)} ended the kernel"], False
        except CellExecutionError as error:
            return [f"{last_run(notebook)} raised {error.ename}: {error.evalue}"], False
    tidy(notebook)
    problems = stderr_texts(notebook)
    try:
        nbformat.validate(deepcopy(notebook))  # a copy, since it mends ids
    except nbformat.ValidationError as error:
        problems.append(f"not a valid notebook: {error.message}")
    return problems, not problems and write(notebook, path)


def last_run(notebook):
    """The code cell that the run came to last, by its id."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    run = [cell for cell in code if cell.execution_count or cell.outputs]
    return f"cell {run[-1].get('id') if run else code[0].get('id')!r}"


def stderr_texts(notebook):
    """One line for each cell that wrote to stderr."""
    return [
        f"cell {cell.get('id')!r} wrote to stderr: {output.text.strip()[:300]}"
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]


def tidy(notebook):
    """Take out of the notebook, in place, what differs between two runs."""
    kept = {"title": notebook.metadata.title} if "title" in notebook.metadata else {}
    notebook.metadata = nbformat.from_dict({**NOTEBOOK_METADATA, **kept})
    notebook.nbformat_minor = 5
    models = {}
    for cell in notebook.cells:
        for key in [key for key in cell.metadata if key not in CELL_METADATA]:
            del cell.metadata[key]
        if cell.cell_type == "code":
            cell.outputs = merge_streams(cell.outputs)
            for output in cell.outputs:
                number_model(output, models)


def merge_streams(outputs):
    """The outputs, with the pieces of a stream joined and `\\r` carried out."""
    merged = []
    for output in outputs:
        last = merged[-1] if merged else None
        if (
            last is not None
            and output.output_type == last.output_type == "stream"
            and output.name == last.name
        ):
            last.text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.output_type == "stream":
            output.text = re.sub(r"[^\n]*\r(?!\n)", "", output.text)
    return merged


def number_model(output, models):
    """Replace a widget's random model id by its number in the notebook."""
    view = output.get("data", {}).get(WIDGET)
    if view:
        number = models.setdefault(view["model_id"], len(models) + 1)
        view["model_id"] = f"{number:032x}"


def as_stored(notebook):
    """The bytes of a notebook's file, in the one form that the series has."""
    return (nbformat.v4.writes(notebook).rstrip("\n") + "\n").encode()


def write(notebook, path):
    """Whether the file changed; it is replaced in one step, or left alone."""
    content = as_stored(notebook)
    if path.read_bytes() == content:
        return False
    with atomic_write(path) as part:
        part.write_bytes(content)
    return True
