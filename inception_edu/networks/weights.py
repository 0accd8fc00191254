"""Trained weights: our files, torchvision's and timm's, loaded in full or not at all.

Everything is checked before the first weight is copied, and a file is read as
tensors only: nothing in it is ever run.
"""

import hashlib
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from inception_edu.modules import refuse_lazy, unwrapped
from inception_edu.text import dims


class LoadReport(NamedTuple):
    """What `load_weights` did: whose keys, how many tensors, which were left out."""

    source: str
    loaded: int
    left_out: tuple[str, ...]  # of auxiliary heads that the model does not have


def load_weights(
    model: nn.Module, weights: Mapping[str, torch.Tensor] | str | os.PathLike[str]
) -> LoadReport:
    """Load trained `weights` into `model`; returns a `LoadReport`.

    `weights` is a state dict or a path to one: `.safetensors`, or a file of
    `torch.save` (read with `weights_only=True`). Keys may be this package's,
    torchvision's (googlenet, inception_v3) or timm's (inception_v3, inception_v4,
    inception_resnet_v2), in the order in which those libraries have them; what
    DataParallel, torch.compile, averaged models and trainers put before a key is left
    out. Every key must be there, of the right shape and finite, and none besides; the
    only tensors that may be left out are those of auxiliary heads that the model does
    not have, and batch counters that old files lack. Raises ValueError that names the
    keys that differ, and leaves the model as it was.

    torchvision's weights give its outputs in `layout="torchvision"`.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"the model is a {type(model).__name__}; it comes first: "
            "load_weights(model, weights)"
        )
    refuse_lazy(model)
    if any(value.is_meta for value in model.state_dict().values()):
        raise ValueError(
            "the model was built on the meta device and has no memory to load into; "
            "create it outside torch.device('meta')"
        )
    place = "these weights"
    if not isinstance(weights, Mapping):
        place, weights = str(weights), read_weights(weights)
    name = getattr(unwrapped(model), "name", type(model).__name__)
    own = without_wrappers(model.state_dict())
    source, found = under_our_keys(name, weights, own)
    has_heads = any(map(is_auxiliary, own))
    left_out = tuple(key for key in found if is_auxiliary(key) and not has_heads)
    found = {key: value for key, value in found.items() if key not in left_out}
    if problems := differences(own, found):
        lines = "\n".join([*problems, advice(name, own, found)]).rstrip()
        raise ValueError(
            f"{place} do not fit {name} (read as {source} keys); nothing was loaded."
            f"\n{lines}"
        )
    with torch.no_grad():
        for key, value in found.items():
            own[key].copy_(value.reshape(own[key].shape))
    return LoadReport(source, len(found), left_out)


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


def differences(own, found):
    """Why `found` cannot be loaded into `own`, a line for each kind of reason."""
    missing = [key for key in own if key not in found and not is_counter(key)]
    problems = {"missing": missing, "unexpected": [k for k in found if k not in own]}
    for key in [key for key in own if key in found]:
        if problem := difference(key, own[key], found[key]):
            reason, text = problem
            problems.setdefault(reason, []).append(text)
    return [
        f"  {reason} ({len(keys)}): {', '.join(keys[:6])}"
        + (f" and {len(keys) - 6} more" if len(keys) > 6 else "")
        for reason, keys in problems.items()
        if keys
    ]


def difference(key, ours, theirs):
    """`(reason, text)` of a value that cannot take the place of our tensor, or None."""
    is_tensor = isinstance(theirs, torch.Tensor)
    kind, shape = type(theirs).__name__, getattr(theirs, "shape", None)
    if is_tensor and theirs.is_floating_point() != ours.is_floating_point():
        is_tensor, kind = is_counter(key), theirs.dtype  # averaged ones are floats
    if not is_tensor or theirs.layout != torch.strided or theirs.is_meta:
        return "not a tensor of numbers", f"{key} is {kind}"
    if shape != ours.shape and not (is_counter(key) and shape == (1,)):
        sizes = (dims(each.shape) or "scalar" for each in (theirs, ours))
        return "of another shape", f"{key} {' for '.join(sizes)}"
    if not theirs.to(ours.dtype).isfinite().all():  # 1e300 has no float32
        return "with values that are not finite", key
    return None


def advice(name, own, found):
    """What to do about weights that do not fit, as far as that is known."""
    last = next(reversed(own), "")
    if nested := [repr(k) for k, value in found.items() if isinstance(value, Mapping)]:
        return (
            f"  Dicts lie inside, under {', '.join(nested)}: if one holds the weights, "
            "pass it alone: torch.load(path)[key]."
        )
    if several := [repr(k.removesuffix(last)) for k in found if k.endswith(f".{last}")]:
        return (
            f"  Keys of one begin with {' or '.join(several)}: pass those alone, "
            "without the prefix."
        )
    if any(map(is_auxiliary, own)) and not any(map(is_auxiliary, found)):
        return "  The weights have no auxiliary heads: create the model with aux=False."
    if "conv1.conv.bias" in own and "inception3a.branch1.conv.weight" in found:
        return "  Create it with layout='torchvision' for a file of torchvision's."
    if name in LIBRARIES and 2 * len(own.keys() & found.keys()) < len(own):
        return (
            f"  Other keys must be {LIBRARIES[name][0]}, in the order of a state dict. "
            "A .safetensors file has lost that order: load it with that library and "
            "pass its model.state_dict()."
        )
    return ""


def is_auxiliary(key):
    """Whether a tensor is an auxiliary head's: "aux1.", "AuxLogits.", "aux_heads."."""
    return bool(re.match(r"aux\w*\.", key, re.IGNORECASE))


def is_counter(key):
    return key.endswith("num_batches_tracked")


# torchvision and timm define the same layers in the same order, so their n-th tensor is
# ours, auxiliary heads last. In another order it would come into the wrong layer, so
# here is `key_order` of the library's own keys: without heads, and with them.
LIBRARIES = {
    "googlenet": ("torchvision's", "bc294c70", "a9b3ea61"),
    "inception_v3": ("torchvision's and timm's", "e3073ec9", "4b166444"),
    "inception_v4": ("timm's", "a0e6dda0"),
    "inception_resnet_v2": ("timm's", "e4ac0cde"),
}
WRAPPERS = re.compile(r"\b(module|_orig_mod|_checkpoint_wrapped_module)\.")


def under_our_keys(name, weights, own):
    """`(whose keys, the weights under our keys)` for the network called `name`."""
    weights = without_prefix(weights, own)
    library, *orders = LIBRARIES.get(name, [""])
    with_counters = any(map(is_counter, weights))
    ours = [key for key in own if with_counters or not is_counter(key)]
    ours, theirs = (sorted(keys, key=is_auxiliary) for keys in (ours, weights))
    bodies = [[*map(is_auxiliary, keys)].count(False) for keys in (ours, theirs)]
    if key_order(theirs) not in orders or len(set(bodies)) > 1:
        return "our own", weights
    renamed = dict(zip(theirs, ours, strict=False))  # heads may be on one side alone
    return library, {renamed.get(key, key): value for key, value in weights.items()}


def key_order(keys):
    """A digest of these keys in this order, apart from batch counters."""
    text = "\n".join(key for key in keys if not is_counter(key))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def without_prefix(weights, own):
    """The weights without the name under which a trainer holds the whole network."""
    found = without_wrappers(weights)
    if own.keys() & found.keys():
        return found
    held = common_prefix(found).removesuffix(common_prefix(own))
    return {key.removeprefix(held): value for key, value in found.items()}


def without_wrappers(weights):
    """The weights without what compile, DataParallel and averaging add wherever."""
    return {
        WRAPPERS.sub("", str(key)): value
        for key, value in weights.items()
        if key != "n_averaged"  # of torch's AveragedModel
    }


def common_prefix(keys):
    """The components that all keys begin with: "net." for "net.a.b" and "net.c"."""
    start, dot, _ = os.path.commonprefix([*keys]).rpartition(".")  # noqa: RUF071
    return start + dot
