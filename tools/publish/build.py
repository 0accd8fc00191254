"""Pages and slides of the whole series, in `site/`."""

import re

from jinja2 import Environment, FileSystemLoader
from nbformat import v4

from inception_edu.explorers import description
from inception_edu.explorers.panel import Panel
from tools.notebooks import ROOT, heading, plain, read, tags, title
from tools.publish.bundle import TEMPLATES, formula_css, npm_bytes
from tools.publish.exporters import assets, deck_exporter, explorer_html, page_exporter
from tools.publish.live import python_script
from tools.publish.students import NAME

ARCHIVE = f"{NAME}.zip"
REVEAL = ("dist/reveal.js", "plugin/notes/notes.js", "plugin/zoom/zoom.js")


def about(notebook):
    """What the lesson is about: its minutes, and what its reader will be able to do."""
    first = notebook.cells[0].source
    minutes = re.search(r"\d+ minutes", first)
    goals = re.findall(r"^- (.*(?:\n  .*)*)", first, re.MULTILINE)
    text = "; ".join(plain(" ".join(goal.split())).rstrip(",.") for goal in goals) + "."
    return f"{minutes[0]}: {text}" if minutes else text


def exported(exporter, path, neighbors=(None, None), notebook=None):
    """The HTML of the lesson at `path`, or of a version of it."""
    notebook = notebook or read(path)
    headings = {cell.id: heading(cell) or (0, "") for cell in notebook.cells}
    resources = {
        "metadata": {"name": path.stem, "path": str(path.parent)},
        "title": title(notebook) or path.stem,
        "contents": [(i, text) for i, (level, text) in headings.items() if level == 2],
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
        notebook, deck = read(path), f"slides/{path.stem}"
        links = {"read": f"{path.stem}.html", "slides": f"{deck}.html"}
        links["20 minutes"] = f"{deck}_short.html"
        there = [(text, to) for text, to in links.items() if (folder / to).is_file()]
        entry = {"title": title(notebook) or path.stem, "about": about(notebook)}
        lessons.append(entry | {"links": there})
    panel, resources = Panel(**description("kernels")), assets("", "page")
    face = panel.face() | {"swept": []}
    state = {"_face": face, "_shown": [0, *panel.answer()], "_frames": []}
    templates = Environment(loader=FileSystemLoader(TEMPLATES / "lesson"))
    page = templates.get_template("index.html.j2").render(
        lessons=lessons,
        explorer=explorer_html(state, resources),
        archive=ARCHIVE if (folder / ARCHIVE).is_file() else "",
        resources=resources,
    )
    write(folder / "index.html", page)


def write_shared_assets(paths, folder):
    """What pages and decks share: Python, the formulas' style, glossary, index."""
    write(folder / "python.js", python_script())
    write(folder / "formulas.css", formula_css())
    resources = {"title": "Glossary", "metadata": {"name": "glossary"}}
    page = page_exporter().from_notebook_node(glossary(), resources)[0]
    write(folder / "glossary.html", page)
    site_index(paths, folder)


def pages(paths, folder, solutions=False):
    """One page a lesson, and the index; `solutions` folds them in for one's own use."""
    left_out = ("lecturer",) if solutions else ("lecturer", "solution")
    named = [(f"{path.stem}.html", title(read(path)) or path.stem) for path in paths]
    around = [None, *named, None]
    for number, path in enumerate(paths):
        neighbors = around[number], around[number + 2]
        page = exported(page_exporter(left_out), path, neighbors)
        write(folder / f"{path.stem}.html", page)
    write_shared_assets(paths, folder)


def slides(paths, folder, notes=False, solutions=False):
    """One deck a lesson, one of its 20-minute version, and the index."""
    target = folder / "slides"
    for path in paths:
        has_short = any("short" in tags(cell) for cell in read(path).cells)
        for short in (False, True)[: 1 + has_short]:
            made = deck_exporter(notes=notes, solutions=solutions, short=short)
            name = f"{path.stem}{'_short' * short}.html"
            write(target / name, exported(made, path))
    reveal = (npm_bytes(f"reveal.js/{name}").decode() for name in REVEAL)
    write(target / "reveal.js", "\n;\n".join(reveal))
    write(target / "reveal.css", npm_bytes("reveal.js/dist/reveal.css").decode())
    write_shared_assets(paths, folder)
