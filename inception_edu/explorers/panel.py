"""The state of an explorer: its values, its picture, its answers to a page."""

from collections.abc import Callable
from itertools import product
from math import prod
from threading import RLock

from inception_edu.explorers.controls import Picture
from inception_edu.text import closest

MAX_FRAMES = 64


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
        self.buttons = {button.name: button for button in buttons}
        every = {control.name: list(control.values) for control in controls}
        few = prod(map(len, every.values())) <= MAX_FRAMES
        self.sweep = sweep or (every if few else {})
        self._draw, self._adjust = draw, adjust or (lambda values, *_: values)
        self._inactive = inactive or (lambda values: {})
        self._lock = RLock()  # the page and a training's thread may both ask
        values = {control.name: control.check(control.value) for control in controls}
        self._start = self._moved(values, start or {})
        self._show(self._start)

    @property
    def values(self):
        """What the controls show, by name; set all or some of them."""
        return dict(self._values)

    @values.setter
    def values(self, wanted):
        with self._lock:
            self._show(self._moved(self._values, wanted))
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

    @property
    def inactive(self):
        """The controls that change nothing now, each with the reason."""
        return self._inactive(self.values)

    def reset(self):
        """Put every control back where it started."""
        self.values = self._start

    def press(self, name):
        """Do what the button `name` does, then draw again; ValueError in words."""
        self.ask(press=name)
        if self.problem:
            raise ValueError(self.problem)

    def ask(self, moves=(), press=None):
        """Make a page's moves, press a button, and draw; what goes wrong is `.problem`.

        `moves` is a list of moves, each a list of `(name, value)`. The page sends what
        was moved, not all it shows: while it waits, what it shows may be older than
        what a preset has set here. Without any it draws again, for a picture whose
        data has changed; any thread may ask.
        """
        with self._lock:
            try:
                values = self._values
                for move in moves:
                    values = self._moved(values, dict(move))
                self._values = values
                if press:
                    self.buttons[press].action(dict(values))
                self._show(values)
            except ValueError as refused:
                self.problem = str(refused)
            except Exception as error:
                self.problem = (
                    f"The {self.name} explorer failed here, which is not your "
                    f"mistake: {type(error).__name__}: {error}"
                )
            self.changed()

    def _show(self, values):
        self._picture = self._draw(dict(values))
        self._state, self._values, self.problem = values, values, ""

    def changed(self):
        """Called after every change, for a view to show `answer()`."""

    def answer(self):
        """What a page shows: values, SVG, summary, problem, why controls are off."""
        return self._answer(self._values, self._picture, self.problem)

    def _answer(self, values, picture, problem):
        inactive = self._inactive(dict(values))
        reasons = [inactive.get(name, "") for name in self.controls]
        return [list(values.values()), *picture, problem, reasons]

    def face(self):
        """What a page builds once; lists, since notebooks sort a dict's keys."""
        return {
            "name": self.name,
            "question": self.question,
            "controls": [control.face() for control in self.controls.values()],
            "buttons": [[name, button.label] for name, button in self.buttons.items()],
            "start": list(self._start.values()),
        }

    def frames(self):
        """An answer for every state of the sweep, and for the start."""
        count = prod(map(len, self.sweep.values()))
        if count > MAX_FRAMES:
            raise ValueError(
                f"{count} frames are too many for a page; "
                f"sweep fewer values, at most {MAX_FRAMES} states together"
            )
        stored = []
        for point in product(*self.sweep.values()):
            wanted = dict(zip(self.sweep, point, strict=True))
            values, problem = self._moved(self._start, wanted), ""
            try:
                picture = self._draw(dict(values))
            except ValueError as refused:
                picture, problem = self._picture, str(refused)
            stored.append(self._answer(values, picture, problem))
        if list(self._start.values()) not in [values for values, *_ in stored]:
            stored.insert(0, self.answer())  # Reset leads there
        return stored

    def _moved(self, values, wanted):
        """`values` after moving what `wanted` names; ValueError in words if illegal."""
        checked = {}
        for name, value in wanted.items():
            if name not in self.controls:
                raise ValueError(
                    f"the {self.name} explorer has no control {name!r}; "
                    f"{closest(name, self.controls)}it has: {', '.join(self.controls)}"
                )
            checked[name] = self.controls[name].check(value)
        changed = {name for name, value in checked.items() if values[name] != value}
        moved = values | checked
        if changed:
            moved = self._adjust(moved, changed, set(checked))
        return moved

    def __repr__(self):
        return f"<Explorer {self.name}: {self.summary}>"
