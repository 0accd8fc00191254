"""An explorer on an empty page, with a model that a test plays.

No JupyterLab and no kernel: this is where late answers, silence, stored frames,
clicks and small screens can be brought about at will.
"""

from base64 import b64encode

from inception_edu.explorers import Explorer, Picture, Range
from inception_edu.explorers.controls import Button, Check, Choice, Steps
from inception_edu.figures.plot import round_up
from inception_edu.figures.svg import Drawing

# What ipywidgets gives a front end, as far as the frame uses it.
MODEL = """async ([source, css, state]) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const heard = [];
  window.sent = [];
  window.messages = [];
  window.model = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; },
    save_changes: () => window.sent.push(state._asked),
    send: (message) => window.messages.push(message),
    on: (event, callback) => heard.push([event, callback]),
    off: () => heard.splice(0),
    answer: (shown) => {
      state._shown = shown;
      for (const [event, call] of heard) if (event === "change:_shown") call();
    },
    tell: (message) => {
      for (const [event, call] of heard) if (event === "msg:custom") call(message);
    },
  };
  const { default: frame } = await import("data:text/javascript;base64," + source);
  window.leave = frame.render({ model: window.model, el: document.body });
}"""

# A cell: an explorer that can take its time, and tells how often it was drawn.
COUNTED = """
import time
from inception_edu.explorers import Explorer, Picture, Range

calls, pause = [], 0

def draw(state):
    time.sleep(pause)
    calls.append(state["x"])
    svg = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'></svg>"
    return Picture(svg, f"{state['x']} after {len(calls)} drawings")

def make():
    return Explorer("counted", "How often?", [Range("x", "x", 0, 100, 1, 0)], draw)

"""


def draw(state):
    sheet = Drawing(300, 60).rect(0, 0, state["width"], 20, "1x1", stroke="paper")
    for y in (50, 52):  # two panels on the same axis
        axis = f"axis width 0 to {round_up(state['width']):g}"
        sheet.line((0, y), (300, y), key=axis)
    sheet.raw('<g data-pick="width=200;kernel=3x3">').rect(0, 30, 30, 20, "3x3")
    summary = f"{state['width']} {state['kernel']} {state['eps']} {state['bias']}"
    return Picture(sheet.raw("</g>").svg(summary), summary)


GO = Button("go", "Go", lambda values: None)


def inactive(values):
    return {} if values["kernel"] == "1x1" else {"bias": "a 3x3 has its own"}


def toy(**options):
    controls = [
        Range("width", "width", 8, 256, 8, 64, unit="channels", play="eps"),
        Choice("kernel", "kernel", ["1x1", "3x3"], "1x1"),
        Steps("eps", "eps", [1e-8, 0.001, 1.0], 1.0),
        Check("bias", "count the bias"),
    ]
    return Explorer("toy", "How wide?", controls, draw, inactive=inactive, **options)


class Page:
    """An explorer on an empty page, and its Python side played by the test."""

    def __init__(self, page, explorer):
        self.page, self.explorer = page, explorer
        state = {key: explorer.get_state(key)[key] for key in explorer.keys}
        source = b64encode(explorer._esm.encode()).decode()
        page.evaluate(MODEL, [source, explorer._css, state])

    def __getattr__(self, name):
        if name == "input":
            return self.page.locator("input, select")
        classes = {"picture": ".ie-picture-place", "root": ".ie-explorer"}
        return self.page.locator(classes.get(name, f".ie-{name}"))

    def sent(self):
        return self.page.evaluate("() => window.sent")

    def press(self, *moves):
        """Press keys on controls: `(place of the control, key)`, one after another."""
        for place, key in moves:
            self.input.nth(place).press(key)

    def answer(self, serial, **values):
        """Let Python answer the question `serial`, as it would from a kernel."""
        twin = toy()
        twin.values = values
        shown = [serial, *twin._shown[1:]]
        self.page.evaluate("shown => window.model.answer(shown)", shown)
