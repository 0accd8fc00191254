"""The feature maps explorer: one pass a picture, what the network itself answers."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

import inception_edu as ie
from inception_edu.explorers import feature_maps as module
from inception_edu.explorers import feature_page
from inception_edu.explorers.feature_page import picture, stored
from inception_edu.figures.feature_maps import EVERY
from inception_edu.figures.responses import record


@pytest.mark.parametrize("start", [{}, {"picture": "china"}])
def test_it_shows_what_the_network_itself_answers(start):
    explorer = ie.explore.feature_maps(start=start | {"layer": "inception_a"})
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


@pytest.mark.parametrize("place", ["stem", "inception_b.3x3", "inception_c.pool"])
def test_a_channel_arises_from_its_inputs_and_the_kernels_of_the_network(place):
    """One input as torch convolves it; all of them make the channel."""
    model = ie.load_pretrained("mini_reduced")
    image = Image.frombytes("RGB", (48, 48), picture({"picture": "china", "size": 24}))
    layer, _, name = place.partition(".")
    found = record(model, model.preprocessing(image)).layers[layer]
    branch = found.branches[name or "output"]
    term = feature_page.strongest_term(layer, name or "output", branch)
    fused = ie.fuse(model, steps=("fold",))
    convs = [m for m in fused.get_submodule(place).modules() if hasattr(m, "weight")]
    weight = convs[-1].weight[term.channel].detach()
    assert np.allclose(term.kernel, weight[term.source], atol=1e-5)
    inputs = torch.tensor(np.array(branch.inputs))
    assert np.array_equal(inputs[term.source].numpy(), np.array(term.input, "f"))
    options = {"stride": convs[-1].stride, "padding": convs[-1].padding}
    one = F.conv2d(inputs[None, [term.source]], weight[None, [term.source]], **options)
    assert np.allclose(term.product, one[0, 0], atol=1e-4)
    bias = convs[-1].bias[term.channel].detach()
    every = F.conv2d(inputs[None], weight[None], **options)[0, 0] + bias
    assert np.allclose(branch.maps[term.channel], every.relu(), atol=1e-4)


def test_the_readers_drawing_is_what_the_network_answers():
    """The same handwritten 8, once from the file and once drawn cell by cell."""
    explorer = ie.explore.feature_maps(start={"digit": 8})
    ink = np.array(stored()["digits"]["8"]) // 2  # a drawing has half the steps
    before = explorer.summary
    explorer.values = {"drawing": "".join(map(str, ink.flat))}
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
    assert set(explorer.inactive) == {"branch"}
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
    explorer = ie.explore.feature_maps()
    module.photo_and_responses.cache_clear()
    for values in (
        {"layer": "inception_b"}, {"layer": "every layer"}, {"layer": "inception_b"},
        {"branch": "5x5"},
        {"size": 40}, {"size": 24}, {"size": 40}, {"picture": "flower"},
    ):  # fmt: skip
        explorer.values = values
    assert module.photo_and_responses.cache_info().misses == 3


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
