"""Compare and describe what candidates return: numbers, tensors, tuples."""

import copy
import math
import numbers
from typing import NamedTuple


class Gap(NamedTuple):
    """Where two values differ: a sentence, a hint, and which tuple member."""

    text: str
    hint: str = ""
    part: int | None = None


def is_tensor(value):
    """True for a torch tensor, without importing torch for the question."""
    return hasattr(value, "detach") and hasattr(value, "shape")


def plain(value):
    """A number as int or float; None for what is no number (a bool is none)."""
    if is_tensor(value) and value.dim() == 0:
        value = value.item()
    elif hasattr(value, "dtype") and getattr(value, "shape", None) == ():
        value = value.item()  # numpy's scalars
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def close(a, b, tolerance):
    """Equal, or within the relative tolerance when one of them is a float."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    try:
        return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # a whole number beyond every float
        return False


def difference(expected, got, parts=(), tolerance=1e-6):
    """None when `got` is right, else the `Gap`."""
    if parts:
        for index, part in enumerate(parts):
            gap = difference(expected[index], got[index], (), tolerance)
            if gap:
                return Gap(f"{part}: {gap.text}", gap.hint, index)
        return None
    if isinstance(expected, tuple | list):
        return list_difference(expected, got, tolerance)
    if is_tensor(expected) and expected.dim():
        return tensor_difference(expected, got, tolerance)
    number, value = plain(expected), plain(got)
    if value is None:
        return Gap(f"expected {show(number)}, got {show(got)}", number_hint(got))
    # Tensors carry seven digits, so an answer taken from one is held to fewer.
    if is_tensor(got) or is_tensor(expected):
        tolerance = max(tolerance, 1e-5)
    if close(number, value, tolerance):
        return None
    return Gap(expected_got(number, value))


def expected_got(wanted, found):
    """Two numbers that differ, in as many digits as it takes to see it."""
    texts, digits = (show(wanted), show(found)), 4
    while texts[0] == texts[1] and digits < 17 and max(abs(wanted), abs(found)) < 1e300:
        digits += 1
        texts = tuple(f"{number:#.{digits}g}" for number in (wanted, found))
    return "expected {}, got {}".format(*texts)


def number_hint(got):
    if isinstance(got, str):
        return "return the number itself, not text"
    if isinstance(got, bool):
        return "a comparison gives True or False; return the number"
    if isinstance(got, tuple | list):
        return "return one number, not several"
    if is_tensor(got):
        return "return one number: sum or average what is left"
    return "return a plain number"


def list_difference(expected, got, tolerance):
    if not isinstance(got, tuple | list):
        return Gap(
            f"expected {len(expected)} values, got {show(got)}", "return a tuple"
        )
    if len(got) != len(expected):
        return Gap(f"expected {len(expected)} values, got {len(got)}")
    for index, (wanted, found) in enumerate(zip(expected, got, strict=True)):
        gap = difference(wanted, found, (), tolerance)
        if gap and plain(wanted) is None:
            return Gap(f"value {index + 1}: {gap.text}", gap.hint)
        if gap and show(expected) == show(got):
            return Gap(f"value {index + 1}: {gap.text}", gap.hint)
        if gap:
            return Gap(f"expected {show(expected)}, got {show(got)}", gap.hint)
    return None


def tensor_difference(expected, got, tolerance):
    if not is_tensor(got):
        several = "return one tensor, not several: no loop is needed"
        hint = several if isinstance(got, tuple | list) else ""
        return Gap(f"expected a tensor {shape(expected)}, got {show(got)}", hint)
    if got.shape != expected.shape:
        return Gap(f"expected shape {shape(expected)}, got {shape(got)}")
    wanted, found = expected.detach().double(), got.detach().double()
    gap = (wanted - found).abs()
    if not (gap > tolerance * (1 + wanted.abs())).any() and found.isfinite().all():
        return None
    # Quote the first of the largest gaps, a NaN before anything else.
    flat = gap.nan_to_num(nan=math.inf).flatten()
    at, index = int(flat.argmax()), []
    for size in reversed(expected.shape):
        index.insert(0, at % size)
        at //= size
    place = tuple(index)
    return Gap(
        f"the shape is right, but at {list(place)} "
        + expected_got(wanted[place].item(), found[place].item())
    )


def shape(value):
    """A tensor's shape as a reader writes it: (2, 64, 8, 8)."""
    sizes = tuple(value.shape)
    return f"({sizes[0]},)" if len(sizes) == 1 else str(sizes)


def show(value):
    """A value in a few words, the same on every run and machine."""
    number = plain(value)
    if isinstance(number, int):
        if abs(number) < 10**15:
            return f"{number:,}"
        return f"{float(number):.3e}" if abs(number) < 10**300 else "a giant number"
    if isinstance(number, float):
        return f"{number:.4g}"
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, tuple | list):
        if 0 < len(value) <= 4:
            return f"({', '.join(show(item) for item in value)})"
        return f"a {type(value).__name__} of {len(value)}"
    if is_tensor(value):
        return f"a tensor {shape(value)}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if hasattr(value, "named_parameters"):
        return f"a finished {type(value).__name__} module"
    return f"a value of type {type(value).__name__}"


def named(value):
    """An argument as it stands in a call: numbers plain, tables and tensors short."""
    if is_tensor(value) and value.dim():
        return "x".join(map(str, value.shape)) + " tensor"
    if isinstance(value, dict):
        return "{...}"
    if isinstance(value, tuple | list) and any(is_tensor(item) for item in value):
        return f"[{len(value)} tensors]"
    if is_tensor(value):
        return show(value)
    return repr(value)


def spare(value):
    """A deep copy, so that a candidate may spoil what it is given."""
    return copy.deepcopy(value)


def untouched(before, after):
    """True when `after` still equals `before`, value by value."""
    if is_tensor(before):
        if after.shape != before.shape:
            return False
        return bool(((before == after) | (before.isnan() & after.isnan())).all())
    if isinstance(before, dict):
        return list(before) == list(after) and all(
            untouched(before[key], after[key]) for key in before
        )
    if isinstance(before, tuple | list):
        return len(before) == len(after) and all(
            untouched(a, b) for a, b in zip(before, after, strict=True)
        )
    return before == after
