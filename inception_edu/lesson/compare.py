"""Compare and describe what a student's code returns: numbers, tensors, tuples."""

import math
import numbers

import numpy as np

from inception_edu.lesson.errors import Problem


def is_tensor(value):
    """True for a torch tensor, without importing torch for the question."""
    return hasattr(value, "detach") and hasattr(value, "shape")


def plain(value):
    """A number as int or float; None for what is no number (a bool is none)."""
    if hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        value = value.item()  # torch's and numpy's scalars
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def difference(expected, got, tolerance=1e-6, names=()):
    """None when `got` is right, else the first `Problem`; `names` are a tuple's."""
    if isinstance(expected, tuple | list):
        return list_difference(expected, got, tolerance, names)
    if is_tensor(expected) and expected.dim():
        return tensor_difference(expected, got, tolerance)
    number, value = plain(expected), plain(got)
    if value is None:
        hint = number_hint(got)
        return Problem("this is not one number", hint, in_words(number), in_words(got))
    # Whole numbers are exact; tensors carry seven digits, so one is held to fewer.
    if is_tensor(got) or is_tensor(expected):
        tolerance = max(tolerance, 1e-5)
    if isinstance(number, int) and isinstance(value, int):
        right = number == value
    else:
        right = math.isclose(number, value, rel_tol=tolerance, abs_tol=tolerance)
    return (
        None if right else Problem("the value differs", "", *two_numbers(number, value))
    )


def two_numbers(wanted, found):
    """Two numbers that differ, in as many digits as it takes to see it."""
    texts, digits = (in_words(wanted), in_words(found)), 4
    while texts[0] == texts[1] and digits < 17:
        digits += 1
        texts = tuple(f"{number:#.{digits}g}" for number in (wanted, found))
    return texts


def number_hint(got):
    if isinstance(got, str):
        return "return the number itself, not text"
    if isinstance(got, bool):
        return "a comparison gives True or False; return the number"
    if isinstance(got, tuple | list):
        return "return one number, not several"
    return "return a plain number"


def list_difference(expected, got, tolerance, names):
    if not isinstance(got, tuple | list):
        what, hint = f"{len(expected)} values are expected", type(expected).__name__
        return Problem(what, f"return a {hint}", in_words(expected), in_words(got))
    if len(got) != len(expected):
        return Problem(f"{len(expected)} values are expected", found=f"{len(got)}")
    names = names or [f"value {number + 1}" for number in range(len(expected))]
    for name, wanted, found in zip(names, expected, got, strict=True):
        if problem := difference(wanted, found, tolerance):
            problem.what = f"{name}: {problem.what}"
            return problem
    return None


def tensor_difference(expected, got, tolerance):
    if not is_tensor(got):
        hint = "return one tensor" if isinstance(got, tuple | list) else ""
        return Problem("a tensor is expected", hint, in_words(expected), in_words(got))
    if got.shape != expected.shape:
        return Problem("the shape differs", "", shape(expected), shape(got))
    wanted, found = expected.detach().double(), got.detach().double()
    gap = (wanted - found).abs()
    size = wanted[wanted.isfinite()].square().mean().sqrt() + wanted.abs()
    near = (gap <= tolerance * (1e-3 + size)) & wanted.isfinite()
    same = near | (wanted == found)
    if (same | (wanted.isnan() & found.isnan())).all():
        return None
    # Quote the largest gap, a NaN before anything else.
    index = int(gap.nan_to_num(nan=math.inf).argmax())
    position = [int(i) for i in np.unravel_index(index, expected.shape)]
    values = two_numbers(wanted[tuple(position)].item(), found[tuple(position)].item())
    return Problem(f"the shape is right, the value at {position} differs", "", *values)


def shape(value):
    """A tensor's shape as a reader writes it: (2, 64, 8, 8)."""
    return str(tuple(value.shape))


def in_words(value):
    """A value in a few words, the same on every run and machine."""
    number = plain(value)
    if isinstance(number, int):
        return f"{number:,}" if abs(number) < 10**15 else f"{float(number):.3e}"
    if isinstance(number, float):
        return f"{number:.4g}"
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, tuple | list):
        if 0 < len(value) <= 4:
            return f"({', '.join(in_words(item) for item in value)})"
        return f"a {type(value).__name__} of {len(value)}"
    if is_tensor(value):
        return f"a tensor {shape(value)}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if hasattr(value, "named_parameters"):
        return f"a finished {type(value).__name__} module"
    return f"a value of type {type(value).__name__}"


def unchanged(before, after):
    """True when `after` still equals `before`, value by value."""
    from torch.testing import assert_close

    try:
        assert_close(after, before, rtol=0, atol=0, equal_nan=True)
    except (AssertionError, TypeError, ValueError):
        return False
    return True
