"""Diagrams that a reader walks into: by mouse, keyboard and touch, without Python."""

import re

import pytest

import inception_edu as ie
from inception_edu.figures import sliding_window
from tests.browser.on_page import violations
from tests.needs import needs_npm

OPEN = """() => {
  const times = [], root = document.querySelector(".ie-diagram");
  const open = ".ie-sheet button:not([aria-disabled])";
  const boxes = () => [...root.querySelectorAll(open)];
  for (let i = 0; i < boxes().length; i++) {
    const start = performance.now();
    boxes()[i].click();
    root.offsetHeight; // lays it out
    times.push(performance.now() - start);
    root.querySelector(".ie-path button").click();
  }
  return times.sort((one, two) => one - two);
}"""


@pytest.fixture(scope="module")
def page_of_v4(tmp_path_factory):
    """A page on the disk that shows Inception v4 and GoogLeNet with its heads."""
    googlenet = ie.create_model("googlenet", aux=True).train()
    heads = ie.trace(googlenet, (1, 3, 224, 224), aux=True)
    drawn = ie.diagram(ie.create_model("inception_v4")), ie.diagram(heads)
    path = tmp_path_factory.mktemp("diagrams") / "page.html"
    path.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<title>Diagrams</title></head><body><main><h1>Diagrams</h1>"
        f"{drawn[0].html}{drawn[1].html}</main></body></html>",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def opened(new_page, page_of_v4):
    """A function that opens the page and returns it and its first diagram."""

    def open_it(**options):
        page = new_page(page_of_v4, **options)
        page.wait_for_selector(".ie-live")
        return page, page.locator(".ie-diagram").first

    return open_it


def path_of(diagram):
    return [
        text
        for text in diagram.locator(".ie-path button").all_inner_texts()
        if len(text) > 1 and text != "fit"
    ]


def test_keys_lead_down_to_a_convolution_and_back(opened):
    page, diagram = opened()
    page.keyboard.press("Tab")  # the path
    first = diagram.locator('.ie-sheet button[tabindex="0"]')
    first.focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    focused = "() => document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused).startswith("mixed_3a: 160 x 73 x 73")
    page.keyboard.press("Enter")
    assert path_of(diagram) == ["inception_v4", "mixed_3a"]
    while not page.evaluate(focused).startswith("3x3/2, 96"):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert path_of(diagram) == ["inception_v4", "mixed_3a", "3x3/2, 96"]
    words = "3 x 3 x 64 x 96 x 73 x 73 = 294,672,384 MACs"
    assert diagram.get_by_text(words, exact=True).count() == 1
    page.keyboard.press("Escape")
    assert page.evaluate(focused).startswith("3x3/2, 96")
    page.keyboard.press("Escape")
    assert page.evaluate(focused).startswith("mixed_3a")
    page.keyboard.press("Escape")  # at the top it gives the keys back
    assert page.evaluate("() => document.activeElement === document.body")


def test_a_finger_opens_and_the_path_leads_back(opened):
    page, diagram = opened(has_touch=True, viewport={"width": 390, "height": 844})
    diagram.get_by_role("button", name="inception_a1").tap()
    diagram.get_by_role("button", name="1x1, 96").first.tap()
    assert len(path_of(diagram)) == 3
    diagram.get_by_role("button", name="inception_v4").tap()
    assert path_of(diagram) == ["inception_v4"]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_an_edge_names_what_flows_along_it(opened):
    _, diagram = opened(viewport={"width": 1280, "height": 900})
    diagram.get_by_role("button", name="mixed_4a").hover()
    note = diagram.locator(".ie-note")
    assert "reads 160 x 73 x 73 from mixed_3a" in note.inner_text()
    assert "gives 192 x 71 x 71 to mixed_5a" in note.inner_text()
    diagram.locator('path[data-ends="5 6"]').dispatch_event("pointerenter")
    assert note.inner_text() == "mixed_4a → mixed_5a: 192 x 71 x 71"


def test_every_stage_of_v4_opens_within_50_ms(opened):
    page, _ = opened()
    times = page.evaluate(OPEN)
    assert len(times) == 24
    assert times[len(times) // 2] < 50


def test_it_can_be_enlarged_moved_and_fitted(opened):
    page, diagram = opened()
    wide = "() => document.querySelector('.ie-sheet').offsetWidth"
    before = page.evaluate(wide)
    diagram.get_by_role("button", name="Larger").click()
    diagram.get_by_role("button", name="Larger").click()
    assert page.evaluate(wide) == pytest.approx(before * 1.69, rel=0.01)
    view = diagram.locator(".ie-view")
    box = view.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] - 90, box["y"] + 60)
    page.mouse.up()
    assert view.evaluate("view => view.scrollLeft") == 100
    diagram.get_by_role("button", name="Fit").click()
    assert view.evaluate("view => view.scrollHeight <= view.clientHeight + 1")


def test_on_paper_all_of_it_is_seen(opened):
    page, diagram = opened(viewport={"width": 700, "height": 500})
    page.emulate_media(media="print")
    view = diagram.locator(".ie-view").bounding_box()
    sheet = diagram.locator(".ie-sheet").bounding_box()
    assert sheet["width"] <= view["width"] <= 700
    assert sheet["height"] <= view["height"] + 1
    assert not diagram.locator(".ie-path").is_visible()


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_opening_glides_unless_motion_is_reduced(opened, motion):
    _, diagram = opened(reduced_motion=motion)
    running = diagram.get_by_role("button", name="inception_a1").evaluate(
        "button => { button.click(); return document.getAnimations().length; }"
    )
    assert bool(running) == (motion == "no-preference")


@needs_npm
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_at_any_depth(opened, theme):
    page, diagram = opened(viewport={"width": 1100, "height": 900})
    value = "true" if theme == "light" else "false"
    page.evaluate(f"() => document.body.dataset.jpThemeLight = '{value}'")
    for name in ("mixed_5a", "3x3/2, 192", None):
        page.wait_for_function("() => document.getAnimations().length === 0")
        assert violations(page) == []
        if name:
            diagram.get_by_role("button", name=name).first.click()


def test_jupyterlab_shows_a_stored_picture_and_walks_once_it_is_run(
    open_notebook, write_notebook, tmp_path
):
    source = "import inception_edu as ie\nie.diagram(ie.create_model('mini_v4'))"
    sources = {"walk": source, "moving": "ie.figures.sliding_window()"}
    shown = ie.diagram(ie.create_model("mini_v4")), sliding_window()
    stored = [drawn._repr_mimebundle_() for drawn in shown]
    lab = open_notebook(write_notebook(tmp_path / "diagram.ipynb", sources, stored))
    page = lab.page
    still = page.locator(".jp-OutputArea-output img").first
    still.wait_for()
    assert page.locator("details[open] img").bounding_box()["width"] > 400
    assert re.match("mini_v4: 3 x 48 x 48", still.get_attribute("alt"))
    assert page.locator(".ie-live").count() == 0  # not trusted yet
    lab.run_all()
    assert lab.mistakes() == []
    diagram = page.locator(".ie-diagram.ie-live")
    diagram.wait_for()
    diagram.get_by_role("button", name=re.compile("^a1")).press("Enter")
    assert len(path_of(diagram)) == 2
    page.keyboard.press("ArrowDown")  # JupyterLab leaves it to the diagram
    page.keyboard.press("Escape")
    assert path_of(diagram) == ["mini_v4"]
    assert lab.errors == []
