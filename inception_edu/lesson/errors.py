"""What goes wrong in a student's code, in words: `Problem`, and errors as one."""

import dis
import inspect
import re
import sysconfig
import traceback
from pathlib import Path
from types import FunctionType

from inception_edu.text import closest

# Where files are that no student wrote: the package, other packages, Python itself.
NOT_OWN = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"), "<frozen")


class NotAttempted(BaseException):
    """The stub is still a stub; `except Exception` lets it through."""


class Problem(Exception):
    """Why one check failed: a sentence, two values to compare, and a hint.

    `hint` is a fact that follows from this failure alone, or "". With `values_right`
    the values are right all the same: it is the gradient, say, that is not.
    """

    def __init__(self, what, hint="", expected="", found="", values_right=False):
        super().__init__(what)
        self.what, self.hint = what, hint
        self.expected, self.found, self.values_right = expected, found, values_right


GRADIENTS = (
    "leave out `.detach()`, `.data`, `torch.no_grad()` and `requires_grad = False`: "
    "training needs every gradient"
)
GROUPS = "leave `groups` out: every output channel reads all input channels"
WRONG_DIMENSION = "channels are dimension 1: `torch.cat(outputs, dim=1)`"

# Part of the error's text: what it usually means. Each is true of every such error.
REMEDIES = {
    r"Sizes of tensors must match except in dimension 1\b": (
        "the branches end on different grids: check padding and stride of each (at "
        "stride 1 a 3x3 keeps the grid with padding 1, a 5x5 with 2)"
    ),
    r"Sizes of tensors must match except in dimension \d": WRONG_DIMENSION,
    r"to have \d+ channels, but got \d+ channels": (
        "a convolution receives more or fewer channels than its `in_channels`: check "
        "which output it reads"
    ),
    r"The size of tensor a .* must match": (
        "two tensors whose shapes do not fit are combined: print both shapes"
    ),
    r"must be divisible by groups": GROUPS,
    r"mat1 and mat2 shapes cannot be multiplied": (
        "a linear layer or matrix product receives another width than it was made "
        "for: print the shape that comes in"
    ),
    r"\[ModuleList\] is missing": (
        "nn.ModuleList only holds modules: return nn.Sequential, or a module whose "
        "`forward` calls them"
    ),
    r"missing the required \"forward\" function": (
        "the class has no `forward`: check its name and that it is indented inside "
        "the class"
    ),
    r"before Module\.__init__": "begin `__init__` with `super().__init__()`",
    r"operand type\(s\) for \^": "a power is written ** in Python, not ^",
    r"^RecursionError": "the function calls itself and never stops",
    r"^EOFError": "take the inputs as arguments, not by `input()`",
    r"^UnboundLocalError": (
        "this name is read before the function gives it a value: assign it first, on "
        "every path"
    ),
    r"^NameError": "is the name spelled right, and has the cell that defines it run?",
    r"'NoneType'": "one of the values here is None",
    r"can only concatenate tuple": (
        "a comma makes a tuple: write a large number as 317_632, not 317,632"
    ),
    r"^MemoryError|can't allocate memory": "this needs far too much memory",
}


def translate(error, function, args, call):
    """The `Problem` (or `NotAttempted`) that an error in the student's code means."""
    if is_gap(error):
        return NotAttempted()
    if isinstance(error, SystemExit):
        return Problem("your code called exit()", "leave it out: use `return`")
    if isinstance(error, TypeError) and not fits(function, args):
        return Problem(
            f"your code does not take these {len(args)} inputs",
            f"the exercise calls {call}",
        )
    what = f"your code raised {brief(error)}{location(error)}"
    problem = Problem(what, remedy(error, args))
    problem.raised = brief(error)
    return problem


def is_gap(error):
    """Whether code is to come: `...` was used, or the stub's own error raised."""
    text = brief(error, 2_000)
    if isinstance(error, NotImplementedError):
        return not re.search(r"not implemented for|Could not run|required \"for", text)
    used = isinstance(error, TypeError | AttributeError) and "ellipsis" in text.lower()
    return used or "dtype of ellipsis" in text  # torch.tensor(...)


def remedy(error, args=()):
    """The hint for an error that students meet often, or ""."""
    if isinstance(error, KeyError) and error.args:
        keys = [key for arg in args if isinstance(arg, dict) for key in arg]
        return closest(error.args[0], keys).rstrip()
    text = brief(error, 2_000)
    return next((hint for key, hint in REMEDIES.items() if re.search(key, text)), "")


def brief(error, most=160):
    """An error on one line, without addresses, cut after `most` characters."""
    text = re.sub(r"0x[0-9a-fA-F]+", "0x...", " ".join(str(error).split()))
    text = text if len(text) <= most else f"{text[: most - 3]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def location(error):
    """ " in line 3: `return a / 0`", for an error inside the student's own code."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path, line = frame.filename, frame.line
        if not path.startswith(NOT_OWN) and "-packages" not in path:
            return f" in line {frame.lineno}" + (f": `{line}`" if line else "")
    return ""


def fits(function, args):
    """False when the function cannot take these arguments at all."""
    try:
        inspect.signature(function).bind(*args)
    except TypeError:
        return False
    except ValueError:
        pass  # a built-in without a signature
    return True


def is_stub(function):
    """True for a function whose body is a docstring, `...`, `pass` or nothing."""
    if not isinstance(function, FunctionType):
        return False
    idle = ("RESUME", "NOP", "RETURN_VALUE")
    steps = [s for s in dis.get_instructions(function) if s.opname not in idle]
    return all("CONST" in s.opname and s.argval in (None, ...) for s in steps)
