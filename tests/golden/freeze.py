"""What a refactoring must not change, as digests of today's outputs.

    python -m tests.golden.freeze            # compare; names what changed
    python -m tests.golden.freeze --write    # store the digests of this checkout
    python -m tests.golden.freeze --text DIR # write the outputs themselves

To see a difference, run `--text` in both checkouts and compare the two folders.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch

import inception_edu as ie
from inception_edu.explorers import NAMES

STORED = Path(__file__).with_name("digests.json")
LAYOUTS = {
    "googlenet": [{}, {"norm": "batch"}, {"layout": "torchvision"}],
    "inception_v3": [{}, {"layout": "torchvision"}, {"layout": "table1"}],
    "inception_resnet_v2": [{}, {"layout": "paper"}],
}


def networks():
    """`(label, network)` of every network, layout and, where there are, heads."""
    for name in ie.list_models():
        for options in LAYOUTS.get(name, [{}]):
            for aux in (False, True):
                try:
                    with torch.device("meta"):
                        model = ie.create_model(name, aux=aux, **options)
                except ValueError:
                    continue
                words = [name, *options.values(), *(["aux"] if aux else [])]
                yield "-".join(words), model


def keys_and_traces():
    for label, model in networks():
        keys = {key: list(t.shape) for key, t in model.state_dict().items()}
        yield f"keys/{label}", json.dumps(keys, indent=1)
        for mode in ("train", "eval"):
            model.train(mode == "train")
            found = ie.trace(model, (2, 3, model.input_size, model.input_size))
            yield f"trace/{label}/{mode}", "\n".join(map(str, found.ops))
            drawn = ie.diagram(found)
            yield f"diagram/{label}/{mode}.text", drawn.text
            yield f"diagram/{label}/{mode}.svg", drawn._repr_svg_()


def explorers():
    for name in NAMES:
        explorer = getattr(ie.explore, name)(frames=True)
        for values, svg, summary, problem, *_ in explorer._frames:
            label = "-".join(map(str, values))
            yield f"explorer/{name}/{label}", "\n".join([summary, problem, svg])


def checks():
    from inception_edu.lesson.checking import assess
    from tests.lesson.answers import (
        FUNCTIONS,
        MODULES,
        right_functions,
        right_modules,
        wrong_functions,
    )

    answers = [(name, "right", next(right_functions(name))) for name in FUNCTIONS]
    answers += [(name, "right", next(right_modules(name))[1]) for name in MODULES]
    for name in FUNCTIONS:  # of modules, the tests hold the hints
        answers += [(name, *answer[:2]) for answer in wrong_functions(name)]
    exercises = {exercise.name: exercise for exercise in ie.check.exercises()}
    for number, (name, what, candidate) in enumerate(answers):
        torch.manual_seed(0)
        text = f"{what}\n\n{assess(exercises[name], candidate)}"
        yield f"check/{name}/{number:03}", text


def outputs():
    """Every frozen output by its name."""
    found = {}
    for part in (keys_and_traces, explorers, checks):
        found.update(part())
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--text", type=Path)
    given = parser.parse_args()
    texts = outputs()
    digests = {k: hashlib.sha256(t.encode()).hexdigest()[:16] for k, t in texts.items()}
    if given.text:
        for name, text in texts.items():
            path = given.text / name.replace(" ", "_")[:150]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    if given.write:
        STORED.write_text(json.dumps(digests, indent=0) + "\n", encoding="utf-8")
        print(f"{len(digests)} digests")
        return 0
    known = json.loads(STORED.read_text(encoding="utf-8"))
    changed = [k for k in {**known, **digests} if known.get(k) != digests.get(k)]
    for name in changed:
        print("changed:", name)
    print(f"{len(known) - len(changed)} of {len(known)} unchanged")
    return bool(changed)


if __name__ == "__main__":
    sys.exit(main())
