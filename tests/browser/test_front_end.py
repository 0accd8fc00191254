"""The frame's page side alone, in Chromium, with a model that a test plays."""

import pytest

import inception_edu as ie
from inception_edu.explorers import NAMES
from tests.browser.front_end import GO, Page, toy

# Milliseconds from a choice among stored frames to the changed picture.
STORED = """() => {
  const select = document.querySelector(".ie-explorer select");
  const place = document.querySelector(".ie-picture-place");
  const times = [];
  for (let turn = 0; turn < 12; turn += 1) {
    const before = place.innerHTML;
    select.selectedIndex = (select.selectedIndex + 1) % select.options.length;
    const start = performance.now();
    select.dispatchEvent(new Event("input", { bubbles: true }));
    select.dispatchEvent(new Event("change", { bubbles: true }));
    void place.getBoundingClientRect();  // laid out
    if (place.innerHTML !== before) times.push(performance.now() - start);
  }
  return times;
}"""


# Whether it is busy after a press and after each answer; all at once, before any
# timer can say that Python is silent.
PRESSED = """(answers) => {
  const root = document.querySelector(".ie-explorer"), seen = [];
  const look = () => seen.push(root.getAttribute("aria-busy"));
  root.querySelector(".ie-buttons button").click();
  look();
  window.model.answer(window.model.get("_shown"));
  look();
  for (const messages of answers) { messages.forEach(window.model.tell); look(); }
  return seen;
}"""


def replies(message):
    """What Python answers to a message of the page."""
    twin, sent = toy(buttons=[GO]), []
    twin.send = sent.append
    twin._handle_custom_msg(message, [])
    return sent


@pytest.fixture
def show(new_page):
    """A function that puts an explorer on a page of its own."""
    return lambda explorer, **options: Page(new_page(**options), explorer)


def test_controls_are_native_labelled_and_in_order(show):
    shown = show(toy())
    page = shown.page
    for role, name in (("slider", "width"), ("combobox", "kernel"), ("slider", "eps")):
        assert page.get_by_role(role, name=name, exact=True).count() == 1
    assert page.get_by_role("checkbox", name="count the bias").count() == 1
    assert page.get_by_role("group", name="How wide?").count() == 1
    names = shown.page.locator(".ie-control span").all_inner_texts()
    assert names == ["width", "kernel", "eps", "count the bias"]
    for own in (*shown.input.all(), page.get_by_role("button", name="Reset")):
        assert own.get_attribute("data-lm-suppress-shortcuts") == "true"
    slider = page.get_by_role("slider", name="width")
    assert slider.get_attribute("aria-valuetext") == "64 channels"
    assert shown.summary.inner_text() == "64 1x1 1.0 False"
    assert shown.summary.get_attribute("aria-live") == "polite"


def test_moves_go_out_until_they_are_answered_the_newest_last(show):
    shown = show(toy())
    shown.press((0, "ArrowRight"), (3, "Space"), (0, "ArrowRight"))
    assert shown.sent()[-1][1] == [[["bias", True]], [["width", 80]]]
    shown.answer(1, width=72)
    shown.input.nth(1).press("ArrowDown")
    assert len(shown.sent()[-1][1]) == 3
    shown.answer(4, width=80, bias=True, kernel="3x3")
    shown.input.nth(0).press("ArrowRight")
    assert shown.sent()[-1] == [5, [[["width", 88]]]]


def test_an_answer_in_between_shows_but_leaves_the_readers_hand_alone(show):
    shown = show(toy())
    for _ in range(3):
        shown.input.nth(0).press("ArrowRight")
    shown.answer(2, width=80)
    shown.answer(1, width=72)  # late: it never covers a newer one
    assert shown.summary.inner_text().startswith("80 ")
    assert shown.input.nth(0).input_value() == "88"
    assert shown.root.get_attribute("aria-busy") == "true"
    shown.page.wait_for_timeout(500)
    assert shown.problem.inner_text() == ""  # Python is here, and gets longer


def test_a_press_is_waited_for_whatever_else_is_answered(show):
    """Else a training that tells its epoch, or a late hello, would pass for it."""
    shown = show(toy(buttons=[GO]))
    answers = [replies({"hello": True}), replies({"press": "go", "moves": []})]
    # pressed, a new picture, the hello's answer, the press's answer
    assert shown.page.evaluate(PRESSED, answers) == ["true", "true", "true", "false"]
    assert shown.page.evaluate("() => window.messages[1].press") == "go"


MOVING = {"reduced_motion": "no-preference"}
BAR = '.ie-picture-place rect[fill="#0068cb"]'
WIDTHS = """bar => {
  window.widths = [];
  const width = () => Number(document.querySelector(bar).getAttribute("width"));
  const note = () => window.widths.push(width());
  const all = { subtree: true, childList: true, attributes: true };
  new MutationObserver(note).observe(document.querySelector(".ie-picture-place"), all);
}"""


def test_what_moved_glides_and_ends_on_pythons_own_picture(show):
    shown = show(toy(), **MOVING)
    shown.page.evaluate(WIDTHS, BAR)
    shown.input.nth(0).press("ArrowRight")
    shown.answer(1, width=96)
    shown.page.wait_for_timeout(400)
    widths = shown.page.evaluate("() => window.widths")
    assert 64 <= widths[0] < 96 == widths[-1]
    twin = toy(start={"width": 96})
    assert shown.picture.inner_html() == shown.page.evaluate(
        "svg => { const place = document.createElement('div');"
        "place.innerHTML = svg; return place.innerHTML; }",
        twin.svg,
    )


def test_where_it_was_before_a_gesture_stands_behind_on_an_axis_that_stays(show):
    shown = show(toy())
    outline, note = shown.page.locator(".ie-ghost rect"), shown.page.locator(".ie-note")
    for serial, width in ((1, 72), (2, 80)):  # one gesture of two steps
        shown.input.nth(0).press("ArrowRight")
        shown.answer(serial, width=width)
        assert outline.get_attribute("width") == "64"
        assert shown.page.locator(BAR).get_attribute("width") == str(width)  # at once
    assert note.inner_text() == "Grey outline: before this move"
    shown.input.nth(0).press("ArrowRight")
    shown.answer(3, width=104)  # another range: nothing is compared
    assert note.inner_text() == "Axis now: width 0 to 200"
    assert outline.count() == 0


def test_a_control_that_does_nothing_is_disabled_and_says_why(show):
    shown = show(toy())
    box = shown.page.get_by_role("checkbox")
    assert box.is_enabled()
    shown.input.nth(1).select_option("1")
    shown.answer(1, kernel="3x3")
    assert box.is_disabled()
    assert box.get_attribute("aria-description") == "a 3x3 has its own"
    assert shown.page.get_by_text("a 3x3 has its own").is_visible()
    shown.answer(2)
    assert box.is_enabled()
    assert not shown.page.get_by_text("a 3x3 has its own").is_visible()


def test_a_control_plays_step_by_step_waiting_for_every_answer(show):
    shown = show(toy(start={"width": 248, "eps": 0.001}))
    play = shown.page.get_by_role("button", name="Play width")
    play.click()
    shown.page.wait_for_function("() => window.sent.length === 1")
    shown.page.wait_for_timeout(1000)
    assert shown.sent() == [[1, [[["width", 256]]]]]  # still unanswered
    shown.answer(1, width=256, eps=0.001)
    shown.page.wait_for_function("() => window.sent.length === 2")
    assert shown.sent()[1] == [2, [[["width", 8], ["eps", 1.0]]]]  # the next line
    shown.page.get_by_role("button", name="Pause width").press("Enter")
    shown.answer(2, width=8, eps=1.0)
    shown.page.wait_for_timeout(1000)
    assert len(shown.sent()) == 2
    assert play.is_visible()


def test_a_click_on_the_picture_moves_the_controls_it_names(show):
    shown = show(toy())
    shown.page.locator("[data-pick] rect").click()
    assert shown.sent() == [[1, [[["width", 200], ["kernel", "3x3"]]]]]
    shown.page.locator("svg").click(position={"x": 200, "y": 50})
    assert len(shown.sent()) == 1


def test_a_click_on_a_grid_chooses_its_cell(show):
    shown = show(ie.explore.kernels())
    grid = shown.page.locator("[data-grid]").first
    box = grid.bounding_box()
    x, y = 4.5 / 17 * box["width"], 0.5 / 17 * box["height"]
    shown.page.mouse.click(box["x"] + x, box["y"] + y)
    assert shown.sent() == [[1, [[["row", 1], ["column", 5]]]]]


def test_without_a_kernel_it_says_so_in_place(show):
    shown = show(toy())
    shown.input.nth(0).press("End")
    shown.page.get_by_text("open the notebook and run this cell").wait_for()


def test_stored_frames_answer_without_a_kernel_and_say_where_they_end(show):
    sweep = {"width": [64, 72, 80], "kernel": ["1x1", "3x3"]}
    shown = show(toy(sweep=sweep, frames=True))
    shown.input.nth(0).press("ArrowRight")
    assert shown.summary.inner_text() == "72 1x1 1.0 False"
    shown.input.nth(1).press("ArrowDown")
    assert shown.summary.inner_text() == "72 3x3 1.0 False"
    shown.input.nth(0).press("End")
    shown.page.get_by_text("open the notebook for the rest").wait_for()
    assert shown.summary.inner_text() == "72 3x3 1.0 False"
    shown.page.get_by_role("button", name="Reset").press("Enter")
    assert shown.summary.inner_text() == "64 1x1 1.0 False"
    assert shown.problem.inner_text() == ""


def test_a_press_that_nobody_hears_leaves_stored_frames_without_an_alarm(show):
    sweep = {"width": [64, 72, 80]}
    shown = show(toy(buttons=[GO], sweep=sweep, frames=True))
    shown.page.get_by_role("button", name="Go").press("Enter")
    shown.page.get_by_text("open the notebook for the rest").wait_for()
    shown.input.nth(0).press("ArrowRight")
    assert shown.summary.inner_text() == "72 1x1 1.0 False"
    shown.page.wait_for_timeout(500)
    assert shown.problem.inner_text() == ""
    assert shown.root.get_attribute("aria-busy") == "false"


def test_a_stored_frame_is_there_at_once(show, record_property):
    shown = show(ie.explore.module(frames=True))
    times = shown.page.evaluate(STORED)
    assert len(times) > 4
    middle = sorted(times)[len(times) // 2]
    record_property("frame_ms", round(middle, 1))
    assert middle < 100


def test_keys_stay_in_a_control_until_escape_gives_them_back(show):
    shown = show(toy())
    shown.page.evaluate(
        "() => { document.body.classList.add('reveal'); window.slides = [];"
        "document.addEventListener('keydown', (e) => window.slides.push(e.key)); }"
    )
    shown.press((0, "ArrowRight"), (1, "ArrowDown"), (1, "Escape"))
    assert shown.page.evaluate("() => window.slides") == []
    assert shown.page.evaluate("() => document.activeElement.tagName") == "BODY"
    shown.page.keyboard.press("ArrowRight")
    assert shown.page.evaluate("() => window.slides") == ["ArrowRight"]
    shown.input.nth(0).press("PageDown")  # a presenter's clicker
    assert shown.page.evaluate("() => window.slides.at(-1)") == "PageDown"
    assert shown.input.nth(0).input_value() == "72"


def test_leaving_the_page_stops_listening(show):
    shown = show(toy())
    shown.page.evaluate("() => window.leave()")
    shown.answer(5, width=8)
    assert shown.summary.inner_text().startswith("64 ")


@pytest.mark.parametrize("name", NAMES)
def test_an_explorer_fits_a_phone_and_leaves_room_on_a_projector(show, name):
    """What a laptop shows is looked at in JupyterLab, by `look.js`."""
    shown = show(getattr(ie.explore, name)())
    assert shown.root.bounding_box()["height"] <= 620
    for slider in shown.page.locator("input[type=range]:visible").all():
        assert slider.bounding_box()["width"] >= 220
    shown.page.set_viewport_size({"width": 400, "height": 800})
    inside = "() => document.documentElement.scrollWidth <= window.innerWidth"
    assert shown.page.evaluate(inside)
    small = shown.page.locator("svg text").evaluate_all(
        "all => all.filter((t) => parseFloat(t.getAttribute('font-size'))"
        " * t.getScreenCTM().a < 9).map((t) => t.textContent)"
    )
    assert small == []
