"""What a deck shows of a lesson: results, and code where it is the subject."""

import re

from nbconvert.preprocessors import Preprocessor

from tools.notebooks import heading, tags

# What a card says to somebody who can run its cell.
TO_DO = re.compile(
    r"<div[^>]*>(?:No prediction yet|Write answer|Write one of)[^<]*</div>"
)
NO_PREDICTION = " You made no prediction."


class Stage(Preprocessor):
    """Questions large, exercises as stubs, charts and tables without their code.

    `notes` keeps the speaker's notes, `solutions` puts each solution behind its
    exercise, one step away; `short` keeps the cells of the 20-minute version.
    """

    enabled = True

    def __init__(self, notes=False, solutions=False, short=False):
        super().__init__()
        self.notes, self.solutions, self.short = notes, solutions, short

    def preprocess(self, notebook, resources):
        kept, cut, shown, solved = [], False, False, False
        for cell in notebook.cells:
            kind = slide_type(cell)
            if "lecturer" in tags(cell):
                kept += [cell] * self.notes
                continue
            if "solution" in tags(cell):
                if self.solutions and shown and self.show_solution(cell, not solved):
                    kept.append(cell)
                    solved = True
                continue
            if self.short and "short" not in tags(cell):
                cut |= kind not in ("skip", "notes")
                continue
            if "hint" not in tags(cell):
                shown, solved = kind != "skip", False
            if cut and kind in ("-", "fragment"):  # what it stood on was cut
                cell.metadata.slideshow = {"slide_type": "subslide"}
            cut &= kind == "skip"
            self.show(cell)
            kept.append(cell)
        notebook.cells = kept
        return notebook, resources

    def show_solution(self, cell, first):
        """Whether the cell is shown: on a slide of its own, after one more step."""
        if found := heading(cell):
            cell.source = f"### {found[1]}"
        kind = "subslide" if first else "fragment"
        cell.metadata.slideshow = {"slide_type": kind}
        return True

    def show(self, cell):
        """Prepare what the audience sees of a code cell."""
        if cell.cell_type != "code":
            return
        for output in cell.outputs:
            data = output.get("data", {})
            if "ie-card" in data.get("text/html", ""):
                html = TO_DO.sub("", data["text/html"])
                data["text/html"] = html.replace(NO_PREDICTION, "")
        if re.search(r"\bcheck\.\w+\(", cell.source):
            cell.source = re.split(r"\n+ie\.check\.", cell.source)[0]
            cell.outputs = []
        elif cell.outputs or cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata.transient = {"remove_source": True}


def slide_type(cell):
    return cell.metadata.get("slideshow", {}).get("slide_type", "-")
