"""Pages: what they hold and what they leave out; tests/browser opens them."""

import html
import json
import re
import subprocess
import sys
from io import BytesIO
from zipfile import ZipFile

import pytest
from nbformat import v4

from tests.browser.on_page import states
from tests.needs import needs_npm
from tools.dependencies import names, required
from tools.notebooks import ROOT, tags
from tools.publish import build, bundle, live
from tools.publish.__main__ import main
from tools.publish.exporters import explorers, page_exporter
from tools.publish.form import texts
from tools.publish.stage import on_slides

LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_BYTES = 700_000
MAX_BYTES_OF_THE_SITE = 14_000_000


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


def page_of(made, **options):
    return page_exporter(**options).from_notebook_node(made, {"title": "Toy"})[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The public pages and decks of the whole series."""
    folder = tmp_path_factory.mktemp("site")
    build.slides(LESSONS, folder)
    build.pages(LESSONS, folder)
    return folder


@pytest.fixture(scope="module")
def public(site):
    """`{address: page}`."""
    paths = sorted(site.rglob("*.html"))
    return {
        path.relative_to(site).as_posix(): path.read_text("utf-8") for path in paths
    }


@needs_npm
def test_a_page_is_small_and_its_links_lead_somewhere(site, public):
    assert {f"{path.stem}.html" for path in LESSONS} | {"index.html"} <= set(public)
    for name, page in public.items():
        assert len(page.encode()) <= MAX_BYTES, name
        for link in re.findall(r'<a [^>]*?href="([^"]+)"', page):
            place, _, anchor = link.partition("#")
            if not link.startswith("http"):
                there = (site / name).parent / place if place else site / name
                assert there.is_file(), f"{name}: {link}"
                anchored = f'id="{anchor}"' in there.read_text("utf-8", "replace")
                assert anchored or not anchor, f"{name}: {link}"
    whole = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    assert whole <= MAX_BYTES_OF_THE_SITE


@needs_npm
def test_every_explorer_of_the_series_is_on_its_page_and_most_of_them_live(public):
    alive = {}
    for path in LESSONS:
        shown = [
            output.data["text/plain"]
            for cell in build.read(path).cells
            if "solution" not in tags(cell)
            for output in explorers(cell)
        ]
        found = states(public[f"{path.stem}.html"])
        assert len(found) == len(shown), path.name
        for state, text in zip(found, shown, strict=True):
            _, values, _, summary, problem, _ = state["_shown"]
            assert summary in text, f"{path.name}: not the state that is stored"
            assert not problem
            start = [frame for frame in state["_frames"] if frame[0] == values]
            assert start[0][2] == summary
            alive[state["_face"]["name"]] = state["live"]
    still = {name for name, live in alive.items() if not live}
    # The self-test of lesson 00 is written in its cell; its frames hold every state.
    assert still <= {"feature_maps", "self-test", "training"}


def test_python_beside_the_pages_draws_without_torch_and_widgets(tmp_path):
    """What a page runs, run by a Python that has nothing but its own library."""
    with ZipFile(BytesIO(live.series())) as archive:
        archive.extractall(tmp_path)
    code = f"""
import sys
from itertools import islice, product
sys.path[:0] = [{str(tmp_path)!r}]
from inception_edu.explorers import NAMES, description
from inception_edu.explorers.panel import Panel
for name in set(NAMES) - {{"feature_maps"}}:
    panel = Panel(**description(name))
    for state in islice(product(*panel.sweep.values()), 20):
        panel.values = dict(zip(panel.sweep, state))
        assert panel.svg.startswith("<svg"), (name, state)
"""
    bare = [sys.executable, "-I", "-S", "-c", code]
    run = subprocess.run(bare, capture_output=True, encoding="utf-8")
    assert run.returncode == 0, run.stderr


@needs_npm
def test_public_pages_hold_all_but_solutions_notes_and_exams(public):
    words = {name: bare(spoken(page)) for name, page in public.items()}
    secret = set()
    for path in LESSONS:
        cells = build.read(path).cells
        hidden = [c for c in cells if {"solution", "lecturer"} & set(tags(c))]
        others = [c for c in cells if c not in hidden]
        assert all(f'id="{c.id}"' in public[f"{path.stem}.html"] for c in others)
        told = bare("".join("".join([c.source, *texts(c)]) for c in others))
        for cell in hidden:
            lines = set(map(bare, cell.source.splitlines()))
            secret |= {line for line in lines if len(line) > 30 and line not in told}
            assert not any(f'id="{cell.id}"' in page for page in public.values())
    for guide in sorted((ROOT / "docs" / "lecturers").glob("*.md")):
        for part in guide.read_text(encoding="utf-8").split("*Solution:*")[1:]:
            answer = re.split(r"\n## ", part)[0]
            sentences = re.split(r"(?<=[.:])\s", answer)
            secret |= {bare(text) for text in sentences if len(text) > 60}
    assert len(secret) > 200
    for line in secret:
        held = [name for name, text in words.items() if line in text]
        assert held == [], line


def bare(text):
    """A text without spaces and marks, to be found whatever HTML made of it."""
    return re.sub(r"[\s*`$]+", "", text)


def spoken(page):
    """The words of a page, without its scripts and marks."""
    page = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def test_a_solution_is_folded_and_the_next_one_apart():
    page = page_of(notebook("# Toy", ("print(1)", "solution"), ("print(2)",)))
    assert "print(1)" not in spoken(page)
    answers = [("print('answer 1')", "solution"), ("print('answer 2')", "solution")]
    made = notebook("# 1", answers[0], "# 2", answers[1], "# Toy", ("print(2)",))
    for index in (0, 2):
        made.cells[index].source = f"#### Solution {index // 2 + 1}"
        made.cells[index].metadata.tags = ["solution"]
    page = page_of(made, leave_out=())
    folds = re.findall(r"<details class=\"solution\">(.*?)</details>", page, re.S)
    assert ["answer 1" in fold for fold in folds] == [True, False]
    assert ["answer 2" in fold for fold in folds] == [False, True]
    assert "Solution 1</summary>" in folds[0]
    assert ">2<" not in "".join(folds)


STUB = "def f(x):\n    raise NotImplementedError\n\n\nie.check.f(f)"
CARD = "<div class='ie-card'><b>? Why</b><div>No prediction yet: write</div></div>"

FOLDED = "<details><summary>What it measures</summary><pre>4</pre></details>"


def staged(**options):
    """`(source shown, text shown, slide type)` of a deck's cells."""
    made = notebook(
        ("# Toy", "short"),
        ("ie.predict('why')", "short"),
        ("draw(f)",),
        (STUB, "short"),
        ("print('answer')", "solution"),
        (STUB,),
        ("print('other')", "solution"),
        ("the note", "lecturer"),
    )
    for cell, page in zip(made.cells[1:5], [CARD, CARD, CARD, FOLDED], strict=True):
        cell.outputs = [v4.new_output("display_data", {"text/html": page})]
    kinds = ["slide", "-", "subslide", "-", "skip", "-", "skip", "notes"]
    for cell, kind in zip(made.cells, kinds, strict=True):
        cell.metadata.slideshow = {"slide_type": kind}
    made, _ = on_slides(made, {}, **options)
    return [
        (
            "" if cell.metadata.get("transient") else cell.source,
            "".join(out.data["text/html"] for out in cell.outputs),
            cell.metadata.slideshow.slide_type,
        )
        for cell in made.cells
    ]


def test_a_deck_shows_questions_stubs_and_no_other_code():
    question = "<div class='ie-card'><b>? Why</b></div>"
    whole = staged()
    assert whole == [
        ("# Toy", "", "slide"),
        ("", question, "-"),
        ("", question, "subslide"),
        *[(STUB.partition("\n\n")[0], "", "-")] * 2,
    ]
    short = [*whole[:2], (whole[3][0], "", "subslide")]
    assert staged(short=True) == short
    assert staged(notes=True) == [*whole, ("the note", "", "notes")]
    assert staged(notes=True, short=True) == short  # the note is not a short one
    answer, other = ("", "<pre>4</pre>", "subslide"), ("print('other')", "", "subslide")
    assert staged(solutions=True) == [*whole[:4], answer, whole[4], other]
    assert staged(solutions=True, short=True) == [*short, answer]  # the other is cut


def test_hints_links_and_pictures_on_a_page():
    hint = "# Toy\n\n<details>\n<summary>Hint</summary>\n\nText.\n\n</details>"
    made = notebook(hint, "[next](02_v1_reduction.ipynb)", ("1",))
    output = v4.new_output("display_data", {"image/png": "iVBORw0KGgo="})
    output.metadata = {"image/png": {"alt": "Two curves that cross"}}
    made.cells[-1].outputs = [output]
    page = page_of(made)
    assert re.search(r"<summary>Hint</summary>\s*<p>Text.</p>\s*</details>", page)
    assert 'href="02_v1_reduction.html"' in page
    assert '<img alt="Two curves that cross" src="data:image/png' in page


@needs_npm
def test_formulas_are_rendered_but_not_those_in_code():
    page = page_of(notebook("# Toy\n\n$x^2$ and `$HOME` and\n\n$$\\frac{1}{2}$$"))
    assert page.count('class="katex"') == 2
    assert page.count('class="katex-display"') == 1
    assert "<code>$HOME</code>" in page
    with pytest.raises(ValueError, match=r"formula \\frac"):
        page_of(notebook("# Toy\n\n$\\frac{1$"))


def test_missing_packages_are_said_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "MODULES", tmp_path)
    path = tmp_path / "toy.ipynb"
    path.write_text(v4.writes(notebook("# Toy\n\n$x$")), encoding="utf-8")
    with pytest.raises(
        SystemExit, match=r"^katex/package.json is missing; run `npm ci`"
    ):
        main(["pages", str(path), "--to", str(tmp_path / "site")])


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
        ("%%time\nx: A = y", "y A", "x"),
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
