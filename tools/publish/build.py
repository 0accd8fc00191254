"""Pages and slides of the whole series, in `site/`."""

import re

from jinja2 import Environment, FileSystemLoader

from tools.notebooks import Unreadable, heading, plain, read
from tools.publish.bundle import TEMPLATES, formula_css
from tools.publish.exporters import DeckExporter, PageExporter, finished, own_file
from tools.publish.live import python_script


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


def exported(exporter, path, neighbours=(None, None)):
    """The HTML of the lesson at `path`."""
    notebook = read(path)
    resources = {
        "metadata": {"name": path.stem, "path": str(path.parent)},
        "title": title(notebook, path),
        "contents": contents(notebook),
        "contents_after": 0,
        "before": neighbours[0],
        "after": neighbours[1],
    }
    return exporter.from_notebook_node(notebook, resources)[0]


def write(target, text):
    """Store a file of the site and say so."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB", flush=True)


def index(paths, folder, heading, lead):
    """The page that lists the lessons of a folder."""
    loader = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=False)
    lessons = []
    for path in paths:
        notebook = read(path)
        entry = {"title": title(notebook, path), "about": about(notebook)}
        lessons.append(entry | {"href": f"{path.stem}.html"})
    page = loader.get_template("lesson/index.html.j2").render(
        lessons=lessons, heading=heading, lead=lead
    )
    write(folder / "index.html", finished(page, [own_file("lesson/page.css")]))


def beside(folder):
    """What all pages and decks load: Python, and the style of formulas."""
    write(folder / "python.js", python_script())
    write(folder / "formulas.css", formula_css())


def pages(paths, folder):
    """One page a lesson, and their index."""
    named = [(f"{path.stem}.html", title(read(path), path)) for path in paths]
    around = [None, *named, None]
    for number, path in enumerate(paths):
        neighbours = around[number], around[number + 2]
        page = exported(PageExporter(beside=""), path, neighbours)
        write(folder / f"{path.stem}.html", page)
    beside(folder)
    index(
        paths,
        folder,
        "The Inception family",
        "From the naive module to Inception v4: predict, build, measure, touch.",
    )


def slides(paths, folder):
    """One deck a lesson, and their index."""
    for path in paths:
        deck = exported(DeckExporter(beside="../"), path)
        write(folder / "slides" / f"{path.stem}.html", deck)
    beside(folder)
    index(
        paths,
        folder / "slides",
        "The Inception family: slides",
        "Right arrow goes on, s opens the speaker's notes, f fills the screen; "
        "Escape leaves a control.",
    )
