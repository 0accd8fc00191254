"""On paper: a PDF a lesson, and two weeks of homework with an answer key.

Both homework and key are run before they are printed, so that a key that no longer
passes its checks is never handed out.
"""

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from nbformat import v4

from inception_edu.lesson.quiz import questions
from tools.dependencies import required
from tools.notebooks import heading, read, tags, title
from tools.publish.build import exported
from tools.publish.bundle import CHROMIUM_NAMES, formula_css, program
from tools.publish.execute import NOTEBOOK_METADATA, as_stored, execute
from tools.publish.exporters import page_exporter
from tools.publish.students import LEFT_OUT, recounted

# Time passes as fast as the page allows, until its explorers are drawn.
PRINT = (
    "--headless --no-sandbox --force-prefers-reduced-motion --no-pdf-header-footer "
    "--virtual-time-budget=20000 --generate-pdf-document-outline"
)
FOOTER = """<style>@page {
  font: 8px sans-serif;
  @bottom-left { content: "NAME"; }
  @bottom-right { content: counter(page) " / " counter(pages); }
}</style>"""


def exercises(notebook, answers=False):
    """`(cell, given)` for each cell of a lesson's exercises, in order.

    An exercise is a section with a solution. Given are the cells that the exercises
    need and that stand outside of them. Cells tagged `in-class` would print an answer.
    """
    cells, sections = notebook.cells, [[]]
    for cell in cells:
        if heading(cell) and "solution" not in tags(cell):
            sections.append([])
        sections[-1].append(cell)
    left_out = {"lecturer", "in-class"} | (set() if answers else {"solution"})
    chosen, needed = set(), set()
    for section in sections:
        if any("solution" in tags(cell) for cell in section):
            chosen |= {cell.id for cell in section if not left_out & set(tags(cell))}
    for index, cell in enumerate(cells):
        if cell.cell_type == "code" and cell.id in chosen:
            needed |= {other.id for other in required(cells, index)}
    return [(c, c.id not in chosen) for c in cells if c.id in chosen | needed]


def text_cell(source, ident):
    slide = {"slideshow": {"slide_type": "slide"}}
    return v4.new_markdown_cell(source, id=ident, metadata=slide)


def homework(paths, week, answers=False):
    """The notebook of one week's exercises, or its key."""
    start = f"# Week {week}: {'answer key' if answers else 'homework'}\n\n"
    start += "From the exercises of the lessons on the Inception family."
    cells = [text_cell(start, "title")]
    made = v4.new_notebook(metadata=NOTEBOOK_METADATA, cells=cells)
    for path in paths:
        notebook, before = read(path), False
        lesson = f"lesson-{path.stem.partition('_')[0]}"
        made.cells.append(text_cell(f"# {title(notebook)}", lesson))
        for cell, given in exercises(notebook, answers):
            cell.id = f"{lesson}-{cell.id}"
            if given and not before:
                made.cells.append(text_cell("## Given", f"{cell.id}-given"))
            made.cells.append(cell)
            before = given
    return recounted(made)


def weeks(paths):
    """The lessons with exercises, in two parts of nearly equal length."""
    full = [path for path in paths if exercises(read(path))]
    half = (len(full) + 1) // 2
    return [part for part in (full[:half], full[half:]) if part]


def for_paper(notebook):
    """The notebook with its hints and the answers to the quiz at its end."""
    kept, hints, name = [], [text_cell("## Hints", "hints")], ""
    answers = text_cell("## Answers to the quiz", "quiz-answers")
    for cell in notebook.cells:
        name = found[1] if (found := heading(cell)) else name
        if "hint" in tags(cell):
            hints += [text_cell(f"### {name}", f"{cell.id}-of"), cell]
        else:
            kept.append(cell)
        for key in re.findall(r'ie\.quiz\("([\w-]+)"', cell.source):
            one = questions()[key]
            letter, why = one["right"], one["why"][one["right"]]
            answers.source += f"\n\n{one['question']} **{letter})** {why}"
    kept += hints if hints[1:] else []
    kept += [answers] if "\n" in answers.source else []
    notebook.cells = kept
    return notebook


def print_page(html, target):
    """Print a page to a PDF on A4: an outline, page numbers, every fold open."""
    target.parent.mkdir(parents=True, exist_ok=True)
    name = re.search(r"<title>(.*)</title>|$", html)[1] or ""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.with_name("formulas.css").write_text(formula_css(), encoding="utf-8")
        page = html.replace("<details", "<details open") + FOOTER.replace("NAME", name)
        file.write_text(page, encoding="utf-8")
        to = f"--print-to-pdf={target.resolve()}"
        command = [program(*CHROMIUM_NAMES), *PRINT.split(), to, file.as_uri()]
        subprocess.run(command, check=True, capture_output=True)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB", flush=True)


def handout(paths, folder):
    """A PDF a lesson; homework and answer key as notebooks and as PDFs."""
    target = Path(folder) / "handout"
    program(*CHROMIUM_NAMES)
    for path in paths:
        page = exported(page_exporter(LEFT_OUT), path, notebook=for_paper(read(path)))
        print_page(page, target / f"{path.stem}.pdf")
    for week, lessons in enumerate(weeks(paths), 1):
        for answers in (False, True):
            name = f"week_{week}_{'answers' if answers else 'homework'}"
            path = target / f"{name}.ipynb"
            path.write_bytes(as_stored(homework(lessons, week, answers)))
            problems, _ = execute(path, timeout=300)
            if problems:
                raise ValueError(f"{path} does not run: {'; '.join(problems)}")
            made = page_exporter(("lecturer",))
            page = exported(made, path, notebook=for_paper(read(path)))
            print_page(page, path.with_suffix(".pdf"))
