"""An explorer in JupyterLab or on a page, moved by keyboard, held against Python."""

import gzip
import json
import re
from base64 import b64decode
from types import SimpleNamespace

from inception_edu.explorers.controls import Grid
from tools.publish.bundle import MODULES

# What a reader sees of an explorer, in one look.
LOOK = """root => ({
  shown: [...root.querySelectorAll("input, select")].map((input) =>
    input.type === "checkbox" ? input.checked : Number(input.value)),
  picture: root.querySelector(".ie-picture-place").innerHTML,
  summary: root.querySelector(".ie-summary").textContent.replaceAll("\u00a0", " "),
  problem: root.querySelector(".ie-problem").textContent,
})"""

# The rules that a page breaks with all its folds open: name, and the first places.
AXE = """async () => {
  document.querySelectorAll("details").forEach((fold) => { fold.open = true; });
  await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
  const asked = { resultTypes: ["violations"], preload: false };
  const { violations } = await axe.run(document, asked);
  return violations
    .map(({ id, nodes }) => [id, ...nodes.slice(0, 3).map(({ html }) => html)]);
}"""


def violations(page):
    """What axe finds on a page."""
    if not page.evaluate("() => 'axe' in window"):
        script = MODULES / "axe-core" / "axe.min.js"
        page.evaluate(script.read_text(encoding="utf-8"))
    return page.evaluate(AXE)


def states(page):
    """The stored states of the explorers in the HTML of a page or deck."""
    found = re.findall(r'<script type="application/gzip">(.*?)</script>', page)
    return [json.loads(gzip.decompress(b64decode(text))) for text in found]


def look(locator):
    """`.shown` in the inputs, `.picture`, `.summary` and `.problem`."""
    return SimpleNamespace(**locator.evaluate(LOOK))


class Control:
    """One control of an explorer on the page, moved by keys."""

    def __init__(self, explorer, row, control):
        self.explorer, self.name, self.control = explorer, control.name, control
        self.kind = control.face()["kind"]
        self.input = row.locator("input, select")

    def press(self, *keys):
        """Press keys on it and wait for the answer of the last."""
        self.input.focus()
        for key in keys:
            self.explorer.page.keyboard.press(key)
        self.explorer.wait()

    def meant(self, shown):
        """The value that the number or tick in the page stands for."""
        if self.kind == "check":
            return shown
        if self.kind == "range":
            return self.control.check(shown)
        return list(self.control.values)[int(shown)]

    def moves(self):
        """`(keys, value they ask for)`: both ends, the middle, a step each way."""
        if self.kind == "check":
            value = self.explorer.values[self.name]
            yield ("Space",), not value
            yield ("Space",), value
            return
        values = list(self.control.values)
        last = len(values) - 1
        yield ("End",), values[last]
        yield ("Home",), values[0]
        if self.kind == "choice":
            yield ("ArrowDown",) * (last // 2), values[last // 2]
            return
        yield ("PageUp",) * 5, None  # its stride is the browser's own
        place = values.index(self.explorer.values[self.name])
        yield ("ArrowLeft",), values[max(place - 1, 0)]
        yield ("ArrowUp",), values[place]


class ExplorerOnPage:
    """An explorer as its reader has it, and a twin in this process."""

    def __init__(self, locator, twin):
        self.locator, self.page, self.twin = locator, locator.page, twin
        self.name = locator.get_attribute("data-name")
        rows = locator.locator(".ie-control:not(.ie-grid)").all()
        controls = [c for c in twin.controls.values() if not isinstance(c, Grid)]
        self.controls = [
            Control(self, *pair) for pair in zip(rows, controls, strict=True)
        ]

    def wait(self):
        """Until the picture answers the newest state of the controls."""
        answered = self.page.locator('[aria-busy="false"]')
        answered = answered.filter(has_not_text="Python is starting")
        self.locator.and_(answered).wait_for(timeout=180_000)

    def look(self):
        """`.values` of the controls, `.picture`, `.summary` and `.problem`."""
        seen = look(self.locator)
        pairs = zip(self.controls, seen.shown, strict=True)
        seen.values = self.twin.values  # a drawing stays as it is
        seen.values |= {control.name: control.meant(value) for control, value in pairs}
        return seen

    @property
    def values(self):
        return self.look().values

    def ask_twin(self, values):
        """Ask the twin what the page asks Python."""
        self.twin.ask([list(values.items())])

    def move(self, control, keys, asked):
        """Press `keys` on a control; everything must answer as Python does.

        The twin is put where the page is and asked for the same value: then all
        controls, the summary and a refusal must agree, and the picture or its
        summary must follow unless the state is the same.
        """
        before = self.look()
        self.ask_twin(before.values)
        control.press(*keys)
        after = self.look()
        asked = after.values[control.name] if asked is None else asked
        where = f"{self.name}: {control.name}, {before.values[control.name]} to {asked}"
        self.ask_twin({control.name: asked})
        assert after.problem == self.twin.problem, where
        assert after.values == self.twin.values, where
        if after.problem:
            return
        assert after.summary == self.twin.summary, where
        followed = after.values == before.values or after.picture != before.picture
        followed = followed or before.problem  # then the picture was an older state's
        assert followed, f"{where}: the picture stays the same and does not say why"
