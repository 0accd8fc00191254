"""Whatever a candidate does, `check` answers in words, soon, and harms nothing."""

import builtins
import random
import sys
import threading
import time
import types

import numpy as np
import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.lesson.checking import Check, assess
from inception_edu.lesson.guard import guarded
from inception_edu.networks.layers import Branches, ConvUnit

EXERCISES = {exercise.name: exercise for exercise in ie.check.exercises()}
CONV_PARAMS, NAIVE = EXERCISES["conv_params"], EXERCISES["naive_module"]


def right(in_channels, out_channels, kernel_size, bias):
    return in_channels * out_channels * kernel_size**2 + bool(bias) * out_channels


def one_line(text):
    return " ".join(str(text).split())


def does(statement):
    """A candidate with this one statement, and a name that it may call itself by."""
    names = {"sys": sys, "torch": torch, "nn": nn, "Angry": Angry, "Exits": Exits}
    exec(f"def candidate(*args):\n    {statement}", names)
    return names["candidate"]


class Angry:
    """A value that raises whatever is asked of it."""

    def __getattribute__(self, name):
        raise RuntimeError("do not touch")

    __eq__ = __float__ = __getattribute__
    __hash__ = None


class Exits:
    """A value that ends Python when it is looked at."""

    @property
    def dtype(self):
        sys.exit("now")


async def waits(*args):
    return right(*args)


FUNCTIONS = {  # a statement or a value: words of the answer
    "return 1 / 0": "your code raised ZeroDivisionError: division by zero in line 2",
    "sys.exit(3)": "your code called exit()",
    "sys.stdout.close()": "your function returned None",
    "return candidate(*args)": "the function calls itself and never stops",
    "return int(input('how many? '))": "take the inputs as arguments",
    "return 1 - 2 / 3 ^ 2": "a power is written **",
    "return in_chanels * 2": "is the name spelled right",
    "args": "your function returned None -> add a `return`",
    "return '9408'": "return the number itself, not text",
    "return float('nan')": "expected: 9,408; found: nan",
    "return print": "a value of type builtin_function_or_method",
    "return Angry()": "cannot be read",
    "return Exits()": "the check met SystemExit: now",
    "yield 1": "use `return`, not `yield`",
    "return (i for i in args)": "[...] rather than (...)",
    "return torch.randn(3, dtype=torch.int)": "not implemented for 'Int'",
}
CANDIDATES = {
    "is async": (waits, "no `async`"),
    "takes one input": (lambda one: one, "the exercise calls conv_params(in_channels"),
    "is a number": (9408, "the class itself, without calling it"),
    "is a built-in": (print, "returned None"),
    "is a built-in that takes fewer": (int, "your code raised TypeError: int()"),
}


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        *[
            pytest.param(does(code), words, id=code)
            for code, words in FUNCTIONS.items()
        ],
        *[pytest.param(*pair, id=name) for name, pair in CANDIDATES.items()],
    ],
)
def test_a_hostile_candidate_gets_a_kind_answer(candidate, words, capsys):
    start = time.monotonic()
    assert ie.check.conv_params(candidate) is None
    printed = one_line(capsys.readouterr().out)
    assert words in printed
    assert "[x] conv_params: 0 of" in printed
    assert "Traceback" not in printed and len(printed) < 3000
    assert time.monotonic() - start < 10  # "soon", on a busy machine


def forward(body, init="pass"):
    """A module class with the three layers of the exercise and this forward."""
    names = {"torch": torch, "nn": nn}
    exec(
        "class Module(nn.Module):\n"
        " def __init__(self, i, w):\n"
        "  super().__init__()\n"
        "  self.convs = nn.ModuleList(nn.Conv2d(i, w[f'{k}x{k}'], k, padding=k // 2) "
        "for k in (1, 3, 5))\n"
        f"  {init}\n"
        f" def forward(self, x):\n  {body}",
        names,
    )
    return names["Module"]


class Forgets(nn.Module):
    def __init__(self, i, w):
        self.conv = nn.Conv2d(i, 1, 1)


MODULES = {
    "returns None": (lambda i, w: print(end=""), "your function returned None"),
    "returns a class": (lambda i, w: nn.ReLU, "an instance of a class"),
    "is a finished module": (nn.ReLU(), "the class itself, without calling it"),
    "has no layers": (lambda i, w: nn.Identity(), "found: no layers"),
    "is a list of modules": (
        lambda i, w: nn.ModuleList([nn.Conv2d(i, 4, 1)]),
        "return nn.Sequential",
    ),
    "has no forward": (lambda i, w: nn.Module(), "the class has no `forward`"),
    "forgets super": (Forgets, "begin `__init__` with `super().__init__()`"),
    "a list from forward": (forward("return [x, x]"), "return one tensor"),
    "nothing from forward": (forward("x"), "add a `return` to `forward`"),
    "deletes its layers": (forward("del self.convs; return self.convs"), "raised"),
    "freezes its biases": (
        forward(
            "return torch.cat([*(c(x).relu() for c in self.convs), "
            "nn.functional.max_pool2d(x, 3, 1, 1)], 1)",
            "for c in self.convs: c.bias.requires_grad_(False)",
        ),
        "the weight convs.0.bias does not learn",
    ),
    "returns NaN": (
        forward("return torch.cat([*(c(x) for c in self.convs), x], 1) * float('nan')"),
        "found: nan",
    ),
    "multiplies by mm what mm does not take": (
        forward("return torch.mm(self.convs[0].weight.flatten(1), x.flatten(2))"),
        "mat2 must be a matrix",
    ),
    "contracts other axes": (
        forward("return torch.tensordot(self.convs[0].weight, x, ([1], [3]))"),
        "contracted dimensions need to match",
    ),
    "changes its widths": (forward("return x", "w.clear()"), "copy them first"),
    "uneven branches of the package": (
        lambda i, w: Branches(
            {str(k): ConvUnit(i, w[f"{k}x{k}"], k, padding="valid") for k in (1, 3, 5)}
        ),
        "branches end on different grids (1: 8x8, 3: 6x6,",
    ),
}


@pytest.mark.parametrize(("candidate", "words"), MODULES.values(), ids=MODULES)
def test_a_hostile_module_gets_a_kind_answer(candidate, words, capsys):
    ie.check.naive_module(candidate)
    printed = one_line(capsys.readouterr().out)
    assert words in printed
    assert "[x] naive_module: " in printed and "Traceback" not in printed
    assert all(case.args[1] for case in NAIVE.cases)


def test_a_layer_that_failed_and_was_caught_is_no_layer():
    right = "return torch.cat([*(c(x).relu() for c in self.convs), pooled], 1)"
    tries = (
        "try: self.convs[0](x[:, :1])\n"
        "  except RuntimeError: pass\n"
        "  pooled = nn.functional.max_pool2d(x, 3, 1, 1)\n  "
    )
    assert assess(NAIVE, forward(tries + right)).kind == "right"


@pytest.mark.parametrize(
    "candidate",
    [
        None,
        ...,
        does("..."),
        does("pass"),
        does("'A docstring.'"),
        does("raise NotImplementedError('your turn')"),
        does("return ..."),
        does("weights = ...; return weights + 1"),
    ],
)
def test_a_stub_is_not_attempted_yet(candidate, capsys):
    ie.check.conv_params(candidate)
    assert one_line(capsys.readouterr().out) == (
        "[ ] conv_params: not attempted yet. Write `conv_params(in_channels, "
        "out_channels, kernel_size, bias)` in place of `raise NotImplementedError` "
        "and run this cell again."
    )
    assert (
        assess(NAIVE, forward("...", "self.one = nn.Conv2d(i, ..., 1)")).kind == "open"
    )


# ---- the guard


@pytest.mark.parametrize("loop", ["while True: pass", "while True: print('again')"])
def test_an_endless_loop_is_stopped(loop):
    before = set(threading.enumerate())
    answer = str(assess(CONV_PARAMS, does(loop), seconds=0.3))
    assert "still running after 0.3 seconds" in answer
    assert "is there a loop that never ends?" in answer and "restart" not in answer
    assert set(threading.enumerate()) <= before
    assert str(assess(CONV_PARAMS, does(loop), seconds=0.3)) == answer  # no clock in it


def test_a_loop_that_prints_without_end_fills_no_memory():
    lines = []

    def prints():
        while True:
            print("x" * 1000)
            lines.append(1)

    printed, _ = guarded(prints, seconds=0.5)
    assert len(printed) < 1000 * len(lines) / 2


def test_a_loop_that_catches_everything_asks_for_a_restart():
    ended, before = threading.Event(), set(threading.enumerate())

    def swallow(*args):
        while not ended.is_set():
            try:
                while not ended.is_set():
                    print("again")
            except:  # noqa: E722
                pass

    answer = one_line(assess(CONV_PARAMS, swallow, seconds=0.2))
    assert "restart the kernel" in answer
    assert assess(CONV_PARAMS, right).kind == "right"
    ended.set()
    for left in set(threading.enumerate()) - before:
        left.join()


def test_exit_in_a_kernel_does_not_end_it(monkeypatch):
    left = []
    shell = types.SimpleNamespace()
    shell_type = type("Shell", (), {"ask_exit": lambda self: left.append(1)})
    shell = shell_type()
    kernel = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    answer = assess(CONV_PARAMS, lambda *args: shell.ask_exit())
    assert "your code called exit()" in str(answer)
    assert not left
    shell.ask_exit()
    assert left


def test_a_check_inside_the_function_that_it_checks_is_explained(capsys):
    def one_indent_too_far(*args):
        result = right(*args)
        ie.check.conv_params(one_indent_too_far)
        return result

    threads, screen = threading.active_count(), sys.stdout
    ie.check.conv_params(one_indent_too_far)
    printed = one_line(capsys.readouterr().out)
    assert "a check stands inside the function that is checked" in printed
    assert threading.active_count() == threads and sys.stdout is screen


def test_what_a_candidate_prints_is_shown_and_cut():
    def shouts(*args):
        for _ in range(1000):
            print("x" * 1000)
        return right(*args)

    answer = assess(CONV_PARAMS, shouts)
    assert answer.kind == "right" and "... and more" in answer.printed
    assert str(answer).startswith("    your code printed:\n    | xxxx")
    assert len(str(answer)) < 3000


def test_the_notebook_is_as_it_was_afterwards():
    seeds = (torch.manual_seed, random.seed, np.random.seed)

    def changes(*args):
        torch.set_default_dtype(torch.float64)
        for seed in seeds:
            seed(1)
        return right(*args)

    def state():
        settings = torch.get_num_threads(), torch.get_default_dtype(), builtins.input
        return *settings, sys.stdout, sys.stderr

    def draws():
        return torch.rand(1).item(), random.random(), np.random.rand()

    for seed in seeds:
        seed(7)
    wanted, before = draws(), state()
    for seed in seeds:
        seed(7)
    assert assess(CONV_PARAMS, changes).kind == "right"
    assess(NAIVE, lambda i, w: nn.Conv2d(i, 4, 1))
    assert draws() == wanted and state() == before


def test_inputs_may_not_be_changed():
    def in_place(parameter, gradient, square, rate, decay, eps):
        square.mul_(decay).add_((1 - decay) * gradient**2)
        return parameter - rate * gradient / (square.sqrt() + eps), square

    answer = one_line(assess(EXERCISES["rmsprop_step"], in_place))
    assert "the inputs were changed" in answer and "make a new value instead" in answer


# ---- the door itself


def test_exercises_list_themselves():
    listing = repr(ie.check.exercises())
    assert "naive_module" in listing and "Figure 2(a)" in listing
    assert {"exercises", "naive_module", "clip"} <= set(dir(ie.check))


def test_check_is_not_confused_by_what_a_notebook_asks_every_object():
    assert not hasattr(Check(), "_repr_html_")
    assert not hasattr(Check(), "_ipython_canary_method_should_not_exist_")
