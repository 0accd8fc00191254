"""Pages and slides of the whole series, in `site/`."""

import re

from jinja2 import Environment, FileSystemLoader
from nbformat import v4

from inception_edu.explorers import description
from inception_edu.explorers.panel import Panel
from tools.notebooks import ROOT, Unreadable, heading, plain, read, tags
from tools.publish.bundle import TEMPLATES, formula_css, npm_file
from tools.publish.exporters import (
    DeckExporter,
    PageExporter,
    finished,
    front_end,
    own_file,
    place,
    player,
    reveal_script,
)
from tools.publish.live import python_script
from tools.publish.students import NAME

ARCHIVE = f"{NAME}.zip"


def title(notebook, path):
    """The lesson's title: its first heading."""
    for cell in notebook.cells:
        if found := heading(cell):
            return found[1]
    raise Unreadable(f"{path} has no title; begin it with a heading, # Title")


def about(notebook):
    """What the lesson is about: its minutes, and what its reader will be able to do."""
    first = notebook.cells[0].source
    minutes = re.search(r"\d+ minutes", first)
    goals = re.findall(r"^- (.*(?:\n  .*)*)", first, re.MULTILINE)
    text = "; ".join(plain(" ".join(goal.split())).rstrip(",.") for goal in goals) + "."
    return f"{minutes[0]}: {text}" if minutes else text


def contents(notebook):
    """`(cell id, text)` of every section of a lesson."""
    found = [(cell, heading(cell)) for cell in notebook.cells]
    return [(cell.id, text[1]) for cell, text in found if text and text[0] == 2]


def exported(exporter, path, neighbors=(None, None), notebook=None):
    """The HTML of the lesson at `path`, or of a version of it."""
    notebook = notebook or read(path)
    resources = {
        "metadata": {"name": path.stem, "path": str(path.parent)},
        "title": title(notebook, path),
        "contents": contents(notebook),
        "contents_after": 0,
        "before": neighbors[0],
        "after": neighbors[1],
    }
    return exporter.from_notebook_node(notebook, resources)[0]


def write(target, text):
    """Store a file of the site and say so."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB", flush=True)


def glossary():
    """The glossary as a notebook: one cell a term, so that each has its address."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    made = v4.new_notebook()
    for part in re.split(r"^(?=### )", text, flags=re.MULTILINE):
        name = plain(part.partition("\n")[0].lstrip("# ")).lower()
        ident = re.sub(r"[^\w-]", "", name.replace(" ", "-"))
        part = part.replace("### ", "## ", 1)
        made.cells.append(v4.new_markdown_cell(part, id=ident))
    return made


def site_index(paths, folder):
    """The page that opens the site: an explorer, then every lesson and its decks."""
    lessons = []
    for path in paths:
        notebook = read(path)
        page, deck = f"{path.stem}.html", f"slides/{path.stem}.html"
        short = f"slides/{path.stem}_short.html"
        links = [("read", page), ("slides", deck), ("20 minutes", short)]
        entry = {"title": title(notebook, path), "about": about(notebook)}
        entry["links"] = [(t, h) for t, h in links if (folder / h).is_file()]
        lessons.append(entry)
    panel = Panel(**description("kernels"))
    resources = {}
    state = {"_face": panel.face() | {"swept": [], "compact": False}}
    state |= {"_shown": [0, *panel.answer()], "_frames": []} | front_end()
    loader = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=False)
    page = loader.get_template("lesson/index.html.j2").render(
        lessons=lessons,
        explorer=place(state, resources),
        archive=ARCHIVE if (folder / ARCHIVE).is_file() else "",
    )
    styles = [own_file("lesson/page.css"), state["_css"]]
    write(folder / "index.html", finished(page, styles, player(state["_esm"])))


def beside(folder):
    """What all pages and decks load: Python, the formulas' style, the glossary."""
    write(folder / "python.js", python_script())
    write(folder / "formulas.css", formula_css())
    resources = {"title": "Glossary", "contents": [], "metadata": {"name": "glossary"}}
    page = PageExporter(beside="").from_notebook_node(glossary(), resources)[0]
    write(folder / "glossary.html", page)


def pages(paths, folder, solutions=False, **others):
    """One page a lesson, and the index; `solutions` folds them in for one's own use."""
    left_out = ("lecturer",) if solutions else ("lecturer", "solution")
    named = [(f"{path.stem}.html", title(read(path), path)) for path in paths]
    around = [None, *named, None]
    for number, path in enumerate(paths):
        neighbors = around[number], around[number + 2]
        page = exported(PageExporter(left_out, beside=""), path, neighbors)
        write(folder / f"{path.stem}.html", page)
    beside(folder)
    site_index(paths, folder)


def slides(paths, folder, notes=False, solutions=False):
    """One deck a lesson, one of its 20-minute version, and the index."""
    target = folder / "slides"
    for path in paths:
        for short in (False, True):
            if short and not any("short" in tags(cell) for cell in read(path).cells):
                continue
            exporter = DeckExporter(notes, solutions, short, beside="../")
            name = f"{path.stem}{'_short' * short}.html"
            write(target / name, exported(exporter, path))
    write(target / "reveal.js", reveal_script())
    write(target / "reveal.css", npm_file("reveal.js/dist/reveal.css"))
    beside(folder)
    site_index(paths, folder)
