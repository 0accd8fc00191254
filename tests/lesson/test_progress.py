"""Quiz answers and progress: asked, explained, remembered, and never in the way."""

import json

import pytest

import inception_edu as ie
from inception_edu.lesson.progress import _memory, lesson_of, read
from inception_edu.lesson.quiz import judged, questions

KEY = "00-family"


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "new" / "progress.json"
    monkeypatch.setenv("INCEPTION_EDU_PROGRESS", str(path))
    return path


@pytest.mark.parametrize("key", questions())
def test_every_question_explains_every_option(key):
    asked = questions()[key]
    letters = "abcdefgh"[: len(asked["options"])]
    assert asked["right"] in letters
    assert set(asked["why"]) == set(letters)
    assert len(set(asked["options"])) == len(asked["options"])
    assert lesson_of(key) in range(8)
    for letter in letters:
        kind = "right" if letter == asked["right"] else "wrong"
        assert judged(key, letter).kind == kind


def test_no_right_option_is_told_by_its_place_or_its_length():
    """Over all questions, four or five options each: what a guesser would go by."""
    asked = list(questions().values())
    assert {len(q["options"]) for q in asked} == {4, 5}
    for letter in "abcd":
        assert 0.2 < sum(q["right"] == letter for q in asked) / len(asked) < 0.3
    for q in asked:
        right, *others = sorted(
            q["options"],
            key=lambda o: q["options"].index(o) != "abcde".index(q["right"]),
        )
        assert min(map(len, others)) - 5 <= len(right) <= max(map(len, others)) + 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("b", "right"), (" B) ", "right"), ("a", "wrong"), ("e", "ask"), (2, "ask")],
)
def test_an_answer_is_a_letter(answer, kind):
    assert judged(KEY, answer).kind == kind


def test_everything_is_kept_in_one_file(file, capsys):
    ie.quiz(KEY, "a")
    ie.quiz(KEY, "b")
    ie.predict("01-cost", "How many?", 3)
    ie.check.conv_macs(lambda i, o, k, h, w: i * o * k * k * h * w)
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["quizzes"] == {KEY: {"answer": "b", "right": True, "tries": 2}}
    assert kept["predictions"] == {"01-cost": {"guess": 3, "tries": 1}}
    assert kept["exercises"] == {"conv_macs": {"passed": True, "tries": 1}}
    table = repr(ie.progress())
    assert str(file) in table
    assert "     1      1 of" in table
    assert "1 of" in ie.progress()._repr_html_()


def test_the_solution_of_a_lesson_is_not_the_readers(file):
    def conv_macs_solution(i, o, k, h, w):
        return i * o * k * k * h * w

    ie.check.conv_macs(conv_macs_solution)
    assert not file.exists()


def test_a_key_of_another_form_belongs_to_no_lesson():
    keys = {"03-asymmetric": 3, "3": None, "2024-x": None, "²²-x": None}
    assert {key: lesson_of(key) for key in keys} == keys


@pytest.mark.parametrize("text", ["", "{"])
def test_a_damaged_file_counts_as_empty_and_is_replaced(file, text):
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    ie.quiz(KEY, "b")
    assert json.loads(file.read_text(encoding="utf-8"))["quizzes"][KEY]["tries"] == 1


def test_a_lesson_works_where_nothing_can_be_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("INCEPTION_EDU_PROGRESS", str(tmp_path / "file" / "x.json"))
    ie.quiz(KEY, "b")
    assert "right." in capsys.readouterr().out


def test_off_keeps_everything_in_memory(monkeypatch, capsys):
    _memory.clear()
    monkeypatch.setenv("INCEPTION_EDU_PROGRESS", "off")
    ie.quiz(KEY, "b")
    assert "this kernel only" in repr(ie.progress())
    assert read()["quizzes"][KEY]["right"]
