"""The frame: what it refuses, what it tells the page, what it stores."""

import pytest

import inception_edu as ie
from inception_edu.explorers import Explorer, Picture, Range
from inception_edu.explorers.controls import Button, Check, Choice, Steps

CONTROLS = [
    Range("width", "width", 8, 256, 8, 64),
    Range("rate", "rate", 0.0, 1.0, 0.1, 0.3),
    Choice("kernel", "kernel", {1: "1x1", 3: "3x3"}, 3),
    Steps("eps", "eps", [1e-8, 1e-4, 1.0], 1.0),
    Check("bias", "bias"),
]


def draw(state):
    if state["width"] > 128 and state["kernel"] == 3:
        raise ValueError("a 3x3 wider than 128 does not fit; choose 1x1")
    if state["eps"] == 1e-8:
        raise RuntimeError("broken on purpose")
    text = f"{state['width']} wide, kernel {state['kernel']}, rate {state['rate']}"
    return Picture(f"<svg xmlns='http://www.w3.org/2000/svg'>{text}</svg>", text)


def toy(**options):
    return Explorer("toy", "How wide?", CONTROLS, draw, **options)


def ask(explorer, **moves):
    """What the page sends when a reader moves controls; returns the answer."""
    serial = explorer._asked[0] + 1
    explorer.set_state({"_asked": [serial, [[move] for move in moves.items()]]})
    names = ("serial", "values", "svg", "summary", "problem", "inactive")
    return dict(zip(names, explorer._shown, strict=True)) | {"asked": serial}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"widht": 8}, "no control 'widht'; did you mean width? it has: width, rate"),
        ({"width": 9}, "width = 9 lies between two steps; take 8 or 16"),
        ({"width": "64"}, "width = '64' must be a number"),
        ({"width": float("nan")}, "width = nan is outside 8 to 256"),
        ({"kernel": 5}, "kernel = 5 is not a choice; take one of 1, 3"),
        ({"kernel": True}, "kernel = True is not a choice"),
        ({"eps": "1e-8"}, "eps = '1e-8' is not a choice; did you mean 1e-08? take one"),
        ({"bias": 1}, "bias = 1 is not a choice; take one of False, True"),
        ({"width": 200}, "a 3x3 wider than 128 does not fit"),
    ],
)
def test_python_is_refused_in_words_and_nothing_changes(wanted, words):
    explorer = toy()
    before = explorer.state, explorer.answer()
    with pytest.raises(ValueError) as refused:
        explorer.values = wanted
    assert words in str(refused.value)
    assert before == (explorer.state, explorer.answer())


def test_setting_some_values_redraws_and_keeps_the_others():
    explorer = toy()
    explorer.values = {"width": 128.0, "rate": 0.7}
    assert list(explorer.values.items()) == list(explorer.state.items())
    values = [128, 0.7, 3, 1.0, False]
    assert explorer._shown[1:4] == [values, explorer.svg, explorer.summary]
    assert isinstance(explorer.values["width"], int)
    assert explorer.summary == "128 wide, kernel 3, rate 0.7"
    explorer.values["width"] = explorer.state["width"] = 8  # of a copy
    assert explorer.values["width"] == explorer.state["width"] == 128


def test_the_page_gets_one_answer_with_the_serial_of_its_question():
    explorer = toy(start={"width": 96})
    answer = ask(explorer, width=8, eps=1)
    assert answer["serial"] == answer["asked"] == 1
    assert answer["values"] == [8, 0.3, 3, 1.0, False]
    assert answer["summary"] == explorer.summary == "8 wide, kernel 3, rate 0.3"
    assert answer["problem"] == ""
    explorer.reset()
    assert explorer.values["width"] == 96


def test_a_refusal_is_shown_in_place_and_the_last_good_picture_stays():
    explorer = toy()
    good = explorer.svg
    answer = ask(explorer, width=200)
    assert answer["problem"] == "a 3x3 wider than 128 does not fit; choose 1x1"
    assert answer["svg"] == good
    assert explorer.values["width"] == 200
    assert explorer.state["width"] == 64
    assert ask(explorer, kernel=1)["problem"] == ""
    assert explorer.state["width"] == 200


def test_an_answer_says_which_controls_change_nothing_and_why():
    def inactive(values):
        return {"bias": "a 1x1 has none"} if values["kernel"] == 1 else {}

    explorer = toy(inactive=inactive, sweep={"kernel": [1, 3]}, frames=True)
    assert ask(explorer, kernel=1)["inactive"] == ["", "", "", "", "a 1x1 has none"]
    assert explorer.inactive == {"bias": "a 1x1 has none"}
    explorer.values = {"bias": True}  # Python may move it all the same
    assert ask(explorer, kernel=3)["inactive"] == [""] * 5
    assert [frame[4][4] for frame in explorer._frames] == ["a 1x1 has none", ""]


def test_a_mistake_in_draw_or_in_the_page_is_shown_in_place():
    answer = ask(toy(), eps=1e-8)
    assert "RuntimeError: broken on purpose" in answer["problem"]
    explorer = toy()
    explorer.set_state({"_asked": [1, [64]]})
    assert explorer._shown[0] == 1
    assert explorer.problem
    assert "outside 8 to 256" in ask(explorer, width=9999)["problem"]


def test_adjust_completes_a_change_and_knows_what_was_moved():
    def adjust(values, changed, named):
        return values | {"rate": 1.0} if "width" in changed else values

    explorer = toy(adjust=adjust)
    assert ask(explorer, width=8)["values"] == [8, 1.0, 3, 1.0, False]
    assert ask(explorer, rate=0.0)["values"] == [8, 0.0, 3, 1.0, False]


def test_a_preset_leaves_alone_what_is_asked_for_by_name_even_as_it_stood():
    explorer = ie.explore.network()  # Inception v4, so that c is 3 already
    explorer.values = {"network": "inception_resnet_v1", "c": 3}
    assert [explorer.values[letter] for letter in "abc"] == [5, 10, 3]
    width = ie.explore.module().values["3x3"]
    explorer = ie.explore.module()
    explorer.values = {"preset": "5b", "3x3": width}
    assert explorer.values["3x3"] == width


def test_moves_are_followed_one_by_one_from_where_python_stands():
    """A page that has not seen a preset's widths yet must not undo them."""
    explorer = ie.explore.module()
    ask(explorer, preset="3b")
    answer = ask(explorer, preset="4c")
    twin = ie.explore.module(start={"preset": "4c"})
    assert (explorer.values, answer["summary"]) == (twin.values, twin.summary)
    ask(explorer, **{"3x3": 8, "preset": "5b"})
    assert explorer.values["3x3"] == 384
    ask(explorer, **{"preset": "5b", "3x3": 8})
    assert explorer.values["3x3"] == 8


def pressing(explorer, name, **moves):
    """What the page sends when a reader moves controls and presses a button."""
    sent = [[[control, value]] for control, value in moves.items()]
    explorer._handle_custom_msg({"press": name, "moves": sent}, [])


def test_a_button_acts_on_what_the_page_shows_and_the_picture_is_drawn_again():
    seen = []
    explorer = toy(buttons=[Button("go", "Go", seen.append)])
    assert explorer._face["buttons"] == [["go", "Go"]]
    explorer.press("go")
    pressing(explorer, "go", width=8)
    assert [values["width"] for values in seen] == [64, 8]
    assert explorer.summary == "8 wide, kernel 3, rate 0.3"
    assert explorer._shown[1][0] == 8
    seen[-1]["width"] = 16
    assert explorer.values["width"] == 8


def test_a_button_that_refuses_says_so_in_place():
    def refuse(values):
        raise ValueError("not now; wait")

    explorer = toy(buttons=[Button("go", "Go", refuse)])
    with pytest.raises(ValueError, match="not now; wait"):
        explorer.press("go")
    pressing(explorer, "go")
    assert explorer.problem == explorer._shown[-2] == "not now; wait"
    explorer.ask()
    assert explorer.problem == ""


def test_frames_are_the_answers_of_the_sweep():
    explorer = toy(sweep={"width": [8, 200], "kernel": [1, 3]}, frames=True)
    assert explorer._face["swept"] == [0, 2]
    assert [frame[0][0:3:2] for frame in explorer._frames] == [
        [64, 3],  # the start, to which Reset leads
        [8, 1],
        [8, 3],
        [200, 1],
        [200, 3],
    ]
    for values, svg, summary, problem, _ in explorer._frames[:4]:
        twin = toy()
        names = dict(zip(twin.values, values, strict=True))
        twin.values = {"kernel": 1}
        twin.values = names
        assert (svg, summary, problem) == (twin.svg, twin.summary, "")
    assert "wider than 128" in explorer._frames[4][3]


def test_frames_are_stored_when_asked_for_and_by_an_export(monkeypatch):
    sweep = {"width": [8, 16]}
    assert toy(sweep=sweep)._frames == []
    monkeypatch.setenv("INCEPTION_EDU_FRAMES", "1")
    assert len(toy(sweep=sweep)._frames) == 3
    assert toy(sweep=sweep, frames=False)._frames == []


def test_an_explorer_of_few_states_sweeps_them_all():
    few = [Choice("kernel", "kernel", [1, 3], 3), Check("bias", "bias")]
    small = Explorer(
        "small", "?", few, lambda s: Picture("<svg/>", str(s)), frames=True
    )
    states = [values for values, *_ in small._frames]
    assert states == [[1, False], [1, True], [3, False], [3, True]]
    assert toy().sweep == {}
