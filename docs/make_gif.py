"""`python -m docs.make_gif`: the README's picture of an explorer that is being moved.

The explorer is the one on the first page of the site, opened from the disk; its
sliders are moved here and Python in the page answers. Nothing is drawn for the
picture.
"""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

from inception_edu.explorers import kernels
from tools.publish.build import write_shared_assets
from tools.publish.bundle import CHROMIUM_NAMES, program

WIDTH, HEIGHT = 640, 660
COLORS = 48
MOVING, RESTING = 160, 1600  # milliseconds that a picture stays
GLIDED = 450  # milliseconds after which nothing of a picture moves
READY = 180_000  # milliseconds until Python answers in the page

# What a reader does: a control, and the values that it goes through.
TOUR = [
    ("column", range(10, 16)),
    ("row", range(8, 2, -1)),
    ("plan", ["5x5", "three 3x3", "1x7 then 7x1"]),
    ("column", range(14, 8, -1)),
    ("row", range(4, 10)),
    ("plan", ["two 3x3"]),
]
# The explorer alone, as wide as the picture.
ALONE = """place => {
  document.body.replaceChildren(place);
  place.style = "margin: 0; border: 0; padding: 0";
}"""
MOVE = """(input, value) => {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
}"""
RESTS = """() => document.querySelector(".ie-explorer")?.ariaBusy === "false"
  && !document.querySelector(".ie-problem").textContent"""


def pictures(folder):
    """Yield `(PNG, milliseconds)` of the explorer for every step of the tour."""
    write_shared_assets([], folder)
    controls = {control.name: control for control in kernels.CONTROLS}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program(*CHROMIUM_NAMES), args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light"
        )
        page.goto((folder / "index.html").as_uri())
        page.locator(".explorer-place").evaluate(ALONE)
        inputs = page.locator("input, select")
        yield page.screenshot(), RESTING
        for name, values in TOUR:
            for value in values:
                place = value if name != "plan" else controls[name].values.index(value)
                inputs.nth(list(controls).index(name)).evaluate(MOVE, str(place))
                page.wait_for_timeout(GLIDED)
                page.wait_for_function(RESTS, timeout=READY)
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
    with TemporaryDirectory() as folder:
        store(pictures(Path(folder)), Path(__file__).with_name("kernels_explorer.gif"))
