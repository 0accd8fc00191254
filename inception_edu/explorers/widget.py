"""An explorer in a notebook: a `Panel` bound to one small anywidget."""

import os
from pathlib import Path

import anywidget
from traitlets import Dict, List, Unicode, observe

from inception_edu.explorers.panel import Panel
from inception_edu.figures.notebook import picture_html
from inception_edu.figures.theme import themed

_HERE = Path(__file__).parent


class Explorer(Panel, anywidget.AnyWidget):
    """A picture with controls; `controls.py` says how to write one.

    `start` sets controls before the first picture; reset goes back there.
    `frames=True` stores the pictures of the `sweep` for pages without a kernel;
    INCEPTION_EDU_FRAMES=1 turns that on for a whole export.
    """

    _esm = Unicode((_HERE / "frame.js").read_text(encoding="utf-8")).tag(sync=True)
    _css = Unicode(themed((_HERE / "frame.css").read_text(encoding="utf-8"))).tag(
        sync=True
    )
    _face = Dict().tag(sync=True)  # what to build; never changes
    _asked = List([0, []]).tag(sync=True, echo_update=False)  # serial, moves
    _shown = List().tag(sync=True)  # back: serial and answer
    _frames = List().tag(sync=True)  # stored answers

    def __init__(self, *panel, frames=None, **options):
        Panel.__init__(self, *panel, **options)
        if frames is None:
            frames = os.environ.get("INCEPTION_EDU_FRAMES") == "1"
        stored = self.frames() if frames and self.sweep else []
        swept = [list(self.controls).index(name) for name in self.sweep if stored]
        anywidget.AnyWidget.__init__(
            self,
            _face=self.face() | {"swept": swept},
            _frames=stored,
            _shown=[0, *self.answer()],
        )
        self.on_msg(self._on_message)

    def changed(self):
        """Show the answer; one list, so that it changes in one step."""
        self._shown = [self._asked[0], *self.answer()]

    @observe("_asked")
    def _on_asked(self, change):
        self.ask(change.new[1])

    def _on_message(self, widget, content, buffers):
        """Do what a button does; reply in any case, so that it is seen to run."""
        if "press" in content:
            self.ask(content["moves"], content["press"])
        self.send({"press": content.get("press")})

    def _repr_mimebundle_(self, **kwargs):
        """The live view, with a line and a still picture where none can run.

        nbval compares the line. What is stored has the picture and no view, so that
        GitHub and a notebook that has not been run show it.
        """
        data, metadata = super()._repr_mimebundle_(**kwargs)
        data["text/plain"] = f"{self!r} run this cell to use it"
        data["text/html"] = picture_html(self.svg, self.summary)
        return data, metadata
