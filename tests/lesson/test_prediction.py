"""Predictions: asked, kept, revealed, and kind about odd guesses."""

import numpy as np
import pytest
import torch

import inception_edu as ie
from inception_edu.lesson import predictions


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def ask(guess=None, **more):
    return ie.predict("naive", "How many MACs has module 3a?", guess, "M MACs", **more)


def test_without_a_guess_it_asks_for_one(capsys):
    ask()
    assert lines(capsys) == [
        "? How many MACs has module 3a? [M MACs]",
        "  no prediction yet: write a number for guess= and run this again",
    ]


def test_run_all_without_a_guess_shows_what_was_measured(capsys):
    p = ask()
    capsys.readouterr()
    p.reveal(303.5)
    assert lines(capsys) == ["measured: 303.5 M MACs. You made no prediction."]


@pytest.mark.parametrize(
    ("guess", "verdict"),
    [
        (303.5, "exactly right"),
        (300, "close, within 10 %"),
        (100, "the real one is 3.04 times as much"),
        (3035, "your guess is 10 times as much"),
        (303500 * 12, "your guess is 12,000 times as much"),
        (303.5e-6, "the real one is 1,000,000 times as much"),
        (303.5e15, "your guess is 1e+15 times as much"),
        (0, "not this time"),
        (np.float32(303.5), "exactly right"),
        (torch.tensor(303.5), "exactly right"),
    ],
)
def test_a_guess_is_set_beside_the_measurement(guess, verdict, capsys):
    ask(guess).reveal(303.5)
    text = " ".join(capsys.readouterr().out.split())
    assert "your prediction: " in text
    assert text.endswith(f": {verdict}.")


def test_a_likely_misconception_is_named(capsys):
    wrong = {128.0: "that is the module with 1x1 reductions", 607: "those are FLOPs"}
    ask(125).reveal(303.5, wrong)
    assert lines(capsys)[-1] == "    -> that is the module with 1x1 reductions"
    ask(600).reveal(303.5, wrong)
    assert lines(capsys)[-1] == "    -> those are FLOPs"
    ask(20).reveal(303.5, wrong)
    assert "->" not in lines(capsys)[-1]
    ask(304).reveal(303.5, {303: "never shown beside a good guess"})
    assert "->" not in lines(capsys)[-1]
    ask(290).reveal(303.5, {290: "close, but by another way"})
    assert lines(capsys)[-1] == "    -> close, but by another way"


@pytest.mark.parametrize(
    ("guess", "complaint"),
    [
        ("300", "'300' is text; leave the quotes out"),
        ("about 300", "'about 300' is text: write a number"),
        (float("nan"), "nan is not a number"),
        (float("inf"), "an infinite number"),
        (-3, "-3 is negative"),
        ([1, 2], "several values; one number is wanted"),
        ({}, "several values"),
        (True, "True is not a number"),
        (2j, "complex"),
        (object(), "a value of type object is not a number"),
        (torch.ones(3), "a tensor (3,) is not a number"),
        (10**400, "too large"),
    ],
)
def test_an_odd_guess_gets_kind_words_and_counts_as_none(guess, complaint, capsys):
    p = ask(guess)
    text = " ".join(capsys.readouterr().out.split())
    assert complaint in text
    assert text.endswith("write a number for guess= and run this again")
    assert p.guess is None
    p.reveal(303.5)
    assert "You made no prediction" in capsys.readouterr().out


def test_one_of_a_unit_is_singular(capsys):
    ie.predict("count", "How many?", 2, "tenths").reveal(1)
    assert "measured: 1 tenth. You predicted 2 tenths" in capsys.readouterr().out
    ie.predict("ratio", "How often?", 1, "times").reveal(2)
    assert "You predicted 1 times" in capsys.readouterr().out


def test_a_share_in_place_of_per_cent_is_asked_about(capsys):
    ie.predict("share", "What share?", 0.19, "%")
    assert lines(capsys)[-1].endswith("0.19 % (a share? then write 19)")
    ie.predict("share", "What share?", 1.4, "%")
    assert lines(capsys)[-1].endswith("1.4 %")


def test_a_choice(capsys):
    def choose(guess):
        options = ("less", "the same", "more")
        return ie.predict("choice", "More or less?", guess, options=options)

    choose(None)
    assert lines(capsys)[1:] == [
        "  'less' | 'the same' | 'more'",
        "  no prediction yet: write one of these for guess= and run this again",
    ]
    choose("LESS ").reveal("more", {"less": "you forgot the pool"})
    assert lines(capsys)[-2:] == [
        "measured: 'more'. You predicted 'less': not this time.",
        "    -> you forgot the pool",
    ]
    choose("more").reveal("more", {"less": "you forgot the pool"})
    assert lines(capsys)[-1] == "measured: 'more'. You predicted 'more': right."
    assert choose("fewer").guess is None
    assert "'fewer' is none of the answers" in capsys.readouterr().out
    assert choose(True).guess is None
    assert choose([1]).guess is None


def test_numbers_as_choices():
    assert ie.predict("k", "?", 2, options=(1, 2)).guess == 2
    assert ie.predict("k", "?", "2", options=(1, 2)).guess is None


def test_a_prediction_describes_itself_and_is_kept():
    p = ask(250)
    assert repr(p) == "<Prediction naive: 250 M MACs>"
    p.reveal(303.5)
    assert repr(p) == "<Prediction naive: 250 M MACs, 303.5 M MACs>"
    assert repr(ask()) == "<Prediction naive: no guess>"
    assert predictions()["naive"].guess is None


def test_a_measured_zero_does_not_divide(capsys):
    ask(3).reveal(0)
    assert "not this time" in capsys.readouterr().out
    ask(0).reveal(0)
    assert "exactly right" in capsys.readouterr().out


def test_long_questions_are_folded(capsys):
    ie.predict("long", "How many? " * 30)
    assert all(len(line) <= 78 for line in lines(capsys))
