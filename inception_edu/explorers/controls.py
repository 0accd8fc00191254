"""Controls and a pure function from their values to a picture: an explorer.

This file knows neither widgets nor torch, so it runs in a page as well as in a
notebook; `widget.py` binds it to a notebook, `frame.js` to the screen. A file of
this folder describes one explorer:

```python
QUESTION = "What does it cost?"
CONTROLS = [
    Range("width", "width", 8, 256, step=8, value=64, unit="channels"),
    Choice("kernel", "kernel", ["1x1", "3x3"], "3x3"),
    Steps("eps", "eps", [1e-8, 1e-4, 1.0], 1.0),
    Check("bias", "count the bias", False),
    Grid("drawing", "draw here"),
]
SWEEP = {"width": [8, 64, 256]}


def draw(state):  # {"width": 64, "kernel": "3x3", ...}
    if state["width"] > 128 and state["kernel"] == "3x3":
        raise ValueError("a 3x3 wider than 128 ...; choose 1x1 or less")
    return Picture(svg, "36,864 weights: 9 times the 1x1")
```

- `draw` gets every control's value by name and returns `Picture(svg, summary)`.
  It depends on nothing else: the same state gives the same text. The summary is
  one line with the headline number; nbval compares it. The SVG comes from
  `figures/svg.py`, which follows the theme. At most 20 ms: a move then reaches the
  screen within 50 ms.
- `raise ValueError(text)` in `draw` refuses a combination: the text is shown in
  place and the last good picture stays. Any other error is shown there too.
- `adjust(values, changed, named)` (optional, pure) completes a change, as a preset
  that sets other controls does. `changed` holds the names that moved, `named` also
  those set to the value that they had, which a preset leaves alone.
- `inactive(values)` (optional, pure) returns `{control: reason}` for the controls that
  change nothing in this state; the page disables them and shows the reason.
- Axes keep their range over a drag: take it from what the controls can reach, or from
  `figures.plot.round_up`. An element whose `key` begins with "axis " says its range,
  and the page says when it changes.
- The page lets what moved glide, and shows where it was. Elements of two pictures are
  the same thing if they have the same `key`, colour and place among their like.
- An element of the picture with `data-pick="row=3;column=5"` sets those controls
  when it is clicked, one with `data-grid="row;column;17"` those of the cell that was
  clicked, of 17 x 17. The keyboard reaches them as ordinary controls.
- `SWEEP` (optional) names the controls and values that a lecture needs, at most 64
  states together; their pictures can be stored in a page. An explorer that has no
  more states than that sweeps them all.
- A `Button` does what no state can hold, such as starting a training; afterwards
  the picture is drawn again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from math import prod
from numbers import Real
from threading import RLock
from typing import NamedTuple

MOST_FRAMES = 64


class Picture(NamedTuple):
    """What `draw` returns: the SVG as text, and one line with its headline number."""

    svg: str
    summary: str


@dataclass(frozen=True)
class Range:
    """A slider from `minimum` to `maximum` in equal steps.

    `play` adds a button that takes one step after the other; when it names another
    slider, that one takes a step at the end and this one starts again.
    """

    name: str
    label: str
    minimum: float
    maximum: float
    step: float
    value: float
    unit: str = ""
    play: str | bool = False

    def __post_init__(self):
        for end in (self.maximum, self.value):
            self.check(end)

    def check(self, value):
        """`value` as a number of this slider's type; ValueError if it has none."""
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
        """The value `steps` steps above the minimum, rounding errors removed."""
        value = self.minimum + steps * self.step
        return round(value, 10) if isinstance(value, float) else value

    def face(self):
        """What the page needs to build this control, beside name and label."""
        return {
            "kind": "range",
            "min": self.minimum,
            "max": self.maximum,
            "step": self.step,
            "unit": self.unit,
            "play": self.play,
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
    """A drop-down list; `values` is a list, or a dict of value to what is shown."""

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
class Grid:
    """A drawing of `side` x `side` cells, made with pointer, finger or keyboard.

    Its value is a text with one digit for each cell, row by row, from "0", paper, to
    `full`, ink; blank unless given.
    """

    name: str
    label: str
    side: int = 8
    full: int = 8
    value: str = ""

    def __post_init__(self):
        object.__setattr__(self, "value", self.value or "0" * self.side**2)

    @property
    def values(self):
        """The drawing that it starts with; the others are too many to list."""
        return [self.value]

    def check(self, value):
        """`value` if it is such a text; ValueError if not."""
        inks = "0123456789"[: self.full + 1]
        cells = self.side**2
        if not isinstance(value, str) or len(value) != cells or set(value) - set(inks):
            raise ValueError(
                f"{self.name} = {value!r} must be a text of {cells} digits from 0 to "
                f"{self.full}, one for each cell, row by row"
            )
        return value

    def face(self):
        return {"kind": "grid", "side": self.side, "full": self.full}


@dataclass(frozen=True)
class Button:
    """A button beside Reset; `action(values)` runs when it is pressed."""

    name: str
    label: str
    action: Callable[[dict], object]


class Panel:
    """The state of one explorer: its values, its picture and what it refused.

    `.values` is what the controls show, `.state` what the picture shows (they differ
    only after a refusal, whose text is `.problem`), `.svg` and `.summary` the picture
    and its line. `panel.values = {"width": 128}` moves controls and redraws, or raises
    ValueError and changes nothing. `start` sets controls before the first picture;
    `reset` goes back there.
    """

    def __init__(
        self,
        name: str,
        question: str,
        controls: list,
        draw: Callable[[dict], Picture],
        *,
        adjust: Callable[[dict, set, set], dict] | None = None,
        inactive: Callable[[dict], dict[str, str]] | None = None,
        buttons: list | tuple = (),
        sweep: dict | None = None,
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
        self._draw, self._adjust, self._inactive = draw, adjust, inactive
        self._lock = RLock()  # the page and a training's thread may both ask
        values = {control.name: control.value for control in controls}
        self._start = self._values = self._moved(values, start or {})
        self._state, self._picture = self._values, draw(dict(self._values))

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
            self.changed()

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
        self.values = self._start

    def redraw(self):
        """Draw again, for a picture whose data has changed; any thread may call it."""
        self.ask([])

    def press(self, name):
        """Do what the button `name` does, then draw again; ValueError in words."""
        self._act(name)
        self.values = {}

    def ask(self, moves, press=None):
        """Make a page's moves, press a button, and draw; what goes wrong is `.problem`.

        `moves` is a list of moves, each a list of `(name, value)`. The page sends what
        was moved, not all it shows: while it waits, what it shows may be older than
        what a preset has set here.
        """
        with self._lock:
            try:
                values = self._values
                for move in moves:
                    values = self._moved(values, dict(move))
                self._values = values
                if press:
                    self._act(press)
                self._picture = self._draw(dict(self._values))
                self._state, self.problem = self._values, ""
            except ValueError as refused:
                self.problem = str(refused)
            except Exception as error:
                self.problem = (
                    f"The {self.name} explorer failed here, which is not your "
                    f"mistake: {type(error).__name__}: {error}"
                )
            self.changed()

    def _act(self, name):
        """Do what the button `name` does."""
        if name not in self.buttons:
            has = ", ".join(self.buttons) or "none"
            raise ValueError(f"the {self.name} explorer has no button {name!r}: {has}")
        self.buttons[name].action(dict(self._values))

    def changed(self):
        """Called after every change, for a view to show `answer()`."""

    @property
    def inactive(self):
        """The controls that change nothing now, each with the reason."""
        return self._inactive(self.values) if self._inactive else {}

    def answer(self):
        """What a page shows: values, SVG, summary, problem, why controls rest."""
        return self._answer(self._values, self._picture, self.problem)

    def _answer(self, values, picture, problem):
        inactive = self._inactive(dict(values)) if self._inactive else {}
        reasons = [inactive.get(name, "") for name in self.controls]
        return [list(values.values()), *picture, problem, reasons]

    def face(self):
        """What a page builds once; lists, since notebooks sort a dict's keys."""
        return {
            "name": self.name,
            "question": self.question,
            "controls": [
                {"name": control.name, "label": control.label} | control.face()
                for control in self.controls.values()
            ],
            "buttons": [
                [button.name, button.label] for button in self.buttons.values()
            ],
            "start": list(self._start.values()),
        }

    def frames(self, sweep):
        """An answer for every state of a sweep, and for the start."""
        if not isinstance(sweep, Mapping):
            raise ValueError(
                f"frames={sweep!r} must be True, False, or a dict of values by "
                f"control, such as {{{next(iter(self.controls))!r}: [...]}}"
            )
        count = prod(map(len, sweep.values()))
        if sweep and count > MOST_FRAMES:
            raise ValueError(
                f"{count} frames are too many for a page; "
                f"sweep fewer values, at most {MOST_FRAMES} states together"
            )
        stored = []
        for point in product(*sweep.values()) if sweep else ():
            wanted = dict(zip(sweep, point, strict=True))
            values, problem = self._moved(self._values, wanted), ""
            try:
                picture = self._draw(dict(values))
            except ValueError as refused:
                picture, problem = self._picture, str(refused)
            stored.append(self._answer(values, picture, problem))
        start = list(self._values.values())
        if stored and not any(values == start for values, *_ in stored):
            first = self._answer(self._values, self._picture, "")
            stored.insert(0, first)  # Reset leads there
        return stored

    def _moved(self, values, wanted):
        """`values` after moving what `wanted` names; ValueError in words if illegal."""
        if not isinstance(wanted, Mapping):
            raise ValueError(
                f"values must be a dict such as {{{next(iter(values))!r}: ...}}, "
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
        if self._adjust and changed:
            moved = self._adjust(dict(moved), changed, set(checked))
            moved = {name: c.check(moved[name]) for name, c in self.controls.items()}
        return moved

    def __repr__(self):
        return f"<Explorer {self.name}: {self.summary}>"
