"""The form a stored notebook must have, one small function a rule.

nbval compares a run with what was stored, so a notebook that was never run,
or stored with a timestamp, passes or fails for the wrong reason. Each rule
yields sentences that name the cell, what is wrong, and the mend.
"""

import re
from base64 import b64decode
from pathlib import Path

from tools.notebooks import read, stored_faults, tags
from tools.publish.execute import CELL_METADATA

MAX_LINES = 25
MAX_COLUMNS = 78
MAX_PICTURE_KB = 60
MAX_NOTEBOOK_KB = 300
IGNORED_ONE_IN = 10
SLIDE_TYPES = ("slide", "subslide", "fragment", "skip", "notes", "-")
NOTEBOOK_METADATA = ("kernelspec", "language_info", "title")

RANDOM_ID = re.compile(r"[0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:<-])/(?:home|root|Users|tmp|usr|var|opt|mnt|work|private|content)/\S+"
    r"|(?<!\w)[A-Za-z]:\\(?:Users|Windows|Program)[^\s\"']*"
)
CLOCK = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d|(?<![\d:])\d\d:\d\d:\d\d(?![\d:])")
INLINE_PICTURE = re.compile(r"data:image/[\w.+;=-]+;base64,([A-Za-z0-9+/=]+)")
PICTURE = re.compile(r"<img\b|<svg\b")
# A number and a point behind a line of text: "lesson\n01. The" would be a list.
BY_CHANCE = re.compile(r"^[A-Za-z(*\"`].*\n(\d+\. .{0,20})", re.MULTILINE)
NO_ALT = re.compile(r"!\[\s*\]\(|<img(?![^>]*\balt=[\"'][^\"'])[^>]*>")
HEADING = re.compile(r"(#{1,6})\s+(.*)")


def check(path):
    """Every departure of the stored notebook at `path` from the form, in words."""
    path = Path(path)
    found = [*violations(read(path)), *stored_faults(path)]
    size = path.stat().st_size / 1000
    if size > MAX_NOTEBOOK_KB:
        found.append(f"{size:.0f} KB, at most {MAX_NOTEBOOK_KB}; make pictures smaller")
    return found


def violations(notebook):
    """Every departure of the notebook from the form, but for the file's size."""
    for rule in RULES:
        yield from rule(notebook)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def name(cell):
    return f"cell {cell.get('id', '(no id)')!r}"


def outputs(notebook):
    """Pairs of code cell and output."""
    return [(cell, out) for cell in code_cells(notebook) for out in cell.outputs]


def texts(output):
    """The text in an output, of every kind but pictures and tracebacks."""
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [output.evalue, *output.traceback]
    return [
        value
        for kind, value in output.data.items()
        if isinstance(value, str) and not kind.startswith("image/")
    ]


def executed_in_order(notebook):
    for number, cell in enumerate(code_cells(notebook), 1):
        if cell.execution_count != number:
            yield (
                f"{name(cell)}: execution count {cell.execution_count}, expected "
                f"{number}; run `make notebooks`"
            )
        for output in cell.outputs:
            if output.get("execution_count", cell.execution_count) != number:
                yield f"{name(cell)}: output of another run; run `make notebooks`"


def no_error(notebook):
    for cell, output in outputs(notebook):
        if output.output_type == "error" and "raises-exception" not in tags(cell):
            yield (
                f"{name(cell)}: stored error {output.ename}; mend the cell, or tag "
                "it raises-exception"
            )


def no_stderr(notebook):
    for cell, output in outputs(notebook):
        if output.output_type == "stream" and output.name == "stderr":
            yield f"{name(cell)}: stored stderr {output.text[:60]!r}; silence it"


def readable_ids(notebook):
    seen = set()
    for number, cell in enumerate(notebook.cells, 1):
        ident = cell.get("id", "")
        if not re.fullmatch(r"[a-z0-9-]+", ident) or RANDOM_ID.fullmatch(ident):
            yield (
                f"cell {number}: id {ident!r} is not readable; write one of a-z, 0-9 "
                "and -, such as 'predict-cost'"
            )
        if ident in seen:
            yield f"cell {number}: id {ident!r} is used twice; ids name one cell"
        seen.add(ident)


def known_metadata(notebook):
    """No widget state, no execution times, nothing an editor left behind."""
    for key in notebook.metadata:
        if key == "widgets":
            yield "stored widget state; run `make notebooks`"
        elif key not in NOTEBOOK_METADATA:
            yield f"unknown notebook metadata {key!r}; run `make notebooks`"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "kernel is not python3; run `make notebooks`"
    for cell in notebook.cells:
        for key in cell.metadata:
            if key not in CELL_METADATA:
                yield f"{name(cell)}: unknown metadata {key!r}; run `make notebooks`"


def no_clock(notebook):
    for cell, output in outputs(notebook):
        for text in texts(output):
            for found in CLOCK.finditer(text):
                yield f"{name(cell)}: timestamp {found[0]!r}; do not print it"


def no_absolute_path(notebook):
    places = [(cell, cell.source) for cell in notebook.cells]
    places += [(c, text) for c, output in outputs(notebook) for text in texts(output)]
    for cell, text in places:
        for found in ABSOLUTE_PATH.finditer(text):
            yield f"{name(cell)}: absolute path {found[0]!r}; use a relative one"


def picture_sizes(cell):
    """Bytes of every picture in the cell: outputs, attachments, data URLs."""
    bundles = [output.get("data", {}) for output in cell.get("outputs", [])]
    bundles += cell.get("attachments", {}).values()
    for bundle in bundles:
        for kind, value in bundle.items():
            if kind == "image/svg+xml":
                yield len(value.encode())
            elif kind.startswith("image/"):
                yield len(b64decode(value))
    for text in [cell.source, *(t for o in cell.get("outputs", []) for t in texts(o))]:
        for found in INLINE_PICTURE.finditer(text):
            yield len(found[1]) * 3 // 4
        for found in re.finditer(r"<svg\b.*?</svg>", text, re.DOTALL):
            yield len(found[0].encode())


def small_pictures(notebook):
    for cell in notebook.cells:
        for size in picture_sizes(cell):
            if size > MAX_PICTURE_KB * 1000:
                yield (
                    f"{name(cell)}: picture of {size / 1000:.0f} KB, at most "
                    f"{MAX_PICTURE_KB}; lower its dpi or draw less"
                )


def described_pictures(notebook):
    for cell in notebook.cells:
        places = [cell.source] if cell.cell_type == "markdown" else []
        places += [text for out in cell.get("outputs", []) for text in texts(out)]
        for text in places:
            if NO_ALT.search(text):
                yield f"{name(cell)}: picture without alt text; say what is to be seen"
        for out in cell.get("outputs", []):
            kinds = out.get("data", {})
            bare = "text/html" not in kinds and "image/png" in kinds
            if bare or (PICTURE.search("".join(texts(out))) and not twin(out)):
                yield (
                    f"{name(cell)}: picture without a text twin; show it by "
                    "`inception_edu.figures`, which writes one"
                )


def twin(output):
    """Whether an output says in words what its picture shows, not only its name."""
    words = output.data.get("text/plain", "").strip()
    if words.startswith("<"):  # the name of an object; an explorer's has its summary
        return words.startswith("<Explorer ")
    return len(words.splitlines()) > 1


def no_list_by_chance(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for found in BY_CHANCE.finditer(cell.source):
                yield (
                    f"{name(cell)}: the line {found[1]!r} begins like a list; break "
                    "the line before it elsewhere"
                )


def small_cells(notebook):
    for cell in code_cells(notebook):
        lines = cell.source.splitlines()
        if len(lines) > MAX_LINES:
            yield f"{name(cell)}: {len(lines)} lines, at most {MAX_LINES}; split it"
        for number, line in enumerate(lines, 1):
            if len(line) > MAX_COLUMNS:
                yield (
                    f"{name(cell)}: line {number} has {len(line)} columns, at most "
                    f"{MAX_COLUMNS}; break it"
                )


def few_ignored(notebook):
    """Outputs that nbval does not compare are rare and say why."""
    ignored = []
    for cell in code_cells(notebook):
        if re.search(r"^\s*#+\s*(NBVAL|PYTEST_VALIDATE)_", cell.source, re.MULTILINE):
            yield f"{name(cell)}: nbval marker in a comment; use the tag instead"
        if {"nbval-ignore-output", "nbval-skip"} & set(tags(cell)):
            ignored.append(cell)
            if not re.search(r"#.*\bnot compared\b", cell.source, re.IGNORECASE):
                yield (
                    f"{name(cell)}: output ignored without a reason; write it in a "
                    "comment, '# Not compared: seconds differ between machines'"
                )
    total = len(code_cells(notebook))
    if len(ignored) * IGNORED_ONE_IN > total:
        yield (
            f"{len(ignored)} of {total} outputs are ignored, at most one in "
            f"{IGNORED_ONE_IN}; print what can be compared ({name(ignored[-1])})"
        )


def slide_marks(notebook):
    for cell in notebook.cells:
        slide_type = cell.metadata.get("slideshow", {}).get("slide_type")
        if slide_type not in SLIDE_TYPES:
            yield (
                f"{name(cell)}: slide_type {slide_type!r}, expected one of "
                f"{', '.join(SLIDE_TYPES)}"
            )
        if "lecturer" in tags(cell) and slide_type != "notes":
            yield f"{name(cell)}: tagged lecturer, so slide_type must be 'notes'"


def solutions_closed(notebook):
    """Shift+Enter from the first cell to the last shows no solution."""
    for cell in notebook.cells:
        heading = HEADING.match(cell.source) if cell.cell_type == "markdown" else None
        is_heading = bool(heading and heading[2].lower().startswith("solution"))
        if "solution" not in tags(cell):
            if is_heading or "solution" in cell.get("id", ""):
                yield f"{name(cell)}: part of a solution, so tag it 'solution'"
        elif cell.cell_type == "code":
            if not cell.metadata.get("jupyter", {}).get("source_hidden"):
                yield f"{name(cell)}: solution is open; hide its source"
        elif is_heading:
            if not cell.metadata.get("jp-MarkdownHeadingCollapsed"):
                yield (
                    f"{name(cell)}: solution heading is open; set its metadata "
                    "jp-MarkdownHeadingCollapsed to true"
                )
        elif not cell.source.startswith("<details>"):
            yield f"{name(cell)}: solution is open; put it into <details>"


RULES = (
    executed_in_order,
    no_error,
    no_stderr,
    readable_ids,
    known_metadata,
    no_clock,
    no_absolute_path,
    small_pictures,
    described_pictures,
    no_list_by_chance,
    small_cells,
    few_ignored,
    slide_marks,
    solutions_closed,
)
