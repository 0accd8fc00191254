"""`python -m docs.make_gif`: the README's picture of an explorer that is being moved.

The explorer is the real one: its own frame in a page of Chromium, with sliders that
are moved here and a Python that answers. Nothing is drawn for the picture.
"""

import json
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from inception_edu.explorers import description
from inception_edu.explorers.panel import Panel
from inception_edu.figures.theme import css_variables
from tools.publish.bundle import chromium

HERE = Path(__file__).parent
FRAME = HERE.parent / "inception_edu" / "explorers"
NAME = "kernels"
WIDTH, HEIGHT = 640, 660
COLORS = 48
MOVING, RESTING = 160, 1600  # milliseconds that a picture stays
GLIDED = 450  # milliseconds after which nothing of a picture moves

# What a reader does: a control, and the values that it goes through.
TOUR = [
    ("column", range(10, 16)),
    ("row", range(8, 2, -1)),
    ("plan", ["5x5", "three 3x3", "1x7 then 7x1"]),
    ("column", range(14, 8, -1)),
    ("row", range(4, 10)),
    ("plan", ["two 3x3"]),
]

# A model as a notebook gives it to the frame; what it asks goes to `answer`.
PAGE = """<!doctype html><meta charset="utf-8">
<style>body { margin: 0; background: #fff; } STYLE</style><div id="place"></div>"""
START = """async ([source, state]) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const { default: frame } = await import(url), listeners = [];
  window.model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    on: (event, heard) => { if (event === "change:_shown") listeners.push(heard); },
    off() {},
    send() {},
    async save_changes() {
      state._shown = JSON.parse(await answer(state._asked));
      listeners.forEach((heard) => heard());
    },
  };
  frame.render({ model: window.model, el: document.getElementById("place") });
}"""
MOVE = """([index, value]) => {
  const control = document.querySelectorAll(".ie-control")[index];
  const input = control.querySelector("input, select");
  input.value = value;
  input.dispatchEvent(new Event("input"));
}"""


def pictures():
    """Yield `(PNG, milliseconds)` of the explorer for every step of the tour."""
    panel = Panel(**description(NAME))

    def answer(asked):
        panel.ask(asked[1])
        return json.dumps([asked[0], *panel.answer()])

    state = {
        "_face": panel.face() | {"swept": []},
        "_frames": [],
        "_shown": [0, *panel.answer()],
    }
    style = (FRAME / "frame.css").read_text(encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_content(
            PAGE.replace("STYLE", style.replace("/*light*/", css_variables()))
        )
        page.expose_function("answer", answer)
        frame = (FRAME / "frame.js").read_text(encoding="utf-8")
        page.evaluate(START, [frame, state])
        yield page.screenshot(), RESTING
        for name, values in TOUR:
            control = panel.controls[name]
            for value in values:
                place = value if name != "plan" else control.values.index(value)
                page.evaluate(MOVE, [list(panel.controls).index(name), place])
                page.wait_for_timeout(GLIDED)
                assert panel.state[name] == value, panel.problem
                last = name == "plan" or value == values[-1]
                yield page.screenshot(), RESTING if last else MOVING
        browser.close()


def store(frames, path):
    """Write the animation, in one palette for all its pictures."""
    shots, durations = zip(*frames, strict=True)
    images = [Image.open(BytesIO(png)).convert("RGB") for png in shots]
    together = Image.new("RGB", (WIDTH, HEIGHT * len(images)))
    for i, image in enumerate(images):
        together.paste(image, (0, HEIGHT * i))
    palette = together.quantize(COLORS, dither=Image.Dither.NONE)
    first, *rest = [
        image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images
    ]
    first.save(path, save_all=True, append_images=rest, duration=durations, loop=0)
    print(f"{path}: {len(images)} pictures, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    store(pictures(), HERE / f"{NAME}_explorer.gif")
