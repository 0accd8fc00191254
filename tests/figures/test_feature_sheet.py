"""The drawing of feature maps: what is embedded is what was recorded."""

import base64
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from inception_edu.figures.feature_maps import (
    EVERY,
    EVERY_LAYER,
    GRAY,
    SHADE,
    Photo,
    feature_sheet,
    in_words,
    map_png,
    rgb_png,
)
from inception_edu.figures.responses import (
    BranchResponse,
    LayerResponse,
    Responses,
    Term,
)

SVG = "{http://www.w3.org/2000/svg}"
RANDOM = np.random.RandomState(0)


def branch(channels, kernel, side=6):
    maps = RANDOM.rand(channels, side, side).astype(np.float32)
    mean, where = maps.mean((1, 2)).tolist(), maps.mean(0).tolist()
    return BranchResponse(mean, where, dict(enumerate(maps.tolist())), kernel)


def recording(names=("1x1", "3x3", "pool"), side=6):
    kernels = {"1x1": "1x1", "3x3": "3x3", "pool": "1x1"}
    branches = {name: branch(12, kernels.get(name, ""), side) for name in names}
    return Responses({"mixed": LayerResponse((side, side), branches)}, list(range(10)))


PIXELS = RANDOM.randint(0, 255, (48, 48, 3)).astype(np.uint8)
PHOTO = Photo(48, 48, PIXELS.tobytes())


def opened(png):
    return Image.open(BytesIO(png))


def decoded(uri):
    return opened(base64.b64decode(uri.partition(",")[2]))


def images(svg):
    """`(tip, image)` of every map, and of every place where the picture stands."""
    root = ElementTree.fromstring(svg)
    photo = decoded(root.find(f".//{SVG}defs/{SVG}image").get("href"))
    found = []
    for element in root.iter():
        title = element.find(f"{SVG}title")
        if element.tag in (f"{SVG}image", f"{SVG}use") and title is not None:
            assert element.get("aria-label") == title.text
            is_map = element.tag == f"{SVG}image"
            image = decoded(element.get("href")) if is_map else photo
            found.append((title.text, image))
    return found


def test_pictures_and_maps_are_pngs_of_the_same_values():
    values = RANDOM.rand(3, 7)
    image = opened(map_png([*(9 * values).tolist(), [-3, 0, 9, 0, 0, 0, 0]], *GRAY))
    assert image.format == "PNG" and image.size == (7, 4)
    gray = np.asarray(image.convert("L"), float) / 255
    assert np.abs(gray[:3] - values).max() <= 1 / 30 + 1e-3  # 16 grays
    assert list(gray[3, :3]) == [0, 0, 1]  # a negative value, the maximum
    assert not np.asarray(opened(map_png([[-2, 0]], *GRAY)).convert("L")).any()
    shade = opened(map_png([[0, 0.5, 1]], *SHADE)).convert("RGBA")
    alpha = np.asarray(shade)[0, :, 3]
    assert alpha[0] == 224 and 100 < alpha[1] < 125 and alpha[2] == 0
    image = opened(rgb_png(48, 48, PIXELS.tobytes()))
    assert np.array_equal(np.asarray(image.convert("RGB")), PIXELS)


def test_the_picture_is_stored_once_and_two_pictures_have_two_names():
    svg = feature_sheet(PHOTO, recording(), "mixed", EVERY).svg("x")
    assert svg.count(PHOTO.uri) == 1
    assert svg.count(f'href="#{PHOTO.name}"') == 1 + 3
    assert Photo(48, 48, bytes(48 * 48 * 3)).name != PHOTO.name


def test_every_layer_shows_where_each_branch_answers_and_its_share():
    one, two = recording(), recording(names=("1x1", "5x5"))
    both = Responses({"a": one.layers["mixed"], "b": two.layers["mixed"]}, one.logits)
    svg = feature_sheet(PHOTO, both, EVERY_LAYER, EVERY).svg("x")
    for name, layer in both.layers.items():
        for branch, share in layer.shares().items():
            assert f"{name}: where {branch} answers" in svg
            assert f">{branch} {100 * share:.0f} %</text>" in svg
    words = in_words(both, EVERY_LAYER)
    assert "of the response of a" in words and "of the response of b" in words


def test_the_strongest_channels_are_shown_in_their_order_each_on_its_own_scale():
    data = recording()
    shown = images(feature_sheet(PHOTO, data, "mixed", EVERY).svg("x"))
    expected = ["the picture as the network sees it"]
    for name, part in data.layers["mixed"].branches.items():
        expected.append(f"where {name} answers")
        for c in np.argsort(part.mean)[:-7:-1]:
            expected.append(f"{name} channel {c}: mean {part.mean[c]:.3g}")
    assert [tip for tip, _ in shown] == expected
    maps = [image for tip, image in shown if "channel" in tip]
    assert {image.convert("L").getextrema()[1] for image in maps} == {255}


@pytest.mark.parametrize("kernel", [[[0.5, -1], [0, 0.25]], [[0.5]]])
def test_one_branch_is_shown_alone_with_how_its_strongest_channel_arises(kernel):
    data, side = recording(), len(kernel)
    part = data.layers["mixed"].branches["3x3"]
    channel, given = part.strongest(1)[0], RANDOM.rand(6, 6).tolist()
    rise = Term(channel, 4, 9, given, kernel, given)
    svg = feature_sheet(PHOTO, data, "mixed", "3x3", term=rise).svg("x")
    tips = [tip for tip, _ in images(svg)]
    assert tips[1:5] == [
        "input 4",
        "products added",
        f"channel {channel}",
        "where 3x3 answers",
    ]
    assert all("3x3 channel" in tip for tip in tips[5:])
    assert f"#{channel}: {part.mean[channel]:.2g}" in svg
    assert "+ 8 other inputs" in svg and f">{side}x{side} kernel</text>" in svg
    assert all(f">{sign}</text>" in svg for sign in "×=→")


def test_the_twin_says_prediction_shares_and_channels():
    data = recording()
    words = in_words(data, "mixed")
    assert words.startswith(f"it answers 9 {100 * data.top(1)[0][1]:.1f} %, 8 ")
    for name, share in data.layers["mixed"].shares().items():
        assert f"{name}: {100 * share:.0f} % of the response of mixed" in words
