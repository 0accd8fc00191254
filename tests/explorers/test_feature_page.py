"""The mini that runs in a page against torch: its pictures, its layers, its drawing."""

import json
import random
import shutil
import subprocess
from itertools import product

import numpy as np
import pytest

from experiments import page_mini
from inception_edu.explorers import description, feature_maps, feature_page
from inception_edu.explorers.panel import Panel
from inception_edu.figures.feature_maps import Photo
from inception_edu.training.data import handwritten_digits, paint_digit

NODE = """
let text = "";
for await (const part of process.stdin) text += part;
const { source, program, weights, pictures } = JSON.parse(text);
const forward = eval(source)(program, Float32Array.from(weights));
const plain = (maps) => maps.map((map) => [...map]);
const answers = pictures.map((bytes) => forward(bytes).map(plain));
console.log(JSON.stringify(
  answers.map((outputs, i) => i < 3 ? outputs : outputs.slice(-1))
));
"""
STATES = [
    {"picture": "digit", "digit": digit, "size": size}
    for digit, size in product(range(10), range(12, 44, 4))
]
STATES += [{"picture": name, "size": 24} for name in ("china", "flower")]
STATES += [
    {"picture": "drawing", "size": 32, "drawing": "".join(choices("028", k=64))}
    for choices in (random.Random(i).choices for i in range(20))
]


@pytest.fixture(scope="module")
def answers():
    """All outputs of forward.js for three states, of the others the last; by Node."""
    node, stored = shutil.which("node"), feature_page.stored()
    if not node:
        pytest.skip("needs Node")
    source = feature_page.TABLE.with_name("forward.js").read_text(encoding="utf-8")
    weights = np.frombuffer(feature_page.b64decode(stored["weights"]), np.float32)
    pictures = [list(feature_page.picture(state)) for state in STATES]
    task = {"source": source, "program": stored["program"]}
    task |= {"weights": weights.tolist(), "pictures": pictures}
    command, text = [node, "--input-type=module", "-e", NODE], json.dumps(task)
    done = subprocess.run(command, input=text.encode(), capture_output=True, check=True)
    return json.loads(done.stdout)


def recorded(outputs):
    maps = [[feature_page.array("d", map) for map in output] for output in outputs]
    return feature_page.recorded(maps.__getitem__)


def test_the_stored_network_is_the_one_that_is_shipped():
    assert page_mini.contents() == feature_page.stored()


def test_the_digits_were_never_seen_in_training():
    train, _ = handwritten_digits("train")
    seen = {ink.astype(int).tobytes() for ink in train}
    inks, labels = handwritten_digits("test")
    for digit, ink in feature_page.stored()["digits"].items():
        assert np.array(ink).tobytes() not in seen
        same = (inks == ink).all((1, 2))
        assert set(labels[same]) == {int(digit)}


@pytest.mark.parametrize("size", range(12, 44, 4))
def test_a_digit_is_painted_as_the_data_set_paints_it(size):
    ink = np.random.RandomState(size).randint(0, 9, (8, 8))
    ground = feature_page.b64decode(feature_page.stored()["ground"])
    pixels = np.frombuffer(ground, np.uint8).reshape(48, 48, 3).copy()
    start = (48 - size) // 2
    paint_digit(pixels[start : start + size, start : start + size], 2 * ink)
    drawing = "".join(map(str, ink.flat))
    state = {"picture": "drawing", "drawing": drawing, "size": size}
    assert feature_page.picture(state) == pixels.tobytes()


def test_the_page_answers_as_torch_does_on_a_hundred_pictures(answers):
    assert len(STATES) > 100
    for state, outputs in zip(STATES, answers, strict=True):
        _, theirs = feature_maps.photo_and_responses(feature_page.picture(state))
        assert np.allclose(np.ravel(outputs[-1]), theirs.logits, atol=1e-4), state


def test_the_picture_from_the_page_is_that_of_the_notebook(answers, monkeypatch):
    start = Panel(**description("feature_maps")).values
    for state, outputs in zip(STATES[:3], answers[:3], strict=True):
        for layer, branch in ("every layer", "every branch"), ("inception_b", "5x5"):
            moved = {"layer": layer, "branch": branch}
            values = start | state | moved
            notebook = feature_maps.draw(values)
            with monkeypatch.context() as page:
                pixels = feature_page.picture(state)
                seen = Photo(48, 48, pixels), recorded(outputs)
                page.setattr(feature_maps, "photo_and_responses", {pixels: seen}.get)
                assert feature_maps.draw(values) == notebook
