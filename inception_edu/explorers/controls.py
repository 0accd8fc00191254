"""Controls and a pure function from their values to a picture: an explorer.

`panel.py` holds its state. Neither file knows widgets or torch, so both run in a page
as well as in a notebook; `widget.py` binds them to a notebook, `frame.js` to the
screen. A file of this folder describes one explorer:

```python
QUESTION = "What does it cost?"
CONTROLS = [
    Range("width", "width", 8, 256, step=8, value=64, unit="channels"),
    Choice("kernel", "kernel", {1: "1x1", 3: "3x3"}, 3),
]
SWEEP = {"width": [8, 64, 256]}


def draw(state):  # {"width": 64, "kernel": 3}
    width, kernel = state["width"], state["kernel"]
    if width > 128 and kernel == 3:
        raise ValueError("a 3x3 wider than 128 ...; choose 1x1 or less")
    weights = width**2 * kernel**2
    sheet = Drawing(SHEET, 230)
    plot = Plot(sheet, (66, 30, SHEET - 90, 150), (0, 256), (0, 200_000))
    plot.axes("width", "weights").mark(width, weights)
    words = f"{weights:,} weights, {width} channels in and out"
    return Picture(sheet.svg(QUESTION, words), words)
```

- `draw` gets every control's value by name and depends on nothing else: the same state
  gives the same text. An explorer with buttons binds what they change by `partial`.
  The summary is one line with the headline number; nbval compares it. The SVG comes
  from `figures/svg.py`, which follows the theme. At most 20 ms: a move then reaches
  the screen within 50 ms.
- `raise ValueError(text)` in `draw` refuses a combination: the text is shown in
  place and the last good picture stays. Any other error is shown there too.
- `adjust(values, changed, explicit)` (optional, pure) completes a change, as a preset
  that sets other controls does. `changed` holds the names that moved, `explicit` also
  those set to the value that they had, which a preset leaves alone.
- `inactive(values)` (optional, pure) returns `{control: reason}` for the controls that
  change nothing in this state; the page disables them and shows the reason.
- Axes keep their range over a drag: take it from what the controls can reach, or from
  `figures.plot.round_up`. An element whose `key` begins with "axis " says its range,
  and the page says when it changes.
- The page lets what moved glide, and shows where it was. Elements of two pictures are
  the same thing if they have the same `key`, color and place among their like.
- An element of the picture with `data-pick="row=3;column=5"` sets those controls
  when it is clicked, one with `data-grid="row;column;17"` those of the cell that was
  clicked, of 17 x 17 (`kernels.py` has both). The keyboard reaches them as ordinary
  controls.
- `SWEEP` names the controls and values that a lecture needs, at most 64 states
  together; their pictures can be stored in a page. An explorer that has no more
  states than that sweeps them all and needs none.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import NamedTuple

from inception_edu.text import closest


class Picture(NamedTuple):
    """What `draw` returns: the SVG as text, and one line with its headline number."""

    svg: str
    summary: str


@dataclass(frozen=True)
class Control:
    """A native input with its name, its label, and the value it starts with."""

    name: str
    label: str

    def face(self):
        """What the page needs to build it."""
        return asdict(self) | {"kind": type(self).__name__.lower()}


@dataclass(frozen=True)
class Range(Control):
    """A slider from `minimum` to `maximum` in equal steps.

    `play` adds a button that takes one step after the other; at the end the slider that
    it names takes one, and this one starts again.
    """

    minimum: float
    maximum: float
    step: float
    value: float
    unit: str = ""
    play: str = ""

    def check(self, value):
        """`value` as a number of this slider's type; ValueError if it has none."""
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ValueError(f"{self.name} = {value!r} must be a number")
        if not self.minimum <= value <= self.maximum:  # NaN is not, either
            raise ValueError(
                f"{self.name} = {value} is outside {self.minimum} to {self.maximum}"
            )
        steps = (value - self.minimum) / self.step
        if abs(steps - round(steps)) > 1e-6:
            low, high = self.at(int(steps)), self.at(int(steps) + 1)
            raise ValueError(
                f"{self.name} = {value} lies between two steps; take {low} or {high}"
            )
        return self.at(round(steps))

    @property
    def values(self):
        """Every value that the slider can take, from low to high."""
        count = round((self.maximum - self.minimum) / self.step) + 1
        return [self.at(steps) for steps in range(count)]

    def at(self, steps):
        """The value `steps` steps above the minimum, rounding errors removed."""
        value = self.minimum + steps * self.step
        return round(value, 10) if isinstance(value, float) else value


@dataclass(frozen=True)
class Steps(Control):
    """A slider over a list of values of any spacing, in the order given."""

    values: list | dict
    value: object
    unit: str = ""

    def check(self, value):
        """The listed value that equals `value`; ValueError if there is none."""
        for known in self.values:
            if known == value and isinstance(known, bool) == isinstance(value, bool):
                return known
        raise ValueError(
            f"{self.name} = {value!r} is not a choice; {closest(value, self.values)}"
            f"take one of {', '.join(map(str, self.values))}"
        )

    def face(self):
        shown = self.values
        labels = shown.values() if isinstance(shown, Mapping) else shown
        texts = {"values": list(shown), "labels": [str(label) for label in labels]}
        return super().face() | texts


@dataclass(frozen=True)
class Choice(Steps):
    """A drop-down list; `values` is a list, or a dict of value to what is shown."""


@dataclass(frozen=True)
class Check(Control):
    """A box that is ticked or not."""

    value: bool = False
    values = (False, True)
    check = Steps.check


@dataclass(frozen=True)
class Grid(Control):
    """A drawing of 8 x 8 cells, made with pointer, finger or keyboard.

    Its value is a text with one digit for each cell, row by row, from "0", paper, to
    "8", ink; blank unless given.
    """

    value: str = "0" * 64
    side: int = 8
    full: int = 8

    @property
    def values(self):
        """The drawing that it starts with; the others are too many to list."""
        return [self.value]

    def check(self, value):
        """`value` if it is such a text; ValueError if not."""
        cells = self.side**2
        digits = f"[0-{self.full}]{{{cells}}}"
        if not isinstance(value, str) or not re.fullmatch(digits, value):
            raise ValueError(
                f"{self.name} = {value!r} must be a text of {cells} digits from 0 to "
                f"{self.full}, one for each cell, row by row"
            )
        return value


@dataclass(frozen=True)
class Button:
    """A button beside Reset; `action(values)` runs when it is pressed."""

    name: str
    label: str
    action: Callable[[dict], object]
