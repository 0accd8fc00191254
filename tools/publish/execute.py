"""Run a notebook and store what it showed, the same bytes every time.

nbclient runs the cells. What would differ between two runs, or between two
editors, is taken out before the file is written: times, widget state, random
model ids, the pieces in which a stream happened to arrive, unknown metadata.
"""

import subprocess
import tempfile
from copy import deepcopy
from pathlib import Path

import nbformat

from inception_edu.files import atomic_write
from tools.notebooks import environment, kernel_environment, own_kernel, read

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
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    CoalesceStreamsPreprocessor().preprocess(notebook, {})
    kept = {"title": notebook.metadata.title} if "title" in notebook.metadata else {}
    notebook.metadata = nbformat.from_dict({**NOTEBOOK_METADATA, **kept})
    models = {}
    for cell in notebook.cells:
        for key in [key for key in cell.metadata if key not in CELL_METADATA]:
            del cell.metadata[key]
        for output in cell.get("outputs", []):
            if is_explorer(output):  # its picture shows until the cell is run
                output.data.pop(WIDGET, None)
            number_model(output, models)


def is_explorer(output):
    """Whether an output shows an explorer, live or as a stored picture."""
    words = output.get("data", {}).get("text/plain", "")
    return words.startswith("<Explorer ")


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
