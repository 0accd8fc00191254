"""The grid that a reader draws in, by pointer and by keys, in Chromium."""

from inception_edu.explorers import Explorer, Picture
from inception_edu.explorers.controls import Grid
from inception_edu.figures.svg import Drawing
from tests.browser.front_end import Page


def sketch(**options):
    def draw(state):
        return Picture(Drawing(300, 60).svg("x"), state["ink"])

    return Explorer("sketch", "What is it?", [Grid("ink", "draw")], draw, **options)


def drawn(shown):
    """The newest drawing that the page asked for, as rows."""
    ((_, ink),) = shown.sent()[-1][1][-1]
    return [ink[8 * row : 8 * row + 8] for row in range(8)]


def test_a_pointer_leaves_a_line_about_one_cell_wide(new_page):
    shown = Page(new_page(), sketch())
    box = shown.page.locator(".ie-cells").bounding_box()
    cell = box["width"] / 8
    shown.page.mouse.move(box["x"] + 1.5 * cell, box["y"] + 3.5 * cell)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + 5.5 * cell, box["y"] + 3.5 * cell, steps=3)
    shown.page.mouse.up()
    shown.page.mouse.move(box["x"] + 5.5 * cell, box["y"] + 7.5 * cell)  # pen is up
    rows = drawn(shown)
    assert rows[3] == "28888820"
    assert rows[2] == rows[4] == "02222200"
    assert all(set(row) == {"0"} for row in (*rows[:2], *rows[5:]))
    shown.page.get_by_role("button", name="Clear").click()
    assert set("".join(drawn(shown))) == {"0"}


def test_arrow_keys_move_and_space_fills_and_empties_a_cell(new_page):
    shown = Page(new_page(), sketch())
    keys = shown.page.keyboard
    shown.page.get_by_role("switch", name="row 1, column 1", exact=True).focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowRight", "ArrowDown", "Space"):
        keys.press(key)
    assert [row[:2] for row in drawn(shown)[:2]] == ["00", "08"]
    here = shown.page.get_by_role("switch", name="row 2, column 2", exact=True)
    assert here.get_attribute("aria-checked") == "true"
    keys.press("Space")
    assert set("".join(drawn(shown))) == {"0"}
    focusable = shown.page.locator('.ie-cells [tabindex="0"]')
    assert focusable.count() == 1  # one stop for the Tab key


def test_a_drawing_is_shown_and_reset_and_can_rest(new_page):
    ink = "8" * 32 + "0" * 32
    shown = Page(
        new_page(),
        sketch(start={"ink": ink}, inactive=lambda values: {"ink": "not now"}),
    )
    switches = shown.page.get_by_role("switch", include_hidden=True)
    assert switches.nth(31).get_attribute("aria-checked") == "true"
    assert switches.nth(32).get_attribute("aria-checked") == "false"
    assert shown.page.locator(".ie-cells").evaluate("e => e.inert")
    assert shown.page.locator(".ie-why").inner_text() == "not now"
