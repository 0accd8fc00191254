"""Trained weights: our files, torchvision's and timm's, loaded in full or not at all.

Everything is checked before the first weight is copied, and a file is read as
tensors only: nothing in it is ever run.

torchvision and timm define the same layers in the same order, so their n-th tensor is
ours, with auxiliary heads last on both sides. What a key says of itself (its kind, a
number that goes up, a kernel's size) has to agree, so that a file in another order is
refused and not loaded into the wrong layers.
"""

import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from inception_edu.modules import refuse_lazy, unwrapped
from inception_edu.text import dims

WRAPPERS = (
    nn.DataParallel,
    nn.parallel.DistributedDataParallel,
    torch.optim.swa_utils.AveragedModel,
)

WRAPPER_NAMES = {"module", "_orig_mod", "_checkpoint_wrapped_module"}


@dataclass(frozen=True, repr=False)
class LoadReport:
    """What `load_weights` did: whose keys, how many tensors, which were left out."""

    source: str
    loaded: int
    left_out: tuple[str, ...] = ()

    def __repr__(self):
        line = f"{self.loaded} tensors loaded, read as {self.source} keys"
        if not self.left_out:
            return line
        heads = f"{len(self.left_out)} of the auxiliary heads left out"
        return f"{line}; {heads}, since the model has none"


def load_weights(
    model: nn.Module, weights: Mapping[str, torch.Tensor] | str | os.PathLike[str]
) -> LoadReport:
    """Load trained `weights` into `model`; returns a `LoadReport`.

    `weights` is a state dict or a path to one: `.safetensors`, or a file of
    `torch.save` (read with `weights_only=True`). Keys may be this package's,
    torchvision's (googlenet, inception_v3) or timm's (inception_v3, inception_v4,
    inception_resnet_v2), in the order in which those libraries have them; what
    DataParallel, torch.compile and averaged models put before a key is left out.
    Every key must be there, of the right shape and finite, and none besides; the only
    tensors that may be left out are those of auxiliary heads that the model does not
    have, and batch counters that old files lack. Raises ValueError that names the
    keys that differ, and leaves the model as it was.

    torchvision's weights give its outputs in `layout="torchvision"`.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"the model is a {type(model).__name__}; it comes first: "
            "load_weights(model, weights)"
        )
    if not isinstance(weights, Mapping | str | os.PathLike):
        hint = "; pass its state_dict()" if hasattr(weights, "state_dict") else ""
        raise TypeError(
            "weights are a state dict or the path of one, got "
            f"{type(weights).__name__}{hint}"
        )
    model = unwrapped(model)
    model = model.module if isinstance(model, WRAPPERS) else model
    refuse_lazy(model)
    own = model.state_dict()
    if any(value.is_meta for value in own.values()):
        raise ValueError(
            "the model was built on the meta device and has no memory to load into; "
            "create it outside torch.device('meta')"
        )
    place, given = "these weights", weights
    if not isinstance(weights, Mapping):
        place, given = str(weights), read_weights(weights)
    has_heads = any(map(is_auxiliary, own))
    left_out = tuple(key for key in given if is_auxiliary(key) and not has_heads)
    kept = {key: value for key, value in given.items() if key not in left_out}
    source, found, reason = recognize(model, kept, own)
    if problems := differences(own, found):
        name = getattr(model, "name", type(model).__name__)
        problems += advice(name, own, given, reason)
        raise ValueError(
            f"{place} do not fit {name} (read as {source} keys); nothing was "
            "loaded.\n" + "\n".join(problems)
        )
    with torch.no_grad():
        for key, value in found.items():
            own[key].copy_(value if value.shape == own[key].shape else value[0])
    return LoadReport(source, len(found), left_out)


def advice(name, own, weights, reason):
    """What to do about weights that do not fit, as far as that is known."""
    deeper = [key for key, value in weights.items() if isinstance(value, Mapping)]
    last = "." + next(reversed(own), "")
    prefixes = [
        repr(k.removesuffix(last[1:])) for k in map(str, weights) if k.endswith(last)
    ]
    if deeper:
        yield (
            f"  Dicts lie inside, under {', '.join(map(repr, deeper[:6]))}: if one "
            "holds the weights, pass it alone: torch.load(path)[key]."
        )
    elif prefixes:
        names = " or ".join(prefixes[:6])
        yield f"  Keys of one begin with {names}: pass those alone, without the prefix."
    elif reason:
        yield (
            f"  Read in the order of another library's network: {reason}. Sorted keys, "
            "as in a .safetensors file, have lost it: load the file with that library "
            "and pass its model.state_dict()."
        )
    if name == "googlenet" and any("inception3a" in str(key) for key in weights):
        yield (
            "  torchvision's file fits create_model('googlenet', layout='torchvision')."
        )


def differences(own, found):
    """Why `found` cannot be loaded into `own`, a line a kind of reason."""
    missing = [key for key in own.keys() - found.keys() if not is_counter(key)]
    problems = {"missing": missing, "unexpected": [k for k in found if k not in own]}
    for key in own:
        problem = key in found and difference(key, own[key], found[key])
        if problem:
            reason, text = problem
            problems.setdefault(reason, []).append(text)
    lines = []
    for reason, keys in problems.items():
        if keys:
            keys = keys if reason == "unexpected" else sorted(keys)
            rest = f" and {len(keys) - 6} more" if len(keys) > 6 else ""
            first = ", ".join(map(str, keys[:6]))
            lines.append(f"  {reason} ({len(keys)}): {first}{rest}")
    if any(map(is_auxiliary, missing)):
        lines.append(
            "  The model has auxiliary heads and the weights have none for them: "
            "create the model with aux=False."
        )
    return lines


def difference(key, ours, theirs):
    """`(reason, text)` of a value that cannot take the place of our tensor, or None."""
    if not isinstance(theirs, torch.Tensor) or theirs.layout != torch.strided:
        return "not a tensor of numbers", f"{key} is {type(theirs).__name__}"
    if nn.parameter.is_lazy(theirs) or theirs.is_meta:
        text = f"{key} is on the meta device or has no shape yet"
        return "not a tensor of numbers", text
    if theirs.shape != ours.shape and not (is_counter(key) and theirs.shape == (1,)):
        sizes = (dims(tensor.shape) or "scalar" for tensor in (theirs, ours))
        return "of another shape", f"{key} {' for '.join(sizes)}"
    if is_counter(key):  # averaged files have counters that are floats
        return None
    if theirs.is_floating_point() != ours.is_floating_point():
        return "not a tensor of numbers", f"{key} is {theirs.dtype}"
    if theirs.is_floating_point() and not theirs.to(ours.dtype).isfinite().all():
        return "with values that are not finite", key  # 1e300 has no float32
    return None


def read_weights(path):
    """The tensors in a file, by key: `.safetensors`, or what `torch.save` wrote.

    Raises FileNotFoundError, or ValueError for a file that is damaged, cut short
    or holds anything but tensors. Code in a file is never run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weight file at {path}")
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            weights = load_file(path)
        else:
            if zipfile.is_zipfile(path):
                check_archive(path)
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch's text tells how to run the code after all
        raise ValueError(
            f"{path} is not a readable file of weights (damaged, cut short, or "
            "holding more than tensors); nothing was loaded. Download it again "
            "from where it was published."
        ) from None
    if not isinstance(weights, Mapping):
        raise ValueError(
            f"{path} holds a {type(weights).__name__}, not a dict of tensors; save "
            "model.state_dict() instead"
        )
    return weights


def check_archive(path):
    """Refuse what torch.save never writes and torch.load would not notice.

    A compressed entry may unpack to any size; a damaged one has another checksum.
    """
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type for entry in archive.infolist()):
            raise ValueError(f"{path} is compressed")
        if damaged := archive.testzip():
            raise ValueError(f"{damaged} in {path} is damaged")


# ---- other programs' keys under ours -------------------------------------------

LIBRARIES = {
    "googlenet": "torchvision's",
    "inception_v3": "torchvision's and timm's",
    "inception_v4": "timm's",
    "inception_resnet_v2": "timm's",
}


def recognize(model, weights, own):
    """`(whose keys, weights under our keys, why not a library's)`; the last may be "".

    `own` is the model's state dict.
    """
    prefix, weights = without_prefix(weights, own)
    note = f", without {prefix!r}" if prefix else ""
    library = LIBRARIES.get(getattr(model, "name", None))
    if library is None or 2 * len(own.keys() & weights.keys()) > len(own):
        return "our own" + note, weights, ""
    counted = any(map(is_counter, weights))
    ours = [key for key in own if counted or not is_counter(key)]
    ours, theirs = (sorted(keys, key=is_auxiliary) for keys in (ours, weights))
    reason = order_problem(own, ours, weights, theirs)
    if reason:
        return "our own" + note, weights, reason
    return library + note, dict(zip(ours, map(weights.get, theirs), strict=True)), ""


def without_prefix(weights, own):
    """`(prefix, weights without it)`: what was put before the names of our layers.

    `torch.compile`, `DataParallel` and averaged models add a component wherever they
    wrap; a trainer may hold the network under a name of its own.
    """
    taken = {part for key in own for part in key.split(".")}
    wrappers, prefix, found = WRAPPER_NAMES - taken, "", {}
    for key, value in weights.items():
        parts = str(key).split(".")
        prefix = prefix or "".join(f"{part}." for part in parts if part in wrappers)
        found[".".join(part for part in parts if part not in wrappers)] = value
    if prefix:
        found.pop("n_averaged", None)  # of torch's AveragedModel
    first = {key.partition(".")[0] for key in own}
    while len(heads := {key.partition(".")[0] for key in found}) == 1:
        if heads <= first or heads & found.keys():
            break
        prefix += f"{heads.pop()}."
        found = {key.partition(".")[2]: value for key, value in found.items()}
    return prefix, found


def is_auxiliary(key):
    return bool(re.match(r"aux\w*\.", str(key).lower()))


def is_counter(key):
    return key.endswith("num_batches_tracked")


def order_problem(own, ours, weights, theirs):
    """Why the n-th of `theirs` is not the n-th of `ours`; "" if it is, for every n."""
    last = {}
    for mine, key in zip(ours, theirs, strict=False):
        kind, found = (k.rpartition(".")[2] for k in (mine, key))
        shape = getattr(weights[key], "shape", None)
        if (
            kind != found
            or shape != own[mine].shape
            or not hints(key.partition(".")[2]) <= hints(mine)
        ):
            return f"{key} stands where {mine} is expected"
        for name, count in numbers(key):
            if count < last.get(name, count):
                return f"{key} comes after a larger number"
            last[name] = count
    if len(ours) != len(theirs):
        return f"{len(theirs)} tensors for the network's {len(ours)}"
    return ""


def hints(key):
    """What a key says about its layer: kernels, and whether a pool comes before."""
    return set(re.findall(r"\dx\d|pool", key))


def numbers(key):
    """`(name, numbers)` of each component: "features.12" is "features.#" and 12."""
    before = ""
    for part in key.split("."):
        found = re.findall(r"(\d+)([a-z]?)(?![a-z])", part)
        stem = re.sub(r"\d+[a-z]?(?![a-z])", "#", part)
        yield before + stem, [(int(number), letter) for number, letter in found]
        before += f"{part}."
