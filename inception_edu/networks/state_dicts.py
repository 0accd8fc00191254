"""State dicts of other programs under our keys: wrappers' prefixes, libraries' names.

torchvision and timm define the same layers in the same order, so their n-th tensor is
ours, with auxiliary heads last on both sides. What a key says of itself (its kind, a
number that goes up, a kernel's size) has to agree, so that a file in another order is
refused and not loaded into the wrong layers.
"""

import re

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
    wrappers, prefix, found = {"module", "_orig_mod"} - taken, "", {}
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
                return f"{key} stands behind a larger number"
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
