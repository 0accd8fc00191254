"""Python in a page draws what Python in a notebook draws, in Chromium and Firefox."""

import json
import random

import pytest

from inception_edu.explorers import NAMES, description
from inception_edu.explorers.panel import Panel
from tests.browser.firefox import Firefox
from tests.needs import needs_npm
from tools.notebooks import ROOT
from tools.publish import build, live

pytestmark = needs_npm
LIVE = [name for name in NAMES if "draw" in description(name)]
STATES = 25  # of each explorer; 3,000 in all were compared once

ASK = """(asked) => new Promise((resolve, reject) => {
  const worker = window.startPython(), answers = [];
  worker.onmessage = ({ data }) => {
    if (data.failed) reject(new Error(data.failed));
    if (data.answer) answers.push(JSON.parse(data.answer));
    if (answers.length === asked.length) resolve(answers);
  };
  for (const question of asked) worker.postMessage({ ...question, start: "{}" });
})"""


@pytest.fixture(scope="module")
def page_with_python(tmp_path_factory):
    """An empty page on the disk, with `python.js` beside it."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "python.js").write_text(live.python_script(), encoding="utf-8")
    page = folder / "page.html"
    page.write_text("<script src=python.js></script>", encoding="utf-8")
    return page


def in_chromium(request, path, question):
    return request.getfixturevalue("new_page")(path).evaluate(ASK, question)


def in_firefox(request, path, question):
    with Firefox() as firefox:
        firefox.open(path.as_uri())
        answers = json.loads(
            firefox.evaluate(f"({ASK})({json.dumps(question)}).then(JSON.stringify)")
        )
        assert firefox.faults() == []
    return answers


@pytest.mark.parametrize("browser", [in_chromium, in_firefox])
def test_random_states_give_the_notebooks_picture_to_the_letter(
    request, page_with_python, browser
):
    draw = random.Random(0)
    asked, expected = [], []
    for place, name in enumerate(LIVE):
        panel = Panel(**description(name))
        for _ in range(STATES):
            moves = [
                [[control.name, draw.choice(list(control.values))]]
                for control in panel.controls.values()
            ]
            asked.append({"place": place, "name": name, "moves": json.dumps(moves)})
            panel.ask(json.loads(asked[-1]["moves"]))
            expected.append(json.loads(json.dumps(panel.answer())))
    answers = browser(request, page_with_python, asked)
    for question, answer, wanted in zip(asked, answers, expected, strict=True):
        assert answer == wanted, question


# The first free slider of every explorer, one step on and waited for: what the line
# below the picture said before, and what it and the problem say then.
MOVE_EACH = """(async () => {
  const moment = () => new Promise((done) => setTimeout(done, 20)), seen = [];
  while (document.querySelector(".explorer-place script")) await moment();
  for (const root of document.querySelectorAll(".ie-explorer")) {
    const summary = root.querySelector(".ie-summary");
    const problem = root.querySelector(".ie-problem");
    const starts = () => problem.textContent.startsWith("Python is starting");
    const input = root.querySelector("input[type=range]:enabled");
    if (!input) continue;
    const before = summary.textContent, forward = input.value !== input.max;
    input.focus();
    input[forward ? "stepUp" : "stepDown"]();
    input.dispatchEvent(new Event("input", { bubbles: true }));
    do await moment(); while (starts() || root.getAttribute("aria-busy") === "true");
    seen.push([before, summary.textContent, problem.textContent]);
  }
  return JSON.stringify(seen);
})()"""


@pytest.mark.parametrize(
    ("target", "lesson"), [(build.pages, "02_v1_reduction"), (build.slides, "05_v4")]
)
def test_explorers_of_a_page_and_a_deck_move_in_firefox(tmp_path, target, lesson):
    target([ROOT / "notebooks" / f"{lesson}.ipynb"], tmp_path)
    (path,) = tmp_path.rglob(f"{lesson}.html")
    with Firefox() as firefox:
        firefox.open(path.as_uri())
        seen = json.loads(firefox.evaluate(MOVE_EACH))
        assert firefox.faults() == []
    assert seen
    for before, after, problem in seen:
        assert after != before
        assert problem == ""
