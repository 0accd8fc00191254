"""Pages: what they hold, what they leave out, and that they ask nobody."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from nbformat import v4

from tools.dependencies import names, required
from tools.publish import build, bundle
from tools.publish.__main__ import main
from tools.publish.exporters import PageExporter

ROOT = Path(__file__).parents[3]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 7_000_000
needs_npm = pytest.mark.skipif(
    not (bundle.MODULES / "katex").is_dir(), reason="no npm packages: run `npm ci`"
)


def notebook(*cells):
    """A notebook of `(source, tags)` code cells and of texts."""
    made = v4.new_notebook()
    for cell in cells:
        if isinstance(cell, str):
            made.cells.append(v4.new_markdown_cell(cell))
        else:
            source, *tags = cell
            made.cells.append(v4.new_code_cell(source, metadata={"tags": tags}))
    return made


def page_of(made):
    return PageExporter().from_notebook_node(made, {"title": "Toy"})[0]


class Requests(HTMLParser):
    """Every address that a page would load by itself."""

    LOADING = ("src", "srcset", "data", "poster", "background", "action", "formaction")

    def __init__(self, page):
        super().__init__()
        self.found, self.links, self.where = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.where = tag
        for name, value in attributes:
            loads = name in self.LOADING or (name == "href" and tag not in ("a", "use"))
            if loads and value and not value.startswith("data:"):
                self.found.append(f"<{tag} {name}={value[:60]}>")
            if name == "href" and tag == "a":
                self.links.append(value)
            if name == "style":
                self.style(value)

    def handle_data(self, data):
        if self.where == "style":
            self.style(data)

    def handle_endtag(self, tag):
        self.where = ""

    def style(self, css):
        self.found += re.findall(r"@import[^;]*", css)
        self.found += re.findall(r"url\((?![\"']?(?:data:|#))[^)]*\)", css)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The pages of the whole series."""
    folder = tmp_path_factory.mktemp("site")
    build.pages(LESSONS, folder)
    return folder


def test_the_search_for_requests_finds_them():
    page = (
        '<link href="a.css"><img src="b.png"><a href="https://c">c</a>'
        "<style>@import 'd'; p { background: url(e.png) url(data:x) }</style>"
        '<p style="background: url(f)"></p><script src="g"></script>'
    )
    assert len(Requests(page).found) == 6
    assert Requests(page).links == ["https://c"]


@needs_npm
def test_a_stored_image_keeps_its_alt_text_on_the_page():
    made = notebook(("1",))
    output = v4.new_output("display_data", {"image/png": "iVBORw0KGgo="})
    output.metadata = {"image/png": {"alt": "Two curves that cross"}}
    made.cells[0].outputs = [output]
    assert '<img alt="Two curves that cross" src="data:image/png' in page_of(made)


@needs_npm
def test_a_page_asks_nobody_and_its_links_lead_somewhere(site):
    pages = {path.name: path.read_text(encoding="utf-8") for path in site.iterdir()}
    assert set(pages) == {"index.html", *(f"{path.stem}.html" for path in LESSONS)}
    planned = build.read(LESSONS[0])  # lesson 00 names lessons that are to come
    planned = set(re.findall(r"\]\(([\w-]+)\.ipynb\)", str(planned)))
    for name, page in pages.items():
        asked = Requests(page)
        assert asked.found == [], name
        assert len(page.encode()) <= MOST_BYTES
        for link in asked.links:
            if link.startswith("#"):
                assert f'id="{link[1:]}"' in page, link
            elif not link.startswith("http"):
                assert link in pages or link.removesuffix(".html") in planned, link


@needs_npm
def test_every_explorer_of_the_series_is_on_its_page_with_frames(site):
    for path in LESSONS:
        shown = [
            output.data["text/plain"]
            for cell in build.read(path).cells
            for output in cell.get("outputs", [])
            if output.get("data", {}).get("text/plain", "").startswith("<Explorer")
        ]
        page = (site / f"{path.stem}.html").read_text(encoding="utf-8")
        coded = re.findall(r'<script type="application/json">(.*?)</script>', page)
        states = [json.loads(state) for state in coded]
        assert len(states) == len(shown), path.name
        for state, text in zip(states, shown, strict=True):
            _, values, _, summary, problem, _ = state["_shown"]
            assert summary in text, f"{path.name}: not the state that is stored"
            assert not problem
            assert 1 < len(state["_frames"]) <= 65
            start = [frame for frame in state["_frames"] if frame[0] == values]
            assert start[0][2] == summary


@needs_npm
def test_pages_hold_every_text_and_no_lecturer_notes(site):
    for path in LESSONS:
        page = (site / f"{path.stem}.html").read_text(encoding="utf-8")
        for cell in build.read(path).cells:
            tags = cell.metadata.get("tags", [])
            kept = f'id="{cell.id}"' in page
            if "lecturer" in tags:
                assert not kept, cell.id
            elif not ("solution" in tags and cell.cell_type == "markdown"):
                assert kept, cell.id
        assert page.count('class="solution"') <= page.count("<summary>Solution")
        assert "<details" in page or "00_" in path.name
        assert "$$" not in re.sub(r"<(script|pre)\b.*?</\1>", "", page, flags=re.S)


def test_a_solution_is_folded_and_the_next_one_apart():
    page = page_of(
        notebook(
            "# Toy",
            ("print(1)", "solution"),
            ("print(2)",),
        )
    )
    assert "<details" not in page  # nothing to fold without a heading
    made = notebook("# Toy", ("print(2)",))
    for number in (1, 2):
        for cell in notebook(
            f"#### Solution {number}", (f"print('answer {number}')",)
        ).cells:
            cell.metadata.tags = ["solution"]
            made.cells.insert(-1, cell)
    page = page_of(made)
    folds = re.findall(r"<details class=\"solution\">(.*?)</details>", page, re.S)
    assert ["answer 1" in fold for fold in folds] == [True, False]
    assert ["answer 2" in fold for fold in folds] == [False, True]
    assert "Solution 1</summary>" in folds[0]
    assert ">2<" not in "".join(folds)


def test_a_hint_stays_closed_around_its_text():
    page = page_of(
        notebook("# Toy\n\n<details>\n<summary>Hint</summary>\n\nText.\n\n</details>")
    )
    assert re.search(r"<summary>Hint</summary>\s*<p>Text.</p>\s*</details>", page)


def test_links_between_lessons_lead_to_pages():
    page = page_of(notebook("# Toy\n\n[next](02_v1_reduction.ipynb)"))
    assert 'href="02_v1_reduction.html"' in page


@needs_npm
def test_formulas_are_rendered_but_not_those_in_code():
    page = page_of(notebook("# Toy\n\n$x^2$ and `$HOME` and\n\n$$\\frac{1}{2}$$"))
    assert page.count('class="katex"') == 2
    assert page.count('class="katex-display"') == 1
    assert "<code>$HOME</code>" in page
    with pytest.raises(ValueError, match=r"formula '\\\\frac"):
        page_of(notebook("# Toy\n\n$\\frac{1$"))


def test_missing_packages_are_said_in_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bundle, "MODULES", tmp_path)
    path = tmp_path / "toy.ipynb"
    path.write_text(v4.writes(notebook("# Toy\n\n$x$")), encoding="utf-8")
    assert main(["pages", str(path), "--to", str(tmp_path / "site")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("make pages: katex/package.json is missing; run `npm ci`")


# What a cell needs.


@pytest.mark.parametrize(
    ("source", "reads", "makes"),
    [
        ("import a\nb = a.c(d)", "d", "a b"),
        ("def f(e):\n    return e + g + f(h)\nh = 1", "g", "f h"),
        ("h = [i for i in j]", "j", "h"),
        ("net = live(net)", "live net", "net"),
        ("total += 1", "total", "total"),
        ("total = 0\nfor i in range(n):\n    total += i", "range n", "i total"),
        ("with make() as m:\n    net = m(net)", "make net", "m net"),
        ("try:\n    x = y\nexcept E as e:\n    x = e", "y E", "x e"),
        ("class A(B):\n    def f(self):\n        return A, C", "B C", "A"),
        ("if ok:\n    k = (lambda q: q + r)(1)\nelse:\n    k = s", "ok r s", "k"),
        ("a.b = 1\nc[0].d += e", "a c e", "a c"),
        ("%%time\nx = y", "y", "x"),
        ("from a import *", "", "*"),
    ],
)
def test_what_a_cell_reads_and_makes(source, reads, makes):
    assert names(source) == (set(reads.split()), set(makes.split()))


def test_only_the_cells_that_matter_are_required():
    cells = notebook(
        ("import math",),
        ("width = 3",),
        ("raise RuntimeError('a long training')",),
        "text",
        ("width = 4\nunused = width",),
        ("def area():\n    return math.prod([width, width])",),
        ("area()",),
    ).cells
    found = [cells.index(cell) for cell in required(cells, 6)]
    assert found == [0, 4, 5, 6]


# The lock file.


def test_the_lock_file_names_no_registry_and_is_that_of_package_json():
    text = (ROOT / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)
    wanted = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))
    assert "resolved" not in text
    assert lock["packages"][""]["dependencies"] == wanted["dependencies"]
    for name in wanted["dependencies"]:
        assert lock["packages"][f"node_modules/{name}"]["integrity"]
    # nbconvert's slide layout and reveal.js 6 do not go together.
    assert lock["packages"]["node_modules/reveal.js"]["version"].startswith("5.")
