"""The mini that runs in a page against torch: its pictures, its layers, its drawing."""

import json
import random
import shutil
import subprocess
from itertools import product

import numpy as np
import pytest
import torch

import inception_edu as ie
from experiments import page_mini
from inception_edu.explorers import description, feature_maps, feature_page
from inception_edu.explorers.feature_subject import digit_picture, ink_of, shipped
from inception_edu.explorers.panel import Panel
from inception_edu.figures.feature_maps import Photo

NODE = """
let text = "";
for await (const part of process.stdin) text += part;
const { source, program, weights, pictures, full } = JSON.parse(text);
const forward = eval(source)(program, Float32Array.from(weights));
const answers = pictures.map((bytes) => forward(bytes));
const plain = (outputs) => outputs.map((output) => [...output]);
console.log(JSON.stringify({
  scores: answers.map((outputs) => [...outputs.at(-1)]),
  full: answers.slice(0, full).map(plain),
}));
"""
STATES = [
    {"picture": "digit", "digit": digit, "size": size}
    for digit, size in product(range(10), range(12, 44, 4))
]
STATES += [{"picture": name, "size": 24} for name in ("china", "flower")]
STATES += [
    {
        "picture": "drawing",
        "size": 32,
        "drawing": "".join(random.Random(i).choices("028", k=64)),
    }
    for i in range(20)
]


@pytest.fixture(scope="module")
def answers():
    """What forward.js says of every state, run by Node."""
    node = shutil.which("node")
    if not node:
        pytest.skip("needs Node")
    stored = feature_page.stored()
    weights = np.frombuffer(feature_page.b64decode(stored["weights"]), np.float32)
    source = feature_page.Path(feature_page.__file__).with_name("forward.js")
    task = {
        "source": source.read_text(encoding="utf-8"),
        "program": stored["program"],
        "weights": weights.tolist(),
        "pictures": [list(feature_page.picture(state)) for state in STATES],
        "full": 3,
    }
    command = [node, "--input-type=module", "-e", NODE]
    done = subprocess.run(
        command,
        input=json.dumps(task),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return json.loads(done.stdout)


def test_the_stored_network_is_the_one_that_is_shipped():
    assert page_mini.contents() == feature_page.stored()


@pytest.mark.parametrize("state", STATES[::7] + STATES[80:])
def test_the_page_sees_the_same_pictures(state):
    subject = shipped("mini_reduced")
    window = subject.prepare.window(subject.image(state)[1])
    assert feature_page.picture(state) == window.tobytes()


def test_a_drawing_of_any_ink_is_painted_alike():
    generator = random.Random(0)
    for size in range(12, 44, 4):
        drawing = "".join(generator.choices("012345678", k=64))
        state = {"picture": "drawing", "drawing": drawing, "size": size}
        expected = digit_picture(ink_of(drawing), size).tobytes()
        assert feature_page.picture(state) == expected


def test_the_page_answers_as_torch_does_on_a_hundred_pictures(answers):
    subject = shipped("mini_reduced")
    assert len(STATES) > 100
    for state, scores in zip(STATES, answers["scores"], strict=True):
        with torch.no_grad():
            theirs = subject.model(subject.prepare(subject.image(state)[1]))[0]
        assert np.allclose(scores, theirs, atol=1e-4), state


def test_what_the_page_keeps_of_each_branch_is_what_torch_keeps(answers):
    for state, outputs in zip(STATES, answers["full"], strict=False):
        flat = [feature_page.array("d", output) for output in outputs]
        ours = feature_page.recorded(flat.__getitem__)
        _, theirs = shipped("mini_reduced").look(state)
        assert np.allclose(ours.logits, theirs.logits, atol=1e-4)
        assert list(ours.layers) == list(theirs.layers)
        for path, layer in theirs.layers.items():
            assert ours.layers[path].grid == layer.grid
            assert list(ours.layers[path].branches) == list(layer.branches)
            for name, branch in layer.branches.items():
                found = ours.layers[path].branches[name]
                assert found.kernel == branch.kernel
                for part in ("mean", "peak", "where"):
                    pair = getattr(found, part), getattr(branch, part)
                    assert np.allclose(*pair, atol=1e-4), (path, name, part)
                assert set(found.strongest(6)) == set(branch.strongest(6))


def test_the_picture_from_the_page_is_that_of_the_notebook(answers):
    subject = shipped("mini_reduced")
    for state, outputs in zip(STATES, answers["full"], strict=False):
        flat = [feature_page.array("d", output) for output in outputs]
        pixels = feature_page.picture(state)
        ours = Photo.exact(48, 48, pixels), feature_page.recorded(flat.__getitem__)
        shown = Panel(**description("feature_maps")).values | state
        for layer in ("every layer", "inception_b"):
            values = shown | {"layer": layer}
            viewer = feature_maps.Viewer(subject)
            notebook = viewer.draw(values)
            viewer.subject = Looking(*ours)
            assert viewer.draw(values) == notebook


class Looking:
    """A subject that has seen one picture, elsewhere."""

    name, remark, reads_digits = "mini_reduced", "", True
    classes = tuple("0123456789")

    def __init__(self, *seen):
        self.seen = seen

    def look(self, state, own=None):
        return self.seen


def test_the_page_has_the_notebooks_controls_and_its_first_picture():
    panel = Panel(**description("feature_maps"))
    explorer = ie.explore.feature_maps()
    assert panel.face()["controls"] == explorer.face()["controls"]
    assert panel.answer() == explorer.answer()
