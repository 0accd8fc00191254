"""The one frame that every explorer stands on.

An explorer is a list of controls and a pure function from their values to a
picture. Write it like this:

```python
CONTROLS = [
    Range("width", "width", 8, 256, step=8, value=64, unit="channels"),
    Choice("kernel", "kernel", ["1x1", "3x3"], "3x3"),
    Steps("eps", "eps", [1e-8, 1e-4, 1.0], 1.0),
    Check("bias", "count the bias", False),
]


def draw(state):  # {"width": 64, "kernel": "3x3", ...}
    if state["width"] > 128 and state["kernel"] == "3x3":
        raise ValueError("a 3x3 wider than 128 ... ; choose 1x1 or less")
    return Picture(svg, "36,864 weights: 9 times the 1x1")


def width(**options):
    return Explorer(
        "width",
        "What does it cost?",
        CONTROLS,
        draw,
        sweep={"width": [8, 64, 256]},
        **options,
    )
```

- `draw` gets every control's value by name and returns `Picture(svg, summary)`.
  It must not look at anything else: the same state gives the same text. The
  summary is one line with the headline number; nbval compares it. The SVG comes
  from `figures/svg.py`, so that it follows the theme.
- `raise ValueError(text)` in `draw` refuses a combination: the text appears in
  place and the last good picture stays. Any other error is shown there too.
- `settle(values, changed, named)` (optional, pure) may complete a change: a preset
  that sets other controls. `changed` is the set of names that were moved; `named`
  holds those too that were asked for as they stood, which a preset leaves alone.
- A picture can be clicked: an element with `data-pick="row=3;column=5"` sets
  those controls. They are ordinary ones, so the keyboard reaches them as well.
- `buttons` do what no state can hold, such as to start a training: a `Button` calls
  its action with a copy of the values, then the picture is drawn again. From
  Python: `explorer.press("train")`. ValueError in an action is shown in place.
- `sweep` names the controls and values that a lecture needs, at most 64 states
  together; on a page, a slider goes on from one of its values to the next. An
  explorer that has no more states than that sweeps them all. With `frames=True` (or
  a sweep of your own) their pictures, and that of the start, are stored in the page
  and need no kernel; INCEPTION_EDU_FRAMES=1 turns this on for a whole export.
- Redraw in at most 20 ms: a move then reaches the screen within 50 ms. One more step
  of the control in hand is drawn ahead, while nothing is asked, and is there at once.

Python side: `explorer.values = {"width": 128}` moves controls and redraws, or
raises ValueError and changes nothing; `.values` is what the controls show,
`.state` what the picture shows (they differ only after a refusal, whose text is
`.problem`), `.summary` the line below it, `.svg` the picture. `.redraw()` draws
again, for a picture whose data has changed; a thread may call it.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from math import prod
from numbers import Real
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import anywidget
from traitlets import Dict, List, Unicode, observe

from inception_edu.figures.theme import css_variables

MOST_FRAMES = 64
_HERE = Path(__file__).parent


class Picture(NamedTuple):
    """What `draw` returns: the SVG as text, and the line that says its number."""

    svg: str
    summary: str


@dataclass(frozen=True)
class Range:
    """A slider from `minimum` to `maximum` in equal steps."""

    name: str
    label: str
    minimum: float
    maximum: float
    step: float
    value: float
    unit: str = ""

    def __post_init__(self):
        for end in (self.maximum, self.value):
            self.check(end)

    def check(self, value):
        """`value` as a number of this slider's kind; ValueError if it has none."""
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError(f"{self.name} = {value!r} must be a number")
        if not self.minimum <= value <= self.maximum:  # NaN is not, either
            raise ValueError(
                f"{self.name} = {value} is outside {self.minimum} to {self.maximum}"
            )
        steps = (value - self.minimum) / self.step
        nearest = round(steps)
        if abs(steps - nearest) > 1e-6:
            low, high = (self.at(int(steps) + i) for i in (0, 1))
            raise ValueError(
                f"{self.name} = {value} lies between two steps; take {low} or {high}"
            )
        return self.at(nearest)

    @property
    def values(self):
        """Every value that the slider can take, from low to high."""
        count = round((self.maximum - self.minimum) / self.step) + 1
        return [self.at(steps) for steps in range(count)]

    def at(self, steps):
        """The value `steps` steps above the minimum, without float dust."""
        value = self.minimum + steps * self.step
        return round(value, 10) if isinstance(value, float) else value

    def face(self):
        return {
            "kind": "range",
            "min": self.minimum,
            "max": self.maximum,
            "step": self.step,
            "unit": self.unit,
        }


@dataclass(frozen=True)
class Steps:
    """A slider over a list of values of any spacing, in the order given."""

    name: str
    label: str
    values: list
    value: object
    unit: str = ""

    def __post_init__(self):
        self.check(self.value)

    def check(self, value):
        """The listed value that equals `value`; ValueError if there is none."""
        for known in self.values:
            if known == value and isinstance(known, bool) == isinstance(value, bool):
                return known
        close = get_close_matches(str(value), [str(v) for v in self.values], n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise ValueError(
            f"{self.name} = {value!r} is not a choice{hint}; "
            f"take one of {', '.join(map(str, self.values))}"
        )

    def face(self):
        return {
            "kind": "steps",
            "values": list(self.values),
            "labels": [str(value) for value in self.values],
            "unit": self.unit,
        }


@dataclass(frozen=True)
class Choice(Steps):
    """A drop-down list; `values` is a list, or a table of value to what is shown."""

    def face(self):
        shown = self.values
        labels = shown.values() if isinstance(shown, Mapping) else shown
        return {
            "kind": "choice",
            "values": list(shown),
            "labels": [str(label) for label in labels],
        }


@dataclass(frozen=True)
class Check:
    """A box that is ticked or not."""

    name: str
    label: str
    value: bool = False
    values = (False, True)

    def check(self, value):
        """`value` if it is True or False; ValueError if not."""
        if not isinstance(value, bool):
            raise ValueError(f"{self.name} = {value!r} must be True or False")
        return value

    def face(self):
        return {"kind": "check"}


@dataclass(frozen=True)
class Button:
    """A button beside Reset; `action(values)` runs when it is pressed."""

    name: str
    label: str
    action: Callable[[dict], object]


class Explorer(anywidget.AnyWidget):
    """A picture with controls; see the top of this file for how to make one.

    `start` sets controls before the first picture (reset goes back there),
    `frames` stores pictures for pages without a kernel, `compact` leaves out
    what a slide has no room for.
    """

    _esm = Unicode((_HERE / "frame.js").read_text(encoding="utf-8")).tag(sync=True)
    _css = Unicode(
        (_HERE / "frame.css")
        .read_text(encoding="utf-8")
        .replace("/*light*/", css_variables())
        .replace("/*dark*/", css_variables(dark=True))
    ).tag(sync=True)
    # Lists, not tables, wherever order matters: notebooks sort a table's keys.
    _face = Dict().tag(sync=True)  # what to build; never changes
    _asked = List([0, []]).tag(sync=True, echo_update=False)  # serial, moves
    _shown = List().tag(sync=True)  # back: serial, values, svg, summary, problem
    _frames = List().tag(sync=True)  # stored answers: values, svg, summary, problem

    def __init__(
        self,
        name: str,
        question: str,
        controls: list,
        draw: Callable[[dict], Picture],
        *,
        settle: Callable[[dict, set, set], dict] | None = None,
        buttons: list | tuple = (),
        sweep: dict | None = None,
        frames: bool | dict | None = None,
        compact: bool = False,
        start: dict | None = None,
    ):
        self.name, self.question = name, question
        self.controls = {control.name: control for control in controls}
        if len(self.controls) < len(controls):
            raise ValueError(f"two controls of {name} share a name")
        self.buttons = {button.name: button for button in buttons}
        every = {control.name: list(control.values) for control in controls}
        few = prod(map(len, every.values())) <= MOST_FRAMES
        self.sweep = sweep or (every if few else {})
        self.problem = ""
        self._draw, self._settle = draw, settle
        self._lock = RLock()  # the page may ask from a thread of its own
        values = {control.name: control.value for control in controls}
        self._values = self._moved(values, start or {})
        self._state, self._picture = self._values, draw(dict(self._values))
        if frames is None and os.environ.get("INCEPTION_EDU_FRAMES", "") not in "0":
            frames = True
        frames = self.sweep if frames is True else (frames or {})
        stored = self._stored(frames)
        faces = [{"name": c.name, "label": c.label} | c.face() for c in controls]
        super().__init__(
            _face={
                "name": name,
                "question": question,
                "controls": faces,
                "buttons": [[button.name, button.label] for button in buttons],
                "start": list(self._values.values()),
                "swept": [list(self.controls).index(c) for c in frames],
                "compact": compact,
            },
            _frames=stored,
            _shown=self._answer(0),
        )
        self.on_msg(self._on_message)

    @property
    def values(self):
        """What the controls show, by name; set all or some of them."""
        return dict(self._values)

    @values.setter
    def values(self, wanted):
        with self._lock:
            values = self._moved(self._values, wanted)
            self._picture = self._draw(dict(values))
            self._state = self._values = values
            self.problem = ""
            self._shown = self._answer(self._asked[0])

    @property
    def state(self):
        """The values that the picture was drawn from."""
        return dict(self._state)

    @property
    def summary(self):
        """The line below the picture, with its headline number."""
        return self._picture.summary

    @property
    def svg(self):
        """The picture, as SVG text."""
        return self._picture.svg

    def reset(self):
        """Put every control back where it started."""
        names = list(self.controls)
        self.values = dict(zip(names, self._face["start"], strict=True))

    def redraw(self):
        """Draw the present values again; what goes wrong is shown in place."""
        self._try(lambda: self._values, self._asked[0])

    def press(self, name):
        """Do what the button `name` does, then draw again; ValueError in words."""
        if name not in self.buttons:
            has = ", ".join(self.buttons) or "none"
            raise ValueError(f"the {self.name} explorer has no button {name!r}: {has}")
        self.buttons[name].action(dict(self._values))
        self.values = {}

    def _moved(self, values, wanted):
        """`values` after moving what `wanted` names; ValueError in words if not."""
        if not isinstance(wanted, Mapping):
            raise ValueError(
                f"values must be a table such as {{{next(iter(values))!r}: ...}}, "
                f"got {wanted!r}"
            )
        checked = {}
        for name, value in wanted.items():
            if name not in self.controls:
                close = get_close_matches(str(name), self.controls, n=2)
                hint = f"did you mean {' or '.join(close)}? " if close else ""
                raise ValueError(
                    f"the {self.name} explorer has no control {name!r}; {hint}"
                    f"it has: {', '.join(self.controls)}"
                )
            checked[name] = self.controls[name].check(value)
        changed = {name for name, value in checked.items() if values[name] != value}
        moved = values | checked
        if self._settle and changed:
            moved = self._settle(dict(moved), changed, set(checked))
            moved = {name: c.check(moved[name]) for name, c in self.controls.items()}
        return moved

    def _answer(self, serial):
        """What the page shows: one list, so that it changes as a whole."""
        return [serial, list(self._values.values()), *self._picture, self.problem]

    def _stored(self, frames):
        """An answer for every state of the sweep, counted from the start."""
        if not isinstance(frames, Mapping):
            raise ValueError(
                f"frames={frames!r} must be True, False, or a table of values by "
                f"control, such as {{{next(iter(self.controls))!r}: [...]}}"
            )
        count = prod(map(len, frames.values()))
        if frames and count > MOST_FRAMES:
            raise ValueError(
                f"{count} frames are too many for a page; "
                f"sweep fewer values, at most {MOST_FRAMES} states together"
            )
        stored = []
        for point in product(*frames.values()) if frames else ():
            wanted = dict(zip(frames, point, strict=True))
            values, picture, problem = self._moved(self._values, wanted), None, ""
            try:
                picture = self._draw(dict(values))
            except ValueError as refused:
                picture, problem = self._picture, str(refused)
            stored.append([list(values.values()), *picture, problem])
        start = list(self._values.values())
        if stored and not any(values == start for values, *_ in stored):
            stored.insert(0, [start, *self._picture, ""])  # Reset leads there
        return stored

    @observe("_asked")
    def _on_asked(self, change):
        """Draw what the page asks for."""
        serial, moves = change.new
        self._try(lambda: self._after(moves), serial)

    def _on_message(self, widget, content, buffers):
        """Press what the page presses; then, or else, say that Python is here."""
        if "ahead" in content:
            return self._draw_ahead(*content["ahead"])
        if "press" in content:

            def press():
                self._values = self._after(content["moves"])
                self.press(content["press"])
                return self._values

            self._try(press, self._asked[0])
        self.send({"press": content.get("press")})

    def _draw_ahead(self, serial, name, values):
        """Send the answers to one more move of a control, so that a key is quick.

        A move that goes wrong is left out: it says so when it is made.
        """
        with self._lock:  # a newer picture is not sent in between
            for value in values:
                with suppress(Exception):
                    value = self.controls[name].check(value)
                    moved = self._moved(self._values, {name: value})
                    answer = [list(moved.values()), *self._draw(dict(moved)), ""]
                    self.send({"ahead": [serial, name, value, answer]})

    def _after(self, moves):
        """The values after the page's moves, lists of `(name, value)`, one by one.

        The page sends what was moved, not all it shows: while it waits, what it
        shows may be older than what a preset has set here.
        """
        values = self._values
        for move in moves:
            values = self._moved(values, dict(move))
        return values

    def _try(self, find, serial):
        """Move to what `find()` returns and draw; what goes wrong is shown there."""
        with self._lock:
            try:
                self._values = find()
                self._picture = self._draw(dict(self._values))
                self._state, self.problem = self._values, ""
            except ValueError as refused:
                self.problem = str(refused)
            except Exception as error:
                self.problem = (
                    f"The {self.name} explorer failed here, which is not your "
                    f"mistake: {type(error).__name__}: {error}"
                )
            self._shown = self._answer(serial)

    def __repr__(self):
        return f"<Explorer {self.name}: {self.summary}>"

    def _repr_mimebundle_(self, **kwargs):
        """The live view, with a line and a still picture where none can run.

        nbval compares the line; GitHub and a notebook that has not been run
        show the picture.
        """
        data, metadata = super()._repr_mimebundle_(**kwargs)
        data["text/plain"] = f"{self!r} run this cell to use it"
        data["image/svg+xml"] = self.svg
        return data, metadata
