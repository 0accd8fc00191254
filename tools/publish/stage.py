"""What a deck shows of a lesson: results, and code where it is the subject."""

import re

from tools.notebooks import tags

# What a card says to somebody who can run its cell.
TO_DO = (
    (r"<div[^>]*>(?:No prediction yet|Write answer)[^<]*</div>", ""),
    (r" You made no prediction\.", ""),
    (
        r"Write one of [^<]* into judge\(\)\.",
        "True, true in part, wrong, or unsettled?",
    ),
    (r"<li>'([^<]*)'</li>", r"<li>\1</li>"),
    (r"<span aria-hidden='true'>◆</span> (\w)", lambda found: found[1].upper()),
    (r"(?s)^<details><summary>.*?</summary>(.*)</details>$", r"\1"),
)
HINT = re.compile(r"<details>\s*<summary><b>Hint.*?</details>", re.DOTALL)
SOLUTION = re.compile(r"^(?:<details>\s*<summary>|#+ )(.*?)(?:</summary>|$)", re.M)
FOLD = re.compile(r"^<details><summary>.*?</summary>\s*|\s*</details>$")


def on_slides(notebook, resources, notes=False, solutions=False, short=False):
    """Show questions, exercises as stubs, charts and tables without their code.

    `notes` keeps the speaker's notes, `solutions` puts each solution behind its
    exercise, one step away; `short` keeps the cells of the 20-minute version.
    """
    kept, cut, shown, solved = [], False, False, False
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        left_out = short and "short" not in tags(cell)
        if "lecturer" in tags(cell):
            cell.source = FOLD.sub("", cell.source)  # a speaker's view shows it open
            kept += [cell] * (notes and not left_out)
        elif "solution" in tags(cell):
            if solutions and shown:
                for_audience(cell)
                kind = "fragment" if solved else "subslide"
                cell.metadata.slideshow = {"slide_type": kind}
                kept.append(cell)
                solved = True
        elif left_out:
            cut |= kind != "skip"
            shown &= "hint" in tags(cell)
        else:
            for_audience(cell)
            if short:  # without the stub
                cell.source = re.split(r"\n### Build", cell.source)[0]
            if "hint" not in tags(cell):
                shown, solved = kind != "skip", False
            if cut and kind in ("-", "fragment"):  # what it stood on was cut
                cell.metadata.slideshow = {"slide_type": "subslide"}
            cut &= kind == "skip"
            kept.append(cell)
    notebook.cells = kept
    return notebook, resources


def for_audience(cell):
    """Leave in a cell what the audience sees of it."""
    if cell.cell_type != "code":
        cell.source = HINT.sub("", cell.source)
        if "solution" in tags(cell):  # unfolded
            cell.source = SOLUTION.sub(r"### \1", cell.source, 1)
            cell.source = cell.source.removesuffix("</details>")
        return
    for output in cell.outputs:
        data = output.get("data", {})
        for pattern, shown in TO_DO if "text/html" in data else ():
            data["text/html"] = re.sub(pattern, shown, data["text/html"])
    if re.search(r"\bcheck\.\w+\(", cell.source):
        cell.source = re.split(r"\n+ie\.check\.", cell.source)[0]
        cell.outputs = []
    elif cell.outputs or cell.metadata.get("jupyter", {}).get("source_hidden"):
        cell.metadata.transient = {"remove_source": True}
