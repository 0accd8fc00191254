"""The feature maps explorer: one pass a picture, honest words, any network."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import inception_edu as ie
from inception_edu.explorers import feature_maps as module
from inception_edu.explorers.feature_page import picture, stored
from inception_edu.figures.activations import record
from inception_edu.figures.feature_maps import EVERY
from inception_edu.training.data import photographs


def random_network(name="mini_v4", **options):
    torch.manual_seed(0)
    return ie.create_model(name, **options)


def test_it_shows_what_the_network_itself_answers():
    explorer = ie.explore.feature_maps(start={"layer": "inception_a"})
    model = ie.load_pretrained("mini_reduced")
    image = Image.frombytes("RGB", (48, 48), picture(explorer.state))
    with torch.no_grad():
        share = model(model.preprocessing(image)).softmax(1)[0]
    best = int(share.argmax())
    layer = record(model, model.preprocessing(image)).layers["inception_a"]
    shares = layer.shares()
    strongest = max(shares, key=shares.get)
    channel = layer.branches[strongest].strongest(1)[0]
    assert explorer.summary == (
        f"mini_reduced answers {best} ({100 * share[best]:.0f} %); the {strongest} "
        f"branch gives {100 * shares[strongest]:.0f} % of the response of inception_a, "
        f"channel {channel} the most."
    )


def test_the_readers_drawing_is_what_the_network_answers():
    """The same handwritten 8, once from the file and once drawn cell by cell."""
    explorer = ie.explore.feature_maps(start={"digit": 8})
    ink = np.array(stored()["digits"]["8"]) // 2 * 2  # a drawing has half the steps
    drawing = "".join(str(cell // 2) for cell in ink.flat)
    before = explorer.summary
    explorer.values = {"drawing": drawing}
    assert explorer.values["picture"] == "drawing"
    assert explorer.summary.split(" (")[0] == before.split(" (")[0]
    assert "Your drawing, 24 pixels tall." in explorer.svg
    before = explorer.svg
    explorer.values = {"size": 40}
    assert explorer.values["picture"] == "drawing" and explorer.svg != before
    explorer.values = {"drawing": "0" * 64}
    assert "Nothing is drawn yet" in explorer.svg
    with pytest.raises(ValueError, match="drawing = '3' must be a text of 64 digits"):
        explorer.values = {"drawing": "3"}


def test_every_layer_is_shown_at_once_and_what_needs_one_layer_says_so():
    explorer = ie.explore.feature_maps()
    for name in ("stem", "inception_a", "inception_b", "inception_c"):
        assert f"{name}: " in explorer.svg
    assert set(explorer.inactive) == {"branch", "channels", "by", "shared"}
    explorer.values = {"layer": "stem"}
    assert not explorer.inactive


def test_the_size_of_a_blank_drawing_is_idle_and_says_so():
    explorer = ie.explore.feature_maps(start={"picture": "drawing", "layer": "stem"})
    assert explorer.inactive == {"size": "draw a digit first"}
    before = explorer.svg
    explorer.values = {"size": 40}
    assert explorer.svg == before
    explorer.values = {"drawing": "8" + 63 * "0"}
    assert not explorer.inactive


def test_the_network_runs_once_for_each_picture():
    model, passes = random_network(), []
    explorer = ie.explore.feature_maps(model)
    model.register_forward_hook(lambda *_: passes.append(1))
    for values in (
        {"layer": "b1"}, {"layer": "every layer"}, {"layer": "b1"},
        {"branch": "7x7"}, {"channels": 12}, {"by": "peak"}, {"shared": True},
        {"layer": "stem"},
    ):  # fmt: skip
        explorer.values = values
    assert not passes
    explorer.values = {"size": 40}
    explorer.values = {"size": 24}
    explorer.values = {"size": 40}
    assert len(passes) == 1
    explorer.values = {"picture": "flower"}
    assert len(passes) == 2


def test_moving_the_digit_shows_it_and_moving_the_layer_keeps_a_branch_it_has():
    explorer = ie.explore.feature_maps(start={"picture": "china"})
    explorer.values = {"size": 16}
    assert explorer.values["picture"] == "digit"
    explorer.values = {"layer": "inception_a", "branch": "5x5"}
    explorer.values = {"layer": "inception_b"}
    assert explorer.values["branch"] == "5x5"
    explorer.values = {"layer": "stem"}
    assert explorer.values["branch"] == EVERY
    with pytest.raises(ValueError, match="stem has no branch 5x5: take output"):
        explorer.values = {"branch": "5x5"}


def test_a_photograph_is_seen_as_the_network_wants_it():
    """The network's own window of it, and what the network answers."""
    model = ie.load_pretrained("mini_reduced")
    for name, pixels in zip(("china", "flower"), photographs(), strict=True):
        image = Image.fromarray(pixels)
        seen, recording = module.mini().look({"picture": name, "size": 24})
        assert seen == module.Photo.of(model.preprocessing.window(image))
        scores = model(model.preprocessing(image))[0]
        assert np.allclose(recording.logits, scores.tolist(), atol=1e-5)


@pytest.mark.parametrize("outputs", [10, 3, 1000])
def test_names_are_the_models_or_those_of_the_digits_or_numbers(outputs):
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, outputs)

        def forward(self, x):
            return self.fc(self.conv(x).relu().mean((2, 3)))

    own = Own()
    shown = ie.explore.feature_maps(own)
    reads_digits = outputs == 10
    assert ("drawing" in shown.controls) == reads_digits
    assert ("answers class " in shown.summary) == (not reads_digits)
    assert ("Class names unknown" in shown.svg) == (not reads_digits)
    own.classes = [f"kind {i}" for i in range(outputs)]
    shown = ie.explore.feature_maps(own)
    assert "Own answers kind " in shown.summary
    assert shown.values["picture"] == "china"


def test_a_silent_layer_is_said_to_be_silent():
    model = random_network("mini_reduced")
    for part in model.inception_a.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.zeros_(part.weight), nn.init.constant_(part.bias, -1.0)
    explorer = ie.explore.feature_maps(model, start={"layer": "inception_a"})
    assert explorer.summary.endswith(
        "inception_a does not answer to this picture at all."
    )


def test_a_lecture_takes_few_frames_along():
    explorer = ie.explore.feature_maps("mini_v4", frames=True)
    assert len(explorer._frames) == 64
    assert sum(len(svg) for _, svg, *_ in explorer._frames) < 2_000_000
    assert not any(problem for *_, problem, _ in explorer._frames)
