"""Pages and slides opened from disk, without a network and without a kernel."""

import re
import shutil

import pytest

from inception_edu.explorers import description
from inception_edu.explorers.panel import Panel
from tests.browser.firefox import Firefox
from tests.browser.on_page import ExplorerOnPage, look, states, violations
from tests.needs import needs_npm
from tools.notebooks import ROOT, tags
from tools.publish import build, handout
from tools.publish.exporters import page_exporter
from tools.publish.students import LEFT_OUT

pytestmark = needs_npm
expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=60_000)
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MORE = "open the notebook for the rest"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Pages, and decks with notes, of the whole series."""
    folder = tmp_path_factory.mktemp("site")
    build.pages(LESSONS, folder)
    build.slides(LESSONS, folder, notes=True, solutions=True)
    return folder


def explorers(page, path):
    """`(place, state)` of the explorers of an open page."""
    stored, place = states(path.read_text("utf-8")), page.locator(".ie-explorer")
    expect(place).to_have_count(len(stored))
    return list(zip(place.all(), stored, strict=True))


def with_twin(place, state):
    """An explorer in which Python runs."""
    names = [control["name"] for control in state["_face"]["controls"]]
    start = dict(zip(names, state["_face"]["start"], strict=True))
    twin = Panel(**description(state["_face"]["name"]), start=start)
    return ExplorerOnPage(place, twin)


def move_stored(place, state):
    """Move a control that was swept; a picture follows as it is stored, or words."""
    face, frames = state["_face"], state["_frames"]
    first, pictures = look(place), set()
    for key in "ArrowRight", "ArrowLeft", "ArrowLeft", "Space":
        place.locator("input, select").nth(face["swept"][0]).press(key)
        seen = look(place)
        shown = iter(seen.shown)
        values = [value_of(control, shown) for control in face["controls"]]
        told = [frame[2:4] for frame in frames if frame[0] == values]
        assert [seen.summary, seen.problem] in told or (
            not told and MORE in seen.problem
        )
        pictures.add(seen.picture)
    assert pictures - {first.picture}


def value_of(face, shown):
    """What the next number on the page stands for; a drawing is blank there."""
    if face["kind"] == "grid":
        return "0" * face["side"] ** 2
    return face["values"][int(next(shown))] if "values" in face else next(shown)


@pytest.fixture(scope="module")
def moved():
    """The names of explorers that were moved on a page; once is enough for each."""
    return set()


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_a_page_from_disk_answers_like_python(site, new_page, lesson, moved):
    path = site / f"{lesson.stem}.html"
    for place, state in explorers(new_page(path), path):
        if (name := state["_face"]["name"]) in moved:
            continue
        moved.add(name)
        first = look(place).summary
        if state["live"]:
            explorer = with_twin(place, state)
            free = [one for one in explorer.controls if one.input.is_enabled()]
            for control in free[:3]:
                explorer.move(control, *next(control.moves()))
        else:
            move_stored(place, state)
        place.get_by_role("button", name="Reset").click()
        expect(place.locator(".ie-summary")).to_have_text(first)
        assert first and not look(place).problem


def test_a_page_without_python_beside_it_keeps_its_pictures(site, new_page, tmp_path):
    path = shutil.copy(site / "02_v1_reduction.html", tmp_path / "alone.html")
    shutil.copy(site / "formulas.css", tmp_path)
    move_stored(*explorers(new_page(path, missing="python.js"), path)[0])


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_pages_fit_and_axe_finds_nothing(site, new_page, width, scheme):
    found = {}
    for path in sorted(site.glob("*.html")):
        view = {"width": width, "height": 844}
        page = new_page(path, viewport=view, color_scheme=scheme)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        if broken := violations(page):
            found[path.stem] = broken
        page.close()
    assert found == {}


def test_dark_and_light_change_by_a_button_and_paper_is_light(site, new_page):
    page = new_page(site / "00_start_here.html", color_scheme="dark")
    paper = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(17, 17, 17)"
    light = "() => document.documentElement.getAttribute('data-jp-theme-light')"
    assert page.evaluate(light) == "false"
    page.get_by_role("button", name="Dark or light").click()
    assert page.evaluate(light) == "true"
    page.get_by_role("button", name="Dark or light").click()
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(light) == "true"


# Slides.

# Every slide with all its fragments, none of it folded: how far it overflows, and the
# smallest type of its code and output.
MEASURE = """async () => {
  const measured = [], frame = () => new Promise(requestAnimationFrame);
  for (const [i, slide] of Reveal.getSlides().entries()) {
    const { h, v } = Reveal.getIndices(slide);
    Reveal.slide(h, v, 99);
    if (slide.querySelector(".ie-sheet")) await frame().then(frame); // takes its size
    const wide = [...slide.querySelectorAll("pre, table, img, svg, p, .explorer-place")]
      .map((part) => part.scrollWidth - part.clientWidth);
    const type = [...slide.querySelectorAll("pre, p, li, td")]
      .map((part) => parseFloat(getComputedStyle(part).fontSize));
    for (const svg of slide.querySelectorAll(".ie-sheet > svg:first-child")) {
      const scale = svg.getScreenCTM().a / Reveal.getScale(), sheet = svg.parentNode;
      wide.push(sheet.clientWidth - scale * svg.viewBox.baseVal.width); // its buttons
      type.push(...[...svg.querySelectorAll("text")]
        .map((text) => Math.round(scale * text.getAttribute("font-size"))));
    }
    const filled = [...slide.querySelectorAll("p, li, pre, td, img, svg, .ie-card")]
      .map((part) => part.getBoundingClientRect().bottom / Reveal.getScale());
    const short = slide.querySelector(".ie-card-ask")
      || slide.innerText.startsWith("Solution");
    const few = short ? 0 : 240 - Math.max(0, ...filled);
    measured.push([i + 1, few, slide.scrollHeight - 720, slide.scrollWidth - 1280,
      Math.max(0, ...wide), Math.min(...type)]);
  }
  return measured;
}"""


HEADED_TWICE = """() => Reveal.getSlides().flatMap((slide) => {
  const names = [...slide.querySelectorAll("h1, h2, h3, .running")]
    .map((heading) => heading.firstChild.textContent.trim());
  return names.filter((name, i) => names.indexOf(name) < i);
})"""


# Of slides that could still be split: they hold more than one part.
LETTERS = """() => Math.max(...Reveal.getSlides().map((slide) => {
  const parts = [...slide.querySelectorAll("p, li, td, th, pre, summary")]
    .filter((part) => !part.closest("aside, svg, .explorer-place, .running"));
  const seen = parts.map((part) => part.cloneNode(true));
  seen.flatMap((part) => [...part.querySelectorAll(".katex-mathml")])
    .forEach((formula) => formula.remove());
  const letters = seen.reduce((sum, part) => sum + part.textContent.trim().length, 0);
  return parts.length > 1 ? letters : 0;
}))"""


def deck_open(site, new_page, lesson):
    page = new_page(site / "slides" / f"{lesson.stem}.html")
    page.wait_for_function("() => window.Reveal?.isReady()")
    page.wait_for_function("() => !document.querySelector('.ie-diagram:not(.ie-live)')")
    return page


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_slide_fits_and_keeps_the_notes(site, new_page, lesson):
    page = deck_open(site, new_page, lesson)
    slides = page.evaluate(MEASURE)
    cells = build.read(lesson).cells
    marks = ("slide", "subslide")
    marked = [c for c in cells if c.metadata.slideshow.slide_type in marks]
    assert len(slides) >= len([c for c in marked if "solution" not in tags(c)])
    assert page.evaluate(LETTERS) <= 800
    for number, few, high, wide, inside, type_size in slides:
        where = f"{lesson.stem}, slide {number}"
        assert few <= 0 and high <= 0 and wide <= 0 and inside <= 1, where
        assert type_size >= 14, where
    assert page.evaluate(HEADED_TWICE) == []
    notes = page.evaluate(
        "() => Reveal.getSlides().map((slide) => Reveal.getSlideNotes(slide) ?? '')"
    )
    lecturers = [cell.id for cell in cells if "lecturer" in tags(cell)]
    assert [i for i in lecturers if f'id="{i}"' not in "".join(notes)] == []


def test_every_deck_starts_in_firefox(site):
    """Its fonts are wider or narrower, hence other slides are split."""
    with Firefox() as firefox:
        for path in sorted((site / "slides").glob("*.html")):
            firefox.open(path.as_uri())
            while not firefox.evaluate("Reveal.isReady()"):
                assert firefox.faults() == [], path.name
            assert firefox.faults() == [], path.name


def test_arrows_go_on_unless_a_control_has_them(site, new_page):
    """On the slide of lesson 02 where the bottleneck explorer stands."""
    page = deck_open(site, new_page, LESSONS[2])
    place = page.locator(".explorer-place").first
    index = "() => Reveal.getSlides().indexOf(Reveal.getCurrentSlide())"
    at = "place => { const i = Reveal.getIndices(place.closest('section'));"
    place.evaluate(at + "Reveal.slide(i.h, i.v); }")
    here = page.evaluate(index)
    deck = site / "slides" / f"{LESSONS[2].stem}.html"
    explorer = with_twin(*explorers(page, deck)[0])
    explorer.move(explorer.controls[2], *next(explorer.controls[2].moves()))
    page.locator(".ie-explorer select").first.press("ArrowDown")
    finger = page.context.new_cdp_session(page)
    for kind, at in ("Start", [300]), ("Move", [600]), ("Move", [900]), ("End", []):
        points = [{"x": x, "y": 360} for x in at]
        event = {"type": f"touch{kind}", "touchPoints": points}
        finger.send("Input.dispatchTouchEvent", event)
    assert page.evaluate(index) == here
    page.locator(".ie-explorer input[type=range]").first.press("PageDown")
    page.keyboard.press("ArrowLeft")  # a presenter's clicker goes on, through a slider
    assert page.evaluate(index) == here
    page.locator(".ie-explorer select").first.focus()
    page.keyboard.press("Escape")
    assert page.evaluate("() => Reveal.isOverview()") is False
    page.keyboard.press("ArrowRight")
    assert page.evaluate(index) == here + 1
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(index) == here


def test_a_deck_turns_dark_and_the_speakers_view_shows_the_notes(site, new_page):
    page = deck_open(site, new_page, LESSONS[0])
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "() => getComputedStyle(document.body).backgroundColor === 'rgb(17, 17, 17)'"
    )
    with page.context.expect_page() as opened:
        page.keyboard.press("s")
    opened.value.get_by_text("Plan for 5 minutes").wait_for()  # and open


# Paper.


def test_a_lesson_prints_to_a_pdf(tmp_path, chromium):
    page = build.exported(page_exporter(LEFT_OUT), LESSONS[0])
    handout.print_page(page, tmp_path / "lesson.pdf")
    high = "<details><summary>Fold</summary><p style='height: 99cm'>High</details>"
    handout.print_page(high, tmp_path / "fold.pdf")
    for name in ("lesson.pdf", "fold.pdf"):
        printed = (tmp_path / name).read_bytes()
        assert printed.startswith(b"%PDF")
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 1, name
