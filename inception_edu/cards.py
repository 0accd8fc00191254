"""Feedback as a card: a colored box in a notebook, the same words as plain text.

`show(Card("right", "naive_module: 6 checks passed"))` displays one. Front ends that
render HTML draw the box; terminals, GitHub and nbval get the text twin.
"""

import re
import sys
import textwrap
from dataclasses import dataclass
from html import escape

from inception_edu.text import printable

WIDTH = 78  # characters of a line of the text twin

# Kind: mark of the text twin, icon, color. The colors stay apart under red and
# green blindness, and the icon says the same without any color.
KINDS = {
    "right": ("[ok]", "✓", "#1a7f5a"),
    "wrong": ("[x]", "✗", "#c8500a"),
    "open": ("[ ]", "○", "#6b7075"),
    "ask": ("?", "?", "#0068cb"),
    "info": ("[i]", "◆", "#6164a1"),
}


@dataclass(frozen=True)
class Card:
    """One piece of feedback: a verdict in one line, and what explains it.

    `kind` is a key of `KINDS`. `details` are further lines; `options` are answers to
    choose from. `compare` pairs labels with values that belong side by side, such as
    `(("expected", "416"), ("found", "192"))`. `hint` is set apart; `printed` is what
    the reader's own code printed.
    """

    kind: str
    verdict: str
    details: tuple = ()
    options: tuple = ()
    compare: tuple = ()
    hint: str = ""
    printed: str = ""

    def __str__(self):
        """The text twin, in lines of at most 78 characters."""
        mark, _, _ = KINDS[self.kind]
        pairs = "; ".join(f"{label}: {value}" for label, value in self.compare)
        lines = []
        if self.printed:
            lines += ["    your code printed:"]
            lines += [f"    | {line}"[:WIDTH] for line in self.printed.splitlines()]
        for line, later in (
            (f"{mark} {self.verdict}", 4),
            *((f"    {detail}", 6) for detail in self.details),
            *((f"    {option}", 7) for option in self.options),
            (f"    {pairs}" if pairs else "", 6),
            (f"    -> {self.hint}" if self.hint else "", 7),
        ):
            style = {"subsequent_indent": " " * later, "break_on_hyphens": False}
            lines += textwrap.wrap(line, WIDTH, **style)
        return printable("\n".join(lines))

    def _repr_html_(self):
        _, icon, color = KINDS[self.kind]
        body = ""
        if self.printed:
            body += f"<pre style='margin:0 0 .4em'>{text(self.printed)}</pre>"
        body += f"<b><span aria-hidden='true'>{icon}</span> {text(self.verdict)}</b>"
        body += "".join(f"<div>{text(detail)}</div>" for detail in self.details)
        if self.options:
            items = "".join(f"<li>{text(option)}</li>" for option in self.options)
            style = "margin:.3em 0;padding-left:1em;list-style:none"
            body += f"<ul style='{style}'>{items}</ul>"
        if self.compare:
            cells = "".join(
                f"<div><small>{text(label)}</small><br><b>{text(value)}</b></div>"
                for label, value in self.compare
            )
            style = "display:flex;flex-wrap:wrap;gap:.2em 2em;margin:.3em 0"
            body += f"<div style='{style}'>{cells}</div>"
        if self.hint:
            label = "" if self.kind == "ask" else "<b>Hint.</b> "
            style = f"margin-top:.4em;padding-top:.3em;border-top:1px dashed {color}"
            body += f"<div style='{style}'>{label}{text(self.hint)}</div>"
        return (
            f"<div class='ie-card ie-card-{self.kind}' style='border-left:5px solid "
            f"{color};background:{color}1f;padding:.5em .9em;margin:.4em 0;"
            f"max-width:46em;line-height:1.45'>{body}</div>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": str(self), "text/html": self._repr_html_()}


class Folded(str):
    """What a solution measures: folded in a notebook, printed everywhere else."""

    __repr__ = str.__str__  # without quotes

    def _repr_mimebundle_(self, include=None, exclude=None):
        fold = "<details><summary>What the solution measures</summary>"
        page = f"{fold}<pre>{escape(self, quote=False)}</pre></details>"
        return {"text/plain": str(self), "text/html": page}


def ipython_shell():
    """The IPython shell that this code runs in, or None; imports nothing."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def show(card):
    """Display the card in a notebook, print its text twin elsewhere."""
    if hasattr(ipython_shell(), "kernel"):
        from IPython.display import display

        display(card)
    else:
        print(card)


def text(words):
    """`words` as HTML; `code` between backquotes is set as code."""
    escaped = escape(printable(words), quote=False)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
