"""nbconvert's exporter, given this package's templates, explorers and formulas."""

import json
import re
from functools import cache, partial

from nbconvert.exporters import HTMLExporter
from nbconvert.exporters.slides import _RevealMetadataPreprocessor
from nbconvert.preprocessors import TagRemovePreprocessor
from nbformat import v4

from inception_edu.explorers import Explorer
from inception_edu.figures.walk import script
from tools.dependencies import required
from tools.notebooks import heading, tags
from tools.publish.bundle import TEMPLATES, formulas, own_file
from tools.publish.execute import WIDGET, is_explorer, run
from tools.publish.live import live_state, packed
from tools.publish.stage import on_slides

STATE = ("_face", "_shown", "_frames")
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
FORMULA = re.compile(
    r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^\s$](?:[^$\n]*[^\s$\\])?)\$", re.DOTALL
)
CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.DOTALL | re.MULTILINE)


def with_frames(notebook, resources):
    """Show every explorer in its first state, with the pictures of its sweep.

    The cells that show one, and those that they need, run in a kernel. Other widgets,
    such as the bar of a training, say nothing once they stopped.
    """
    cells = notebook.cells
    shown = [i for i, cell in enumerate(cells) if explorers(cell)]
    ids = {cell.id for i in shown for cell in required(cells, i)}
    made = v4.new_notebook(cells=[cell for cell in cells if cell.id in ids])
    folder = resources.get("metadata", {}).get("path", ".")
    states = widget_states(v4.writes(made), folder) if shown else {}
    for cell in cells:
        for output, state in zip(explorers(cell), states.get(cell.id, []), strict=True):
            output.data = {"text/html": explorer_html(state, resources)}
        if "outputs" in cell:
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    return notebook, resources


def explorers(cell):
    return [output for output in cell.get("outputs", []) if is_explorer(output)]


@cache  # a deck and its short version show the same explorers
def widget_states(text, folder):
    """`{cell id: states of its explorers}` after running the notebook in `folder`."""
    notebook = v4.reads(text)
    run(notebook, folder, 600, INCEPTION_EDU_FRAMES="1")
    known = notebook.metadata.widgets[WIDGET_STATE]["state"]
    return {
        cell.id: [known[o.data[WIDGET]["model_id"]]["state"] for o in explorers(cell)]
        for cell in notebook.cells
    }


def explorer_html(state, resources):
    """HTML: a still picture, and the state from which the player revives it."""
    frame = Explorer._esm.default_value.replace("export default", "const frame =", 1)
    resources["player"] = f"{frame}\n{own_file('lesson/player.js')}"
    if Explorer._css.default_value not in resources["styles"]:
        resources["styles"].append(Explorer._css.default_value)
    live = live_state(state)
    kept = {name: state[name] for name in STATE} | {"live": bool(live)} | live
    text = packed(json.dumps(kept, ensure_ascii=False).encode())
    picture = state["_shown"][2]
    script = f'<script type="application/gzip">{text}</script>'
    return f'<div class="explorer-place">{picture}{script}</div>'


def with_folds(notebook, resources):
    """Fold every cell of a solution, under the name of the heading before it."""
    name = "Solution"
    for cell in notebook.cells:
        if "solution" in tags(cell):
            if found := heading(cell):
                name = found[1]
                cell.source = cell.source.strip().partition("\n")[2].strip()
            if cell.source and not cell.source.startswith("<details>"):
                cell.metadata.fold = name
    return notebook, resources


def with_links(notebook, resources):
    """Lead links to lessons and to the glossary to their pages."""
    glossary = f"]({resources['asset_prefix']}glossary.html"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            lesson = re.sub(r"\]\(([\w-]+)\.ipynb\)", r"](\1.html)", cell.source)
            cell.source = lesson.replace("](../docs/glossary.md", glossary)
    return notebook, resources


def with_formulas(notebook, resources):
    """Render the formulas here, all of a notebook at once, to leave no script."""
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


def assets(prefix, *styles):
    """What the templates put into every page.

    `prefix` is the path to `python.js` and `formulas.css`, such as "../".
    """
    head = own_file("lesson/theme.js") + own_file("lesson/reach.js")
    styles = [own_file(f"lesson/{name}.css") for name in styles]
    return {"asset_prefix": prefix, "styles": styles, "head": head, "player": ""}


class LessonExporter(HTMLExporter):
    """What pages and decks have in common; both load no more than two files.

    `steps` are the preprocessors of one kind, `given` is what its template gets.
    """

    def __init__(self, template, steps, given):
        super().__init__(
            template_name="lesson",
            template_file=template,
            extra_template_basedirs=[str(TEMPLATES)],
            exclude_anchor_links=True,
        )
        self.given = given
        for step in (with_frames, *steps, with_links, with_formulas):
            self.register_preprocessor(step, enabled=True)

    def from_notebook_node(self, nb, resources=None, **kw):
        resources = (resources or {}) | self.given
        page, resources = super().from_notebook_node(nb, resources, **kw)
        formula = resources["formulas"]
        page = re.sub(
            r"<x-formula>(\d+)</x-formula>", lambda m: formula[int(m[1])], page
        )
        page = re.sub(r"<th([^>]*)>\s*</th>", r"<td\1></td>", page)  # heads nothing
        opens = f"<script>{script()}</script>"  # in every diagram's output: one will do
        page = page.replace(opens, "", max(0, page.count(opens) - 1))
        return page, resources


def page_exporter(leave_out=("lecturer", "solution")):
    """Of a lesson to read, without the cells that have one of these tags."""
    remove = TagRemovePreprocessor(remove_cell_tags=set(leave_out))
    return LessonExporter("page.html.j2", (remove, with_folds), assets("", "page"))


def deck_exporter(**options):
    """Of a lesson to present: slides from slide marks; options of `on_slides`."""
    steps = (partial(on_slides, **options), _RevealMetadataPreprocessor)
    given = assets("../", "page", "deck") | {"deck": own_file("lesson/deck.js")}
    return LessonExporter("deck.html.j2", steps, given)
