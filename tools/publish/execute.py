"""Run a notebook and store what it showed, the same bytes every time."""

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ClearOutputPreprocessor, CoalesceStreamsPreprocessor

from inception_edu.files import atomic_write
from tools.notebooks import kernel_environment, own_kernel, read

WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_METADATA = {"jp-MarkdownHeadingCollapsed", "jupyter", "slideshow", "tags"}
KERNEL = "Python 3 (ipykernel)"
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": KERNEL, "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}


def execute(path, timeout=120):
    """`(problems, changed)` of running the notebook at `path` in its own kernel.

    `timeout` is in seconds for each cell. With problems (an error without the
    tag raises-exception, text on stderr, a cell over its time) the file stays
    as it was; otherwise it is replaced in one step if a byte differs.
    """
    path, problems = Path(path), []
    notebook, _ = ClearOutputPreprocessor().preprocess(read(path), {})
    try:
        run(notebook, path.parent.resolve(), timeout)
    except CellTimeoutError:
        problems = [f"{last_run(notebook)} took more than its {timeout} s"]
    except DeadKernelError:
        problems = [f"{last_run(notebook)} ended the kernel"]
    except CellExecutionError as error:
        problems = [f"{last_run(notebook)} raised {error.ename}: {error.evalue}"]
    tidy(notebook)
    problems += [
        f"cell {cell.id!r} wrote to stderr: {output.text.strip()[:300]}"
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]
    content = as_stored(notebook)
    if problems or path.read_bytes() == content:
        return problems, False
    with atomic_write(path) as part:
        part.write_bytes(content)
    return [], True


def run(notebook, folder, timeout, **variables):
    """Run the cells in `folder`; `variables` are added to the kernel's environment."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        client = NotebookClient(
            notebook,
            km=own_kernel(),
            timeout=timeout,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        environment = kernel_environment(profile) | variables
        # Not the kernel's own log; and no kernel that outlives its notebook.
        client.execute(cleanup_kc=True, stderr=subprocess.DEVNULL, env=environment)


def last_run(notebook):
    """The code cell that the run came to last, by its id."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    begun = [cell for cell in code if cell.execution_count or cell.outputs]
    return f"cell {(begun or code[:1])[-1].id!r}"


def tidy(notebook):
    """Take out of the notebook, in place, what differs between two runs or editors:

    widgets' state and random ids, times and other metadata, the pieces of a stream.
    """
    CoalesceStreamsPreprocessor().preprocess(notebook, {})
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    models = {}
    for cell in notebook.cells:
        for key in set(cell.metadata) - CELL_METADATA:
            del cell.metadata[key]
        for output in cell.get("outputs", []):
            if is_explorer(output):  # its picture shows until the cell is run
                output.data.pop(WIDGET, None)
            if view := output.get("data", {}).get(WIDGET):
                number = models.setdefault(view["model_id"], len(models) + 1)
                view["model_id"] = f"{number:032x}"


def is_explorer(output):
    """Whether an output shows an explorer, live or as a stored picture."""
    return output.get("data", {}).get("text/plain", "").startswith("<Explorer ")


def as_stored(notebook):
    """The bytes of a notebook's file, in the one form that the series has."""
    return (nbformat.v4.writes(notebook).rstrip("\n") + "\n").encode()
