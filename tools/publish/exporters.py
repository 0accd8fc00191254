"""nbconvert's exporters, given this package's templates, explorers and formulas.

Small preprocessors do what the stored notebook leaves to a kernel or to
JupyterLab: explorers get their frames, a collapsed solution becomes a fold, and
links between lessons lead to the other page.
"""

import re
import subprocess
from copy import deepcopy
from functools import cache
from tempfile import TemporaryDirectory

from nbclient import NotebookClient
from nbconvert.exporters import HTMLExporter, SlidesExporter
from nbconvert.exporters.slides import _RevealMetadataPreprocessor
from nbconvert.preprocessors import Preprocessor, TagRemovePreprocessor
from nbformat import v4

from inception_edu.figures.walk import script
from tools.dependencies import required
from tools.notebooks import environment, heading, kernel_environment, own_kernel, tags
from tools.publish.bundle import (
    TEMPLATES,
    formula_css,
    formulas,
    npm_file,
    own_file,
)
from tools.publish.execute import WIDGET, is_explorer
from tools.publish.live import live_state, packed_json
from tools.publish.stage import Stage

STATE = ("_face", "_shown", "_frames")
FORMULA = re.compile(
    r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^\s$](?:[^$\n]*[^\s$\\])?)\$", re.DOTALL
)
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


class Explorers(Preprocessor):
    """Every explorer in its first state, with the pictures of its sweep.

    The cells that show one, and those that they need, run in a kernel; nbclient
    stores the state of the widgets. Other widgets, such as the bar of a training,
    say nothing once they stopped.
    """

    def preprocess(self, notebook, resources):
        cells = notebook.cells
        shown = [i for i, cell in enumerate(cells) if explorers(cell)]
        states = {}
        if shown:
            run = {cell.id for i in shown for cell in required(cells, i)}
            folder = resources.get("metadata", {}).get("path", "")
            states = widget_states([c for c in cells if c.id in run], folder)
        for cell in cells:
            fresh = states.get(cell.get("id"), [])
            for output in explorers(cell):
                if not fresh:
                    raise ValueError(
                        f"cell {cell.id!r} did not show its explorer again"
                    )
                output.data = {"text/html": place(fresh.pop(0), resources)}
            if "outputs" in cell:
                cell.outputs = [
                    o for o in cell.outputs if WIDGET not in o.get("data", {})
                ]
        return notebook, resources


def place(state, resources):
    """HTML: a still picture, and the state that the player wakes it up with."""
    resources["front_end"] = (state["_esm"], state["_css"])
    live = live_state(state)
    kept = {name: state[name] for name in STATE} | {"live": live is not None}
    kept |= live or {}
    return (
        f'<div class="explorer-place">{state["_shown"][2]}'
        f'<script type="application/gzip">{packed_json(kept)}</script></div>'
    )


def front_end():
    """The explorers' script and style, as a widget holds them."""
    from inception_edu.explorers import Explorer

    return {name: getattr(Explorer, name).default_value for name in ("_esm", "_css")}


def player(esm, after=""):
    """The explorers' front end and what starts them; `after` waits for them."""
    parts = [after]
    if esm:
        script = esm.replace("export default", "const frame =", 1)
        parts = [script, own_file("lesson/player.js"), after]
    return f'<script type="module">{chr(10).join(parts)}</script>'


def explorers(cell):
    """The outputs of a cell that are explorers."""
    return [output for output in cell.get("outputs", []) if is_explorer(output)]


def widget_states(cells, folder):
    """`{cell id: states of its explorers}` after running the cells in `folder`."""
    return deepcopy(_widget_states(v4.writes(v4.new_notebook(cells=cells)), folder))


@cache  # a page and two decks show the same explorers
def _widget_states(text, folder):
    notebook = v4.reads(text)
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        variables = kernel_environment(profile) | {"INCEPTION_EDU_FRAMES": "1"}
        with environment(variables):
            client = NotebookClient(notebook, km=own_kernel(), timeout=600)
            client.resources = {"metadata": {"path": folder or "."}}
            client.execute(cleanup_kc=True, stderr=subprocess.DEVNULL)
    known = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]
    return {
        cell.id: [
            known["state"][output.data[WIDGET]["model_id"]]["state"]
            for output in explorers(cell)
        ]
        for cell in notebook.cells
    }


class Folds(Preprocessor):
    """A solution's heading and cells become one fold."""

    def preprocess(self, notebook, resources):
        cells, title = [], None
        for cell in notebook.cells:
            inside = "solution" in tags(cell)
            found = heading(cell) if inside else None
            if found and found[1].lower().startswith("solution"):
                title = found[1]
                cell.source = cell.source.strip().partition("\n")[2].strip()
                if not cell.source:
                    continue
            if cells and (title or not inside):
                cells[-1].metadata.fold_end = cells[-1].metadata.get("folded", False)
            if inside:
                cell.metadata.folded = True
            if inside and title:
                cell.metadata.fold_start, title = title, None
            cells.append(cell)
        if cells:
            cells[-1].metadata.fold_end = cells[-1].metadata.get("folded", False)
        notebook.cells = cells
        return notebook, resources


class Links(Preprocessor):
    """Links to another lesson's notebook and to the glossary lead to their pages."""

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type == "markdown":
            lesson = re.sub(r"\]\(([\w-]+)\.ipynb\)", r"](\1.html)", cell.source)
            glossary = f"]({resources.get('beside') or ''}glossary.html"
            cell.source = lesson.replace("](../docs/glossary.md", glossary)
        return cell, resources


class Formulas(Preprocessor):
    """Formulas are rendered here, all of a notebook at once, to leave no script."""

    def preprocess(self, notebook, resources):
        found = {}

        def mark(match):
            tex = (match[1] or match[2]).strip()
            number = found.setdefault((tex, bool(match[1])), len(found))
            return f"<x-formula>{number}</x-formula>"

        for cell in notebook.cells:
            if cell.cell_type == "markdown" and "$" in cell.source:
                parts = CODE.split(cell.source)
                parts[::2] = [FORMULA.sub(mark, part) for part in parts[::2]]
                cell.source = "".join(parts)
        resources["formulas"] = formulas(list(found))
        return notebook, resources


class Lesson:
    """What pages and slides have in common; both load no more than two files.

    `beside` is the way to `python.js` and `formulas.css`, such as "../"; None makes a
    page that needs no other file, with stored pictures only.
    """

    styles = ("lesson/page.css",)
    steps = ()

    def __init__(self, beside=None, **options):
        self.beside = beside
        super().__init__(
            extra_template_basedirs=[str(TEMPLATES)],
            exclude_anchor_links=True,
            **options,
        )
        for step in self.steps:
            self.register_preprocessor(step, enabled=True)

    def from_notebook_node(self, nb, resources=None, **kw):
        resources = {**(resources or {}), "beside": self.beside}
        page, resources = super().from_notebook_node(nb, resources, **kw)
        formula = resources["formulas"]
        page = re.sub(
            r"<x-formula>(\d+)</x-formula>", lambda m: formula[int(m[1])], page
        )
        opens = (
            f"<script>{script()}</script>"  # in every diagram's output: once will do
        )
        page = page.replace(opens, "", max(0, page.count(opens) - 1))
        esm, css = resources.get("front_end", ("", ""))
        styles = [*map(own_file, self.styles), css]
        if formula and self.beside is None:
            styles.append(formula_css())
        elif formula:
            link = f'<link rel="stylesheet" href="{self.beside}formulas.css">'
            page = page.replace("</head>", f"{link}\n</head>", 1)
        return finished(page, styles, self.scripts(esm)), resources

    def scripts(self, esm):
        """What stands at the end of the page."""
        return player(esm) if esm else ""


class PageExporter(Lesson, HTMLExporter):
    """A lesson to read: for students, so without what is for lecturers.

    `leave_out` names the tags of cells to leave out; `unfolded` opens solutions.
    """

    steps = (Explorers, Folds, Links, Formulas)

    def __init__(self, leave_out=("lecturer", "solution"), unfolded=False, **options):
        self.unfolded = unfolded
        super().__init__(
            template_name="lesson", template_file="page.html.j2", **options
        )
        tags = TagRemovePreprocessor(remove_cell_tags=set(leave_out))
        self.register_preprocessor(tags, enabled=True)

    def from_notebook_node(self, nb, resources=None, **kw):
        resources = {**(resources or {}), "unfolded": self.unfolded}
        return super().from_notebook_node(nb, resources, **kw)


class DeckExporter(Lesson, SlidesExporter):
    """A lesson to present: slides from slide marks; options are those of `Stage`."""

    styles = ("lesson/page.css", "deck/deck.css")

    def __init__(self, notes=False, solutions=False, short=False, **options):
        stage = Stage(notes, solutions, short)
        self.steps = (Explorers, stage, Links, Formulas, _RevealMetadataPreprocessor)
        super().__init__(template_name="deck", template_file="index.html.j2", **options)

    def scripts(self, esm):
        return player(esm, own_file("deck/deck.js"))


def reveal_script():
    """reveal.js and the two plugins of the decks, as one script beside them."""
    names = ("dist/reveal.js", "plugin/notes/notes.js", "plugin/zoom/zoom.js")
    return "\n;\n".join(npm_file(f"reveal.js/{name}") for name in names)


def finished(page, styles, scripts=""):
    """A page with its styles and scripts put in."""
    page = page.replace("/*style*/", "\n".join(styles), 1)
    head = own_file("lesson/theme.js") + own_file("lesson/reach.js")
    page = page.replace("/*head*/", head, 1)
    return page.replace("<!--player-->", scripts, 1)
