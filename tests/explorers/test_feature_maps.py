"""The feature maps explorer: one pass a picture, honest words, any network."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import inception_edu as ie
from inception_edu.explorers import feature_subject as module
from inception_edu.explorers.feature_subject import (
    digit_picture,
    handwriting,
    ink_of,
)
from inception_edu.figures.activations import record
from inception_edu.figures.feature_maps import EVERY, evenly
from inception_edu.networks import pretrained as weights


def random_network(name="mini_v4", **options):
    torch.manual_seed(0)
    return ie.create_model(name, **options)


def test_it_shows_what_the_network_itself_answers():
    explorer = ie.explore.feature_maps(start={"layer": "inception_a"})
    model = ie.load_pretrained("mini_reduced")
    image = digit_picture(handwriting()[3], 24)
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
    """The same handwritten 3, once from the file and once drawn cell by cell."""
    explorer = ie.explore.feature_maps(start={"digit": 8})
    ink = handwriting()[8] // 2 * 2  # a drawing has half the steps
    drawing = "".join(str(cell // 2) for cell in ink.flat)
    assert np.array_equal(ink_of(drawing), ink)
    explorer.values = {"drawing": drawing}
    assert explorer.values["picture"] == "drawing"
    model = ie.load_pretrained("mini_reduced")
    scores = model(model.preprocessing(digit_picture(ink, 24)))[0]
    assert f"mini_reduced answers {int(scores.argmax())} " in explorer.summary
    assert "Your drawing, 24 pixels tall." in explorer.svg
    before = explorer.svg
    explorer.values = {"size": 40}
    assert explorer.values["picture"] == "drawing" and explorer.svg != before
    explorer.values = {"drawing": "0" * 64}
    assert "Nothing is drawn yet" in explorer.svg
    with pytest.raises(ValueError, match="drawing = '3' must be a text of 64 digits"):
        explorer.values = {"drawing": "3"}


def test_only_a_network_that_reads_digits_can_be_drawn_for():
    assert "drawing" in ie.explore.feature_maps("mini_v4").controls
    assert "drawing" not in ie.explore.feature_maps(
        random_network(num_classes=3)
    ).controls  # fmt: skip


def test_every_layer_is_shown_at_once_and_what_needs_one_layer_says_so():
    explorer = ie.explore.feature_maps()
    for name in ("stem", "inception_a", "inception_b", "inception_c"):
        assert f"{name}: " in explorer.svg
    assert set(explorer.inactive) == {"branch", "channels", "by", "shared"}
    explorer.values = {"layer": "stem"}
    assert not explorer.inactive


def test_the_network_runs_once_for_each_picture(monkeypatch):
    explorer = ie.explore.feature_maps(random_network())
    passes = []
    explorer.viewer.subject.model.register_forward_hook(lambda *_: passes.append(1))
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
    explorer.values = {"picture": "china"}
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


def test_the_digits_were_never_seen_in_training():
    from sklearn.datasets import load_digits

    from inception_edu.training.data import split_handwriting

    found = load_digits()
    train, _ = split_handwriting(found.target, np.random.RandomState([0, 2]))
    seen = {found.images[i].tobytes() for i in train}
    for digit, ink in handwriting().items():
        matches = [
            i for i, image in enumerate(found.images) if np.array_equal(image, ink)
        ]
        assert {int(found.target[i]) for i in matches} == {digit}
        assert ink.astype(float).tobytes() not in seen
    assert sorted(handwriting()) == list(range(10))


@pytest.mark.parametrize("size", [12, 24, 40])
def test_a_digit_is_as_tall_as_it_says(size):
    image = np.asarray(digit_picture(handwriting()[8], size), int)
    ground = np.asarray(digit_picture(handwriting()[1], 12), int)
    corner = (48 - size) // 2
    changed = np.abs(image - ground).sum(2) > 60
    changed[18:30, 18:30] = False  # where the other digit is
    rows, columns = np.nonzero(changed)
    if size > 12:
        assert rows.min() >= corner and rows.max() < corner + size
        assert rows.max() - rows.min() > 0.7 * size
    assert np.array_equal(image[0], ground[0])


def test_a_picture_of_the_readers_own_is_shown_with_what_was_done_to_it(tmp_path):
    path = tmp_path / "me.png"
    Image.new("LA", (30, 20), (9, 100)).save(path)
    explorer = ie.explore.feature_maps("mini_v4", path)
    assert explorer.values["picture"] == "yours"
    words = "Your picture: transparent parts on white, blank: one color all over"
    assert words in explorer.svg
    assert "It knows digits only" in explorer.svg


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.full((9, 9), np.nan), "not finite"),
        (np.zeros((9, 9, 2)), "is no picture"),
        (3, "int is no picture"),
    ],
)
def test_what_is_no_picture_is_refused(picture, words):
    with pytest.raises(ValueError, match=words):
        ie.explore.feature_maps(picture=picture)


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (1, 1)),
        Image.new("L", (48, 48), 255),
        Image.new("CMYK", (9, 99)),
    ],
)
def test_blank_tiny_and_long_pictures_draw(image):
    explorer = ie.explore.feature_maps(picture=image)
    assert "mini_reduced answers" in explorer.summary and "nan" not in explorer.svg


def test_without_a_network_a_mini_stands_in_and_says_so(monkeypatch):
    def unreachable(*_):
        raise ConnectionError("no network")

    monkeypatch.setattr(weights, "fetch", unreachable)
    for name, mini in module.STAND_INS.items():
        explorer = ie.explore.feature_maps(name)
        words = f"no network, hence {mini} in place of {name}"
        assert explorer.summary.startswith(f"{mini} answers")
        assert explorer.summary.endswith(f"{words}.")
        assert words in explorer.svg


def test_every_published_network_has_a_stand_in_that_is_shipped():
    assert set(module.STAND_INS) == set(weights.PRETRAINED)
    assert set(module.STAND_INS.values()) <= set(weights.trained_minis())


def test_class_names_are_the_models_the_readers_or_numbers():
    class Own(nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, classes)

        def forward(self, x):
            return self.fc(self.conv(x).relu().mean((2, 3)))

    own = Own(3)
    unnamed = ie.explore.feature_maps(own)
    assert "answers class " in unnamed.summary
    assert "Class names unknown: pass classes=[...]." in unnamed.svg
    named = ie.explore.feature_maps(own, classes=["cat", "dog", "house"])
    assert any(f"answers {name} (" in named.summary for name in ("cat", "dog", "house"))
    with pytest.raises(ValueError, match="2 class names for 3 outputs of Own"):
        ie.explore.feature_maps(own, classes=["cat", "dog"])
    thousand = Own(1000)
    thousand.classes = weights.imagenet_classes()
    best = record(thousand, module.preparation(own)(
        Image.fromarray(module.photograph("china")))).top(1)[0][0]  # fmt: skip
    found = ie.explore.feature_maps(thousand)
    assert f"Own answers {thousand.classes[best]} (" in found.summary
    assert found.values["picture"] == "china"


def test_a_mini_that_the_reader_trained_names_digits():
    assert module.known_classes(random_network()) == tuple("0123456789")
    assert module.known_classes(random_network(num_classes=3)) is None
    assert module.known_classes(random_network("inception_v3", num_classes=10)) is None


def test_the_same_network_is_loaded_once():
    first, second = (ie.explore.feature_maps() for _ in range(2))
    assert first.viewer.subject is second.viewer.subject


def test_a_silent_layer_is_said_to_be_silent():
    model = random_network("mini_reduced")
    for part in model.inception_a.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.zeros_(part.weight), nn.init.constant_(part.bias, -1.0)
    explorer = ie.explore.feature_maps(model, start={"layer": "inception_a"})
    assert explorer.summary.endswith(
        "inception_a does not answer to this picture at all."
    )


@pytest.mark.parametrize("name", ["mini_reduced", "mini_v3", "mini_v4", "mini_resnet"])
def test_a_lecture_takes_few_frames_along(name):
    explorer = ie.explore.feature_maps(name, frames=True)
    assert 8 <= len(explorer._frames) <= 60
    assert sum(len(svg) for _, svg, *_ in explorer._frames) < 2_000_000
    assert not any(problem for *_, problem, _ in explorer._frames)


def test_evenly_keeps_both_ends():
    assert evenly(list(range(22)), 8)[0] == 0 and evenly(list(range(22)), 8)[-1] == 21
    assert len(evenly(list(range(22)), 8)) == 8
    assert evenly([1, 2], 8) == [1, 2]
