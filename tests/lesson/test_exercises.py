"""Every exercise takes right answers in any style and names the mistakes it knows."""

import random
import re
from contextlib import suppress
from itertools import combinations

import pytest

import inception_edu as ie
from inception_edu.lesson.checking import assess
from inception_edu.lesson.compare_modules import ModuleExercise
from inception_edu.lesson.exercise import Mistake
from inception_edu.networks.googlenet import InceptionModule, NaiveModule
from inception_edu.networks.inception_v3 import AuxiliaryHead
from tests.lesson.answers import (
    FUNCTIONS,
    MODULES,
    builder,
    right_answers,
    wrong_answers,
)

EXERCISES = {exercise.name: exercise for exercise in ie.check.exercises()}
every_function = pytest.mark.parametrize("name", FUNCTIONS)
every_module = pytest.mark.parametrize("name", MODULES)
every_exercise = pytest.mark.parametrize("name", EXERCISES)
SHARE_NAMED = 0.6  # of the wrong answers to an exercise get the right hint
# Mistakes that every module is tried for, and that are none in some.
HARMLESS = {
    "ReLU follows the convolutions only, neither the pool nor the concatenation",
    "the ReLU after `up-projection` is missing",
    "the ReLU after `classifier` is missing",
}


def feedback(name, candidate):
    return assess(EXERCISES[name], candidate)


def one_line(text):
    return " ".join(str(text).split())


def test_every_exercise_has_right_and_wrong_answers_here():
    assert {*FUNCTIONS, *MODULES} == {*EXERCISES}


@every_exercise
def test_a_right_answer_passes_in_every_style(name):
    for style, candidate in right_answers(name):
        answer = feedback(name, candidate)
        assert answer.kind == "right", f"{style}\n{answer}"


@every_exercise
def test_a_wrong_answer_is_rejected_and_no_hint_misleads(name):
    wrong = list(wrong_answers(name))
    named = 0
    for what, candidate, hint in wrong:
        answer = feedback(name, candidate)
        assert answer.kind != "right", f"{what} is accepted"
        if answer.hint:
            found = hint and re.search(hint, answer.hint)
            assert found, f"{what}: {answer.hint!r}"
            named += 1
    assert named >= SHARE_NAMED * len(wrong), f"{named} of {len(wrong)}"


def variants(exercise):
    """`(hint, mistake)` for each mistake and variant of an exercise."""
    for hint, mistakes in exercise.mistakes.items():
        for mistake in mistakes:
            yield hint, mistake


@every_function
def test_a_known_mistake_gets_its_hint(name):
    exercise = EXERCISES[name]
    for hint, mistake in variants(exercise):
        answer = feedback(name, mistake.function)
        assert answer.kind == "wrong"
        assert answer.hint == hint, f"{hint}\n{answer}"


@every_exercise
def test_hints_are_short_phrases_and_lines_fit_a_screen(name):
    hints = EXERCISES[name].mistakes
    assert hints, "an exercise without a known mistake gives no help"
    assert all(10 < len(hint) < 200 and not hint.endswith(".") for hint in hints)
    assert all(
        len(line) <= 78 for line in str(feedback(name, lambda *a: 0)).splitlines()
    )


def outcomes(exercise, case):
    """`(hint, answer)` of the right answer and of every mistake that has one here."""
    mistakes = enumerate([("right", Mistake(exercise.solution)), *variants(exercise)])
    if not isinstance(exercise, ModuleExercise):
        for number, (hint, mistake) in mistakes:
            with suppress(ArithmeticError, RuntimeError, ValueError):
                yield (hint, number), exercise.answer(case, mistake.function)
        return
    candidate = dict(right_answers(exercise.name))["nn.Conv2d"]
    passed = exercise.observe(candidate, case)
    for number, (hint, mistake) in mistakes:
        for answer in exercise.answers(mistake, case, passed):
            yield (hint, number), answer


@every_exercise
def test_the_cases_tell_all_mistakes_apart(name):
    """From the right answer and from each other, unless they mean the same here."""
    exercise = EXERCISES[name]
    alike = None
    for case in exercise.cases:
        found = list(outcomes(exercise, case))
        same = {
            (one, other)
            for (one, first), (other, second) in combinations(found, 2)
            if one[0] != other[0] and not exercise.gap(first, second)
        }
        alike = same if alike is None else alike & same
    hints = {(one[0], other[0]) for one, other in alike}
    assert {other for one, other in hints if one == "right"} <= HARMLESS
    assert not {pair for pair in hints if not {*pair} & {"right", *HARMLESS}}


@every_module
def test_no_layer_is_as_wide_as_several_fused_ones(name):
    """Else a layer that stands for several looks like another one."""
    for case in EXERCISES[name].cases:
        alike = {}
        for outputs, *rest in EXERCISES[name].on_shapes(case).shapes.values():
            alike.setdefault(tuple(rest), []).append(outputs)
        for widths in alike.values():
            for count in range(2, len(widths) + 1):
                assert not {*widths} & {*map(sum, combinations(widths, count))}, widths


# ---- right answers against sources of their own


@pytest.mark.parametrize(
    ("name", "candidate"),
    [
        ("naive_module", NaiveModule),
        ("inception_module", InceptionModule),
        ("bn_auxiliary", AuxiliaryHead),
    ],
)
def test_the_packages_own_modules_pass(name, candidate):
    answer = str(feedback(name, candidate))
    assert answer.startswith(f"[ok] {name}: ") and len(answer.splitlines()) == 1


def test_a_forgotten_norm_none_passes_with_a_warning():
    answer = feedback("naive_module", lambda i, w: NaiveModule(i, w, norm="batch"))
    assert answer.kind == "right" and 'pass `norm="none"`' in one_line(answer)


def test_a_learned_scale_is_a_scale_whatever_its_shape():
    signature, layers, forward = MODULES["residual_block"].values()
    for value in (
        "torch.tensor(scale)",
        "torch.tensor([scale])",
        "torch.full((i,1,1),scale)",
    ):
        learned = layers.replace("s.s=scale", f"s.s=nn.Parameter({value})")
        answer = feedback("residual_block", builder(signature, learned, forward))
        assert answer.kind == "right"


def test_the_first_failure_is_shown_with_both_values_side_by_side():
    answer = feedback("conv_params", lambda i, o, k, bias: i * o * k * k + o)
    assert answer.compare == (("expected", "9,408"), ("found", "9,472"))
    assert answer.kind == "wrong"
    assert str(answer).startswith("[x] conv_params: 3 of 6 checks passed\n")


def test_a_hint_appears_only_if_it_explains_every_failed_case():
    def sometimes(i, o, k, bias):
        return i * o * k * k + o if i == 3 else 7

    assert feedback("conv_params", sometimes).hint == ""


def test_a_key_that_is_nearly_right_is_named_and_a_strange_one_is_not():
    near = feedback("naive_width", lambda i, w, n: w["3*3"])
    assert near.hint == "did you mean 3x3?"
    assert feedback("naive_width", lambda i, w, n: {}["mine"]).hint == ""


def test_neither_order_nor_repetition_changes_a_verdict():
    """A student runs cells in any order, and twice."""
    first = {name: next(iter(right_answers(name)))[1] for name in EXERCISES}
    wrong = {name: next(iter(wrong_answers(name)))[1] for name in EXERCISES}
    order = [*first, *first]
    random.Random(0).shuffle(order)
    for name in order:
        assert feedback(name, wrong[name]).kind == "wrong", name
        assert feedback(name, first[name]).kind == "right", name
