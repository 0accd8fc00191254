"""The form a stored notebook must have, one small function a subject.

nbval compares a run with what was stored, so a notebook that was never run,
or stored with a timestamp, passes or fails for the wrong reason.
"""

import re
from base64 import b64decode
from collections import Counter
from io import BytesIO
from pathlib import Path

from PIL import Image

from tools.notebooks import heading, read, tags
from tools.publish.execute import as_stored, is_explorer, tidy

MAX_LINES = 25
MAX_COLUMNS = 78
MAX_PICTURE_KB = 60
MAX_NOTEBOOK_KB = 300
IGNORED_ONE_IN = 10
SLIDE_TYPES = ("slide", "subslide", "fragment", "skip", "notes", "-")

RANDOM_ID = re.compile(r"[0-9a-f]{8}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ABSOLUTE_PATH = re.compile(
    r"(?<![\w./:<-])/(?:home|root|Users|tmp|usr|var|opt|mnt|work|private|content)/\S+"
    r"|(?<!\w)[A-Za-z]:\\(?:Users|Windows|Program)[^\s\"']*"
)
CLOCK = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d|(?<![\d:])\d\d:\d\d:\d\d(?![\d:])")
INLINE_PICTURE = re.compile(r"data:image/[\w.+;=-]+;base64,([A-Za-z0-9+/=]+)")
INLINE_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
PICTURE = re.compile(r"<img\b|<svg\b")
# A number and a point after a line of text: "lesson\n01. The" would be a list.
BY_CHANCE = re.compile(r"^[A-Za-z(*\"`].*\n(\d+\. .{0,20})", re.MULTILINE)
NO_ALT = re.compile(r"!\[\s*\]\(|<img(?![^>]*\balt=[\"'][^\"'])[^>]*>")
NBVAL_COMMENT = re.compile(r"^\s*#+\s*(NBVAL|PYTEST_VALIDATE)_", re.MULTILINE)
REASON = re.compile(r"#.*\bnot compared\b", re.IGNORECASE)


def check(path):
    """Every departure of the stored notebook at `path` from the form, in words."""
    notebook, content = read(path), Path(path).read_bytes()
    found = list(violations(notebook))
    tidy(notebook)
    if as_stored(notebook) != content:
        found.append("metadata or format of another editor; run `make notebooks`")
    size = len(content) / 1000
    if size > MAX_NOTEBOOK_KB:
        found.append(f"{size:.0f} KB, at most {MAX_NOTEBOOK_KB}; make pictures smaller")
    return found


def violations(notebook):
    """Every departure of the notebook from the form, but for how it is stored."""
    yield from of_notebook(notebook)
    number = 0
    for cell in notebook.cells:
        number += cell.cell_type == "code"
        found = [*marks(cell), *pictures(cell), *solution(cell)]
        if cell.cell_type == "code":
            found += [*executed(cell, number), *size(cell)]
        else:
            for chance in BY_CHANCE.findall(cell.source):
                found += [f"the line {chance!r} begins like a list; break it before"]
        for sentence in found:
            yield f"cell {cell.get('id', '(no id)')!r}: {sentence}"


def of_notebook(notebook):
    """Ids used twice, what a solution folds, how many outputs are ignored."""
    for ident, count in Counter(cell.get("id", "") for cell in notebook.cells).items():
        if count > 1:
            yield f"cell id {ident!r} is used twice; ids name one cell"
    folded = False
    for cell in notebook.cells:
        if heading(cell):
            folded = "solution" in tags(cell)
        elif folded and "solution" not in tags(cell):
            yield f"cell {cell.id!r} is folded into a solution; put a heading before it"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    ignored = list(filter(is_ignored, code))
    if len(ignored) * IGNORED_ONE_IN > len(code):
        yield (
            f"{len(ignored)} of {len(code)} outputs are ignored, at most one in "
            f"{IGNORED_ONE_IN}; print what can be compared ({ignored[-1].id!r})"
        )


def is_ignored(cell):
    """Whether nbval does not compare the outputs of a code cell."""
    tagged = {"nbval-ignore-output", "nbval-skip"} & set(tags(cell))
    return tagged or NBVAL_COMMENT.search(cell.source)


def marks(cell):
    """Its id, its place on slides, and no path of one machine."""
    ident = cell.get("id", "")
    if not re.fullmatch(r"[a-z0-9-]+", ident) or RANDOM_ID.fullmatch(ident):
        yield "this id is not readable; write a-z, 0-9 and -, such as 'predict-cost'"
    slide_type = cell.metadata.get("slideshow", {}).get("slide_type")
    if slide_type not in SLIDE_TYPES:
        yield f"slide_type {slide_type!r}, expected one of {', '.join(SLIDE_TYPES)}"
    if "lecturer" in tags(cell) and slide_type != "notes":
        yield "tagged lecturer, so slide_type must be 'notes'"
    for found in ABSOLUTE_PATH.findall("\n".join([cell.source, *texts(cell)])):
        yield f"absolute path {found!r}; use a relative one"


def texts(cell):
    """The text in a cell's outputs, of every kind but pictures."""
    return [text for output in cell.get("outputs", []) for text in words(output)]


def words(output):
    if output.output_type == "stream":
        return [output.text]
    if output.output_type == "error":
        return [output.evalue, *output.traceback]
    held = [k for k, v in output.data.items() if isinstance(v, str)]
    return [output.data[kind] for kind in held if not kind.startswith("image/")]


def executed(cell, number):
    """Run in order, without an error, a warning or a clock; ignored for a reason."""
    counts = [output.get("execution_count", number) for output in cell.outputs]
    for count in {cell.execution_count, *counts} - {number}:
        yield f"execution count {count}, expected {number}; run `make notebooks`"
    for output in cell.outputs:
        if output.output_type == "error" and "raises-exception" not in tags(cell):
            yield f"stored error {output.ename}; fix it, or tag it raises-exception"
        if output.get("name") == "stderr":
            yield f"stored stderr {output.text[:60]!r}; silence it"
    for found in CLOCK.findall(" ".join(texts(cell))):
        yield f"timestamp {found!r}; do not print it"
    if is_ignored(cell) and not REASON.search(cell.source):
        yield (
            "output ignored without a reason; write it in a comment, "
            "'# Not compared: seconds differ between machines'"
        )


def pictures(cell):
    """Small, with alt text, and shown together with what they say in words."""
    for text in [cell.source, *texts(cell)]:
        svgs = map(str.encode, INLINE_SVG.findall(text))
        for picture in [*map(b64decode, INLINE_PICTURE.findall(text)), *svgs]:
            kilobytes = len(picture) / 1000
            if kilobytes > MAX_PICTURE_KB:
                most = f"at most {MAX_PICTURE_KB}; lower its dpi or draw less"
                yield f"picture of {kilobytes:.0f} KB, {most}"
            try:
                if not picture.startswith(b"<"):
                    Image.open(BytesIO(picture)).verify()
            except (OSError, SyntaxError):  # what Pillow raises for a broken PNG
                yield "picture that does not open; run `make notebooks`"
    markdown = [cell.source] if cell.cell_type == "markdown" else []
    if any(map(NO_ALT.search, [*markdown, *texts(cell)])):
        yield "picture without alt text; say what is to be seen"
    for output in cell.get("outputs", []):
        kinds = output.get("data", {})
        bare = "text/html" not in kinds and "image/png" in kinds
        has_twin = "\n" in kinds.get("text/plain", "").strip() or is_explorer(output)
        if (bare or PICTURE.search("".join(words(output)))) and not has_twin:
            yield (
                "picture without a text twin; show it by `inception_edu.figures`, "
                "which writes one"
            )


def size(cell):
    lines = cell.source.splitlines()
    if len(lines) > MAX_LINES:
        yield f"{len(lines)} lines, at most {MAX_LINES}; split it"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            yield f"line {number} has {len(line)} columns, at most {MAX_COLUMNS}"


def solution(cell):
    """Shift+Enter from the first cell to the last shows no solution.

    It opens a collapsed heading and runs what is below, whose result would show.
    """
    _, name = heading(cell) or (0, "")
    is_heading = name.lower().startswith("solution")
    if "solution" not in tags(cell):
        if is_heading or "solution" in cell.get("id", ""):
            yield "part of a solution, so tag it 'solution'"
    elif cell.cell_type == "code":
        if not cell.metadata.get("jupyter", {}).get("source_hidden"):
            yield "solution is open; hide its source"
        for output in cell.outputs:
            page = output.get("data", {}).get("text/html", "")
            if not ("ie-card" in page or page.startswith("<details>")):
                yield "solution tells its result; end it with ie.cards.Folded(...)"
    elif is_heading:
        if not cell.metadata.get("jp-MarkdownHeadingCollapsed"):
            yield "solution heading is open; set its jp-MarkdownHeadingCollapsed"
    elif not cell.source.startswith("<details>"):
        yield "solution is open; put it into <details>"
