"""Predictions: asked, kept, revealed, and kind about odd guesses."""

import pytest
import torch

import inception_edu as ie


def printed(capsys):
    return " ".join(capsys.readouterr().out.split())


def ask(guess=None, **more):
    return ie.predict("naive", "How many MACs has module 3a?", guess, "M MACs", **more)


@pytest.mark.parametrize(
    ("guess", "unit", "measured", "verdict"),
    [
        (303.5, "M MACs", 303.5, "[ok] Exactly right. your prediction: "),
        (100, "M MACs", 303.5, "[x] The answer is 3.04 times as large. your "),
        (3035, "M MACs", 303.5, "[x] Your guess is 10 times as large. your "),
        (3642e3, "M MACs", 303.5, "[x] Your guess is 12,000 times as large."),
        (0, "M MACs", 303.5, "[x] Not this time. your prediction: 0 M MACs;"),
        (3, "M MACs", 0, "[x] Not this time."),
        (0, "M MACs", 0, "[ok] Exactly right."),
        (torch.tensor(303.5), "M MACs", 303.5, "[ok] Exactly right."),
        (
            *(303_464_448, "M MACs", 303.5),
            "[ok] Close, within 10 %. 303,464,448 is read as 303.5 M MACs.",
        ),
        (0.71, "%", 71, "[ok] Exactly right. 0.71 is read as 71 %. your"),
        (0.3, "%", 71, "[x] The answer is 237 times as large. your prediction: 0.3 %"),
    ],
)
def test_a_guess_is_set_beside_the_measurement(guess, unit, measured, verdict, capsys):
    p = ie.predict("naive", "How many?", guess, unit)
    assert "Your prediction: " in printed(capsys)
    p.reveal(measured, label="published")
    text = printed(capsys)
    assert text.startswith(verdict)
    assert text.endswith(f"published: {measured} {unit}")


@pytest.mark.parametrize(
    ("guess", "known", "hint"),
    [
        (125, {128.0: "1x1 reductions", 607: "FLOPs"}, "1x1 reductions"),
        (600, {128.0: "1x1 reductions", 607: "FLOPs"}, "FLOPs"),
        (20, {128.0: "1x1 reductions", 607: "FLOPs"}, None),
        (304, {303: "never shown beside a good guess"}, None),
        (290, {290: "close, but by another way"}, "close, but by another way"),
        (606_928_896, {128.0: "1x1 reductions", 607: "FLOPs"}, "FLOPs"),  # in units
    ],
)
def test_a_likely_misconception_is_explained(guess, known, hint, capsys):
    ask(guess).reveal(303.5, known)
    text = printed(capsys)
    assert ("->" in text) == bool(hint)
    assert text.endswith(f"-> {hint}") or not hint


@pytest.mark.parametrize(
    ("guess", "complaint"),
    [
        ("300", "'300' is not a number of 0 or more: no quotes, no unit"),
        ("19 %", "'19 %' is not a number of 0 or more: no quotes, no unit"),
        (float("nan"), "nan is not a number"),
        (-3, "-3 is not a number of 0 or more"),
        ([1, 2], "(1, 2) is not a number"),
        (True, "True is not a number"),
        (torch.ones(3), "is not a number"),
    ],
)
def test_an_odd_guess_gets_kind_words_and_counts_as_none(guess, complaint, capsys):
    p = ask(guess)
    text = printed(capsys)
    assert complaint in text
    assert text.endswith("write a number for guess= and run this cell again.")
    assert p.guess is None
    p.reveal(303.5)
    assert "You made no prediction" in capsys.readouterr().out


def test_a_choice(capsys):
    def check_choice(guess):
        options = ("less", "the same", "more")
        return ie.predict("choice", "More or less?", guess, options=options)

    check_choice(None)
    assert "one of these options" in (asked := printed(capsys))
    assert "'less' 'the same' 'more'" in asked
    check_choice("LESS ").reveal("more", {"less": "you forgot the pool"})
    text = printed(capsys)
    assert "[x] Not this time. your prediction: less; measured: more" in text
    assert text.endswith("-> you forgot the pool")
    check_choice("more").reveal("more", {"less": "you forgot the pool"})
    assert "[ok] Right. your prediction: more; measured: more" in printed(capsys)
    assert check_choice("fewer").guess is None
    assert "'fewer' is none of the options" in printed(capsys)
    ie.predict("choice", "?", "less", "M", ("less", "more")).reveal("more")
    assert "[x] Not this time" in printed(capsys)
    assert check_choice(True).guess is None
    assert check_choice([1]).guess is None
