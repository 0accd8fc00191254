"""Cards: the same words as HTML and as text, whatever they hold."""

from html.parser import HTMLParser
from types import SimpleNamespace

import pytest

from inception_edu import cards
from inception_edu.cards import KINDS, Card

FULL = Card(
    "wrong",
    "`conv_macs`: 3 of 4 checks passed",
    ("conv_macs(3, 64, 7) is off",),
    ("a) one", "b) two"),
    (("expected", "416"), ("found", "192 < 416 & more")),
    "add the pool",
    "shape: <torch.Size([1])>",
)


def words(html):
    parser, found = HTMLParser(), []
    parser.handle_data = found.append
    parser.feed(html)
    return " ".join(" ".join(found).split())


def test_the_text_twin_has_the_same_words_as_the_box():
    text, html = " ".join(str(FULL).split()), words(FULL._repr_html_())
    for part in (*FULL.details, *FULL.options, "416", FULL.hint, "192 < 416 & more"):
        assert part in text
        assert part in html
    assert "<torch.Size([1])>" in text
    assert "<torch.Size([1])>" in html
    assert all(len(line) <= 78 for line in str(FULL).splitlines())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_told_by_mark_and_icon_not_by_color_alone(kind):
    card = Card(kind, "verdict")
    assert str(card).startswith(KINDS[kind][0])
    assert KINDS[kind][1] in words(card._repr_html_())


@pytest.mark.parametrize("odd", ["\ud800", "<script>", "a`b", "`", "\x00", "x" * 500])
def test_odd_words_break_nothing(odd):
    card = Card("info", odd, (odd,), (odd,), ((odd, odd),), odd, odd)
    str(card).encode()
    html = card._repr_html_()
    html.encode()
    assert "<script>" not in html


def test_a_notebook_shows_the_card_and_a_terminal_prints_it(monkeypatch, capsys):
    cards.show(FULL)
    assert "[x] `conv_macs`" in capsys.readouterr().out
    shown = []
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr("IPython.display.display", shown.append)
    cards.show(FULL)
    assert shown == [FULL]
    assert set(FULL._repr_mimebundle_()) == {"text/plain", "text/html"}
