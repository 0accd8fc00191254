"""Whatever a candidate does, `check` answers in words, soon, and harms nothing."""

import builtins
import contextlib
import io
import os
import random
import sys
import threading
import time
import types
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.lesson.checking import Check, judge
from inception_edu.lesson.guard import guarded
from inception_edu.networks.layers import Branches, ConvUnit

EXERCISES = {exercise.name: exercise for exercise in ie.check.exercises()}
CONV_PARAMS, NAIVE = EXERCISES["conv_params"], EXERCISES["naive_module"]


def right(in_channels, out_channels, kernel_size, bias):
    return in_channels * out_channels * kernel_size**2 + bool(bias) * out_channels


def raises(*args):
    return 1 / 0


def leaves(*args):
    sys.exit(3)


def quits(*args):
    exit()


def interrupts(*args):
    raise KeyboardInterrupt


def recurses(*args):
    return recurses(*args)


def shouts(*args):
    for _ in range(1000):
        print("x" * 1000)
    return right(*args)


def asks(*args):
    return int(input("how many? "))


def wants_more(only_one):
    return only_one


def yields(*args):
    yield right(*args)


async def waits(*args):
    return right(*args)


class Angry:
    """An answer that raises whatever is asked of it."""

    def __getattribute__(self, name):
        raise RuntimeError("do not touch")

    def __eq__(self, other):
        raise RuntimeError("do not compare")

    def __float__(self):
        raise RuntimeError("no float")

    __hash__ = None


class NoRoom(Exception):
    def __str__(self):
        raise RuntimeError("no text either")


def raises_mute(*args):
    raise NoRoom


def unknown_name(*args):
    return in_chanels * 2  # noqa: F821


def changes_threads(*args):
    os.chdir("/")
    warnings.simplefilter("error")
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    sys.setrecursionlimit(500)
    os.environ.clear()
    os.environ["NEW"] = "1"
    sys.path.clear()
    sys.path = ["nowhere"]
    return right(*args)


HOSTILE = {
    "raises": (raises, "your code raised ZeroDivisionError: division by zero"),
    "raises without text": (raises_mute, "your code raised NoRoom"),
    "calls sys.exit": (leaves, "your code called exit()"),
    "calls exit": (quits, "your code called exit()"),
    "interrupts": (interrupts, "your code raised KeyboardInterrupt"),
    "recurses": (recurses, "the function calls itself and never stops"),
    "asks the keyboard": (asks, "a check cannot type"),
    "takes one input": (wants_more, "the exercise calls conv_params(in_channels"),
    "returns None": (lambda *args: print(end=""), "is a `return` missing"),
    "returns text": (lambda *args: "9408", "return the number itself, not text"),
    "returns True": (lambda *args: True, "got True"),
    "returns NaN": (lambda *args: float("nan"), "expected 9,408, got nan"),
    "returns infinity": (lambda *args: float("inf"), "expected 9,408, got inf"),
    "returns a huge number": (lambda *args: 10**5000, "expected 9,408"),
    "returns a complex number": (lambda *args: 1j, "return a plain number"),
    "returns a list": (lambda *args: [9408], "return one number, not several"),
    "returns a tensor": (lambda *args: torch.ones(3), "got a tensor (3,)"),
    "returns a function": (lambda *args: raises, "got a value of type function"),
    "returns a class": (lambda *args: int, "got the class int"),
    "returns an angry object": (lambda *args: Angry(), "cannot be read"),
    "yields": (yields, "use `return`, not `yield`"),
    "is async": (waits, "no `async`"),
    "misspells": (unknown_name, "is the name spelt right"),
    "is a number": (9408, "pass your code itself, without calling it"),
    "is text": ("conv_params", "not a function or a class"),
    "is a list": ([right], "not a function or a class"),
    "is a type": (dict, "your code"),
    "is a built-in": (print, "returned None"),
}


@pytest.mark.parametrize(("candidate", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_candidate_gets_a_kind_answer(candidate, words, capsys):
    start = time.monotonic()
    CONV_PARAMS_CHECK(candidate)
    printed = " ".join(capsys.readouterr().out.split())
    assert words in printed
    assert "[x] conv_params: 0 of" in printed
    assert "Traceback" not in printed and len(printed) < 3000
    assert time.monotonic() - start < 10  # "soon", on a busy machine


def CONV_PARAMS_CHECK(candidate):
    assert ie.check.conv_params(candidate) is None


MODULE_HOSTILE = {
    "returns None": (lambda i, w: print(end=""), "your function returned None"),
    "returns a list": (lambda i, w: [nn.Conv2d(i, 4, 1)], "not an nn.Module"),
    "returns a class": (lambda i, w: nn.ReLU, "make one: call it"),
    "is a finished module": (nn.ReLU(), "pass the class or the function"),
    "has no layers": (lambda i, w: nn.Identity(), "your module has none"),
    "has no forward": (
        lambda i, w: add(nn.Module(), i, w),
        "the class has no `forward`",
    ),
    "forgets super": (
        type("Forgets", (nn.Module,), {"__init__": lambda self, i, w: forget(self)}),
        "begin __init__ with super().__init__()",
    ),
    "returns a list from forward": (
        lambda i, w: add(Listing(), i, w),
        "not a tensor",
    ),
    "deletes its layers": (lambda i, w: add(Deleting(), i, w), "your code raised"),
    "returns NaN": (lambda i, w: add(NotNumbers(), i, w), "got nan"),
}


def add(module, i, widths):
    for number, (name, kernel) in enumerate((("1x1", 1), ("3x3", 3), ("5x5", 5))):
        conv = nn.Conv2d(i, widths[name], kernel, padding=kernel // 2)
        module.add_module(f"conv{number}", conv)
    return module


def forget(module):
    module.conv = nn.Conv2d(1, 1, 1)


class Listing(nn.Module):
    def forward(self, x):
        return [x, x]


class Deleting(nn.Module):
    def forward(self, x):
        del self.conv0
        return self.conv0(x)


class NotNumbers(nn.Module):
    def forward(self, x):
        convs = (self.conv0, self.conv1, self.conv2)
        return torch.cat([*(conv(x).relu() for conv in convs), x], 1) * float("nan")


@pytest.mark.parametrize(
    ("candidate", "words"), MODULE_HOSTILE.values(), ids=MODULE_HOSTILE
)
def test_a_hostile_module_gets_a_kind_answer(candidate, words, capsys):
    ie.check.naive_module(candidate)
    printed = " ".join(capsys.readouterr().out.split())
    assert words in printed
    assert "[x] naive_module: " in printed and "Traceback" not in printed


def stub(in_channels, out_channels, kernel_size, bias):
    """A docstring, and nothing done."""
    ...


def stub_pass(in_channels, out_channels, kernel_size, bias):
    pass


def stub_raise(in_channels, out_channels, kernel_size, bias):
    raise NotImplementedError("your turn")


def stub_value(in_channels, out_channels, kernel_size, bias):
    result = ...
    return result


def stub_sum(in_channels, out_channels, kernel_size, bias):
    weights = ...
    return weights + 1


@pytest.mark.parametrize(
    "candidate",
    [stub, stub_pass, stub_raise, stub_value, stub_sum, None, ...],
)
def test_a_stub_is_not_attempted_yet(candidate, capsys):
    ie.check.conv_params(candidate)
    assert " ".join(capsys.readouterr().out.split()) == (
        "[ ] conv_params: not attempted yet. Write conv_params(in_channels, "
        "out_channels, kernel_size, bias) in place of `raise NotImplementedError` "
        "and run this cell again."
    )


@pytest.mark.parametrize(
    ("exercise", "candidate", "words"),
    [
        (
            EXERCISES["pointwise"],
            lambda x, weight, bias: torch.einsum("kc,chw->khw", weight, x),
            "no ellipsis was given",
        ),
        (
            EXERCISES["label_smoothing_loss"],
            lambda targets, logits, eps: -logits.log_softmax(0).mean(),
            "not implemented for 'Long'",
        ),
        (
            CONV_PARAMS,
            lambda *args: torch.randn(3, dtype=torch.int),
            "not implemented for 'Int'",
        ),
    ],
)
def test_what_torch_cannot_do_is_no_stub(exercise, candidate, words):
    answer = judge(exercise, candidate)
    assert answer.attempted and not answer.passed
    assert words in " ".join(str(answer).split())


def test_a_check_in_the_function_that_it_checks_is_told_at_once(capsys):
    def one_indent_too_far(*args):
        result = right(*args)
        ie.check.conv_params(one_indent_too_far)
        return result

    start, threads, screen = time.monotonic(), threading.active_count(), sys.stdout
    ie.check.conv_params(one_indent_too_far)
    assert time.monotonic() - start < 4
    printed = " ".join(capsys.readouterr().out.split())
    assert "a check stands inside the function that is checked" in printed
    assert threading.active_count() == threads and sys.stdout is screen
    ie.check.conv_params(right)
    assert "[ok] conv_params" in capsys.readouterr().out


def test_a_scale_that_is_learned_is_a_scale():
    class Learned(nn.Module):
        def __init__(self, channels, widths, scale):
            super().__init__()
            one, narrow, wide = widths["1x1"], widths["3x3 reduce"], widths["3x3"]
            self.one = ConvUnit(channels, one, 1, norm="none")
            self.three = nn.Sequential(
                ConvUnit(channels, narrow, 1, norm="none"),
                ConvUnit(narrow, wide, 3, norm="none"),
            )
            self.up = nn.Conv2d(one + wide, channels, 1)
            self.scale = nn.Parameter(torch.tensor(scale))

        def forward(self, x):
            branches = torch.cat([self.one(x), self.three(x)], 1)
            return (x + self.scale * self.up(branches)).relu()

    assert judge(EXERCISES["residual_block"], Learned).passed


def test_a_lazy_layer_is_named():
    answer = judge(NAIVE, lambda i, w: nn.Sequential(nn.LazyConv2d(w["1x1"], 1)))
    assert "nn.Conv2d, not nn.LazyConv2d" in " ".join(str(answer).split())


def test_a_module_stub_is_not_attempted_yet():
    class Stub(nn.Module):
        def __init__(self, in_channels, widths):
            super().__init__()
            self.one = nn.Conv2d(in_channels, ..., 1)

    assert not judge(NAIVE, Stub).attempted


def spin(*args):
    while True:
        pass


@pytest.mark.parametrize(
    "loop", [spin, lambda *args: [print("again") for _ in iter(int, 1)]]
)
def test_an_endless_loop_is_stopped(loop):
    before = set(threading.enumerate())
    answer = str(judge(CONV_PARAMS, loop, seconds=0.3))
    assert "[x] conv_params(3, 64, 7, False): still running after 0.3 seconds" in answer
    assert "is there a loop that never ends?" in answer and "restart" not in answer
    assert set(threading.enumerate()) <= before


def test_a_loop_that_catches_everything_asks_for_a_restart(capsys):
    ended, before = threading.Event(), set(threading.enumerate())

    def swallow(*args):
        while not ended.is_set():
            try:
                while not ended.is_set():
                    print("again")
            except:  # noqa: E722
                pass

    answer = " ".join(str(judge(CONV_PARAMS, swallow, seconds=0.2)).split())
    assert "restart the kernel" in answer
    assert judge(CONV_PARAMS, right).passed
    assert not capsys.readouterr().out  # nor does it print into later cells
    ended.set()
    for left in set(threading.enumerate()) - before:
        left.join()


def test_a_sleeping_candidate_ends_when_it_wakes_and_the_next_check_works():
    woken, before = [], set(threading.enumerate())

    def sleeps(*args):
        time.sleep(2)
        woken.append(1)

    answer = judge(CONV_PARAMS, sleeps, seconds=0.1)
    assert "restart the kernel" in " ".join(str(answer).split())
    assert judge(CONV_PARAMS, right).passed
    (left,) = set(threading.enumerate()) - before
    left.join(60)
    assert not left.is_alive() and not woken


def test_an_import_is_not_cut_in_half(tmp_path, monkeypatch):
    """What it leaves of torch would fail in every cell that follows."""
    slow = "import time\nfor _ in range(60):\n    time.sleep(0.02)\ndone = True\n"
    (tmp_path / "slow_module.py").write_text(slow)
    monkeypatch.syspath_prepend(tmp_path)

    def imports(*args):
        import slow_module

        while slow_module.done:
            pass

    answer = judge(CONV_PARAMS, imports, seconds=0.1)
    assert "still running after 0.1 seconds" in str(answer)
    assert sys.modules.pop("slow_module").done


def test_what_a_candidate_prints_is_shown_and_cut(capsys):
    ie.check.conv_params(shouts)
    printed = capsys.readouterr().out
    assert printed.startswith("    your code printed:\n    | xxxx")
    assert "characters more" in printed and len(printed) < 3000
    assert printed.endswith("[ok] conv_params: 5 checks passed\n")


def test_a_candidate_that_deletes_itself_still_counts():
    names = {"right": right}
    exec(
        "def vanishes(*args):\n    del globals()['vanishes']\n    return right(*args)",
        names,
    )
    answer = str(judge(CONV_PARAMS, names["vanishes"]))
    assert "1 of 5 checks passed" in answer and "KeyError: 'vanishes'" in answer
    assert "vanishes" not in names


def test_a_candidate_that_changes_its_inputs_is_told():
    def spoil(in_channels, widths, modules):
        widths["1x1"] += 1
        return 0

    exercise = EXERCISES["naive_width"]
    assert "the inputs were changed" in str(judge(exercise, spoil))
    averages = EXERCISES["ema_update"]
    answer = judge(averages, lambda a, w, d: a.mul_(d).add_(w, alpha=1 - d))
    assert "make a new value instead" in " ".join(str(answer).split())


def test_a_builder_that_empties_its_table_spoils_no_later_check():
    judge(NAIVE, lambda in_channels, widths: widths.clear())
    assert all(case.args[1] for case in NAIVE.cases)


def test_the_notebook_is_as_it_was_afterwards():
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    wanted = (torch.rand(1).item(), random.random(), np.random.rand())
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    state = (sys.stdin, sys.stdout, sys.stderr, builtins.input)
    limit, threads = sys.getrecursionlimit(), torch.get_num_threads()
    place, filters = os.getcwd(), list(warnings.filters)
    path, places, environment = sys.path, list(sys.path), dict(os.environ)
    assert judge(CONV_PARAMS, changes_threads).passed
    judge(NAIVE, lambda i, w: nn.Conv2d(i, 4, 1))
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == wanted
    assert state == (sys.stdin, sys.stdout, sys.stderr, builtins.input)
    assert (sys.getrecursionlimit(), torch.get_num_threads()) == (limit, threads)
    assert torch.get_default_dtype() == torch.float32
    assert (os.getcwd(), warnings.filters) == (place, filters)
    assert sys.path is path
    assert path == places
    assert dict(os.environ) == environment


def test_feedback_is_the_same_on_every_run():
    for candidate in (raises, recurses, lambda *args: object(), right):
        assert len({str(judge(CONV_PARAMS, candidate)) for _ in range(3)}) == 1


def test_an_error_says_in_which_line():
    answer = " ".join(str(judge(CONV_PARAMS, raises)).split())
    assert f"in line {raises.__code__.co_firstlineno + 1}: return 1 / 0" in answer


def test_an_error_inside_the_package_names_no_line_of_it():
    def uneven(in_channels, widths):
        return Branches(
            {
                "1x1": ConvUnit(in_channels, widths["1x1"], 1, norm="none"),
                "3x3": ConvUnit(
                    in_channels, widths["3x3"], 3, padding="valid", norm="none"
                ),
                "5x5": ConvUnit(in_channels, widths["5x5"], 5, norm="none"),
                "pool": nn.MaxPool2d(3, stride=1, padding=1),
            }
        )

    answer = " ".join(str(judge(NAIVE, uneven)).split())
    assert "branches end on different grids (1x1: 8x8, 3x3: 6x6," in answer
    assert "in line" not in answer


def test_addresses_are_left_out_of_errors():
    def bad(*args):
        raise ValueError(f"{object()}")

    assert "0x..." in str(judge(CONV_PARAMS, bad))


def test_half_a_character_can_be_printed():
    def bad(*args):
        print("\udcff")
        raise ValueError("\udcff")

    str(judge(CONV_PARAMS, bad)).encode()


def test_the_guard_holds_back_both_streams_and_never_raises():
    def noisy():
        print("out")
        print("err", file=sys.stderr)
        raise SystemExit

    screen = io.StringIO()
    with contextlib.redirect_stdout(screen):
        outcome = guarded(noisy)
    assert screen.getvalue() == ""
    assert outcome.printed == "out\nerr\n"
    assert isinstance(outcome.error, SystemExit)


class Shell:
    """As much of an IPython shell as `exit()` needs."""

    left = False

    def ask_exit(self):
        self.left = True


def test_exit_in_a_kernel_does_not_end_it(monkeypatch):
    shell = Shell()
    kernel = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    answer = judge(CONV_PARAMS, lambda *args: shell.ask_exit())
    assert "your code called exit()" in str(answer)
    assert not shell.left
    shell.ask_exit()
    assert shell.left


# ---- the door itself


def test_check_called_wrongly_answers_in_words(capsys):
    ie.check.conv_params()
    ie.check.conv_params(right, right)
    ie.check.conv_params(right, verbose=True)
    ie.check(right)
    printed = capsys.readouterr().out
    assert printed.count("give it your own code, and only that") == 3
    assert "name the exercise: ie.check.naive_module(NaiveModule)" in printed


def test_an_unknown_exercise_names_the_close_ones():
    with pytest.raises(AttributeError, match="did you mean naive_module"):
        ie.check.naive_modul
    with pytest.raises(AttributeError, match=r"ie.check.exercises\(\) lists all"):
        ie.check.zzz


def test_exercises_list_themselves():
    listing = repr(ie.check.exercises(1))
    assert "naive_module(in_channels, widths)" in listing
    assert "pointwise" not in listing
    assert all(len(line) <= 78 for line in repr(ie.check.exercises()).splitlines())
    assert {"exercises", "naive_module", "clip"} <= set(dir(ie.check))
    assert "naive_module" in repr(ie.check.naive_module)


def test_check_is_not_confused_by_what_a_notebook_asks_every_object():
    assert not hasattr(Check(), "_repr_html_")
    assert not hasattr(Check(), "_ipython_canary_method_should_not_exist_")
