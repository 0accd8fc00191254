"""The drawing of feature maps: what is embedded is what was recorded."""

import base64
import re
from io import BytesIO
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from inception_edu.figures.activations import Branch, Layer, Recording
from inception_edu.figures.feature_maps import (
    EVERY,
    feature_sheet,
    in_words,
    lit_uri,
    map_uri,
)
from inception_edu.figures.svg import text_width

SVG = "{http://www.w3.org/2000/svg}"
RANDOM = np.random.RandomState(0)


def branch(channels, kernel, side=6):
    maps = RANDOM.rand(channels, side, side).astype(np.float32)
    return Branch(
        maps.mean((1, 2)), maps.max((1, 2)), maps.mean(0), dict(enumerate(maps)), kernel
    )


def recording(names=("1x1", "3x3", "pool"), side=6):
    kernels = {"1x1": "1x1", "3x3": "3x3", "pool": "1x1"}
    branches = {name: branch(12, kernels.get(name, ""), side) for name in names}
    scores = np.arange(10, dtype=np.float32)
    return Recording({"mixed": Layer((side, side), branches)}, scores)


PHOTO = Image.fromarray(RANDOM.randint(0, 255, (48, 48, 3)).astype(np.uint8))


def decoded(uri):
    return Image.open(BytesIO(base64.b64decode(uri.partition(",")[2])))


def images(svg):
    """`(tip, image)` of every embedded picture."""
    found = []
    for element in ElementTree.fromstring(svg).iter(f"{SVG}image"):
        tip = element.find(f"{SVG}title").text
        assert element.get("aria-label") == tip
        found.append((tip, decoded(element.get("href"))))
    return found


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (7, 3), (32, 32)])
def test_a_map_keeps_its_16_greys(shape):
    values = RANDOM.rand(*shape).astype(np.float16)
    image = decoded(map_uri(values, 1.0))
    assert image.format == "PNG" and image.size == shape[::-1]
    grey = np.asarray(image.convert("L"), float) / 255
    assert np.abs(grey - values).max() <= 1 / 30 + 1e-3


def test_a_map_of_nothing_is_black_and_one_above_the_scale_white():
    assert decoded(map_uri(np.zeros((4, 4)), 0.0)).convert("L").getextrema() == (0, 0)
    high = decoded(map_uri(np.full((4, 4), 9.0), 1.0))
    assert high.convert("L").getextrema() == (255, 255)


def test_the_lit_picture_is_bright_only_where_the_branch_answers():
    where = np.zeros((8, 8), np.float16)
    where[:, 4:] = 3
    grey = np.asarray(decoded(lit_uri(Image.new("RGB", (48, 48), "white"), where)), int)
    assert grey[:, :20].max() < 60
    assert grey[:, 44:].min() > 220
    dark = decoded(lit_uri(PHOTO, where * 0)).convert("L")
    assert dark.getextrema()[1] < 60


@pytest.mark.parametrize("by", ["mean", "peak"])
@pytest.mark.parametrize("count", [1, 6, 12])
def test_the_strongest_channels_are_shown_in_their_order(by, count):
    data = recording()
    svg = feature_sheet(PHOTO, data, "mixed", count=count, by=by).svg("x")
    shown = [tip for tip, _ in images(svg)]
    expected = ["the picture as the network sees it"]
    for name, part in data.layers["mixed"].branches.items():
        expected.append(f"where {name} answers")
        expected += [
            f"{name} channel {c}: mean {part.mean[c]:.3g}, peak {part.peak[c]:.3g}"
            for c in part.strongest(count, by)
        ]
    assert shown == expected


def test_each_channel_has_its_own_scale_or_all_share_one():
    data = recording()
    strongest = data.layers["mixed"].branches["1x1"].strongest(1)[0]
    data.layers["mixed"].branches["1x1"].maps[strongest] *= 100
    own = dict(images(feature_sheet(PHOTO, data, "mixed").svg("x")))
    shared = dict(images(feature_sheet(PHOTO, data, "mixed", shared=True).svg("x")))

    def brightest(found):
        return {
            tip: picture.convert("L").getextrema()[1]
            for tip, picture in found.items()
            if "channel" in tip
        }

    assert set(brightest(own).values()) == {255}
    bright = [tip for tip, value in brightest(shared).items() if value > 30]
    assert len(bright) == 1 and bright[0].startswith(f"1x1 channel {strongest}:")


@pytest.mark.parametrize("branch_name", [EVERY, "3x3", "pool"])
@pytest.mark.parametrize("count", [1, 4, 5, 12])
def test_nothing_leaves_the_sheet_and_no_texts_meet(branch_name, count):
    names = [f"a class with a long name, number {i}, and more" for i in range(10)]
    remarks = ["a first remark " * 9, "a second"]
    sheet = feature_sheet(
        PHOTO, recording(), "mixed", branch_name, count=count, names=names,
        remarks=remarks,
    )  # fmt: skip
    root = ElementTree.fromstring(sheet.svg("x"))
    for element in root.iter(f"{SVG}image"):
        x, y, w, h = (float(element.get(k)) for k in ("x", "y", "width", "height"))
        assert x >= 0 and x + w <= sheet.width + 0.1 and y + h <= sheet.height
        assert w >= 20
    lines = {}
    for text in root.iter(f"{SVG}text"):
        size, x = float(text.get("font-size")), float(text.get("x"))
        wide = text_width(text.text, size, text.get("font-weight") is not None)
        start = x - wide if text.get("text-anchor") == "end" else x
        assert start >= -1 and start + wide <= sheet.width + 1, text.text
        assert float(text.get("y")) <= sheet.height
        assert size >= 12
        lines.setdefault(text.get("y"), []).append((start, start + wide, text.text))
    for spans in lines.values():
        spans.sort()
        for (_, end, first), (start, _, second) in pairwise(spans):
            assert end <= start + 1, (first, second)


def test_the_numbers_of_faint_channels_stay_on_the_sheet():
    data = recording()
    part = data.layers["mixed"].branches["3x3"]
    faint = part._replace(mean=part.mean * -1e-9, peak=part.peak * -1e-9)
    data.layers["mixed"].branches["3x3"] = faint
    sheet = feature_sheet(PHOTO, data, "mixed", "3x3", count=12)
    labels = [item for item in sheet.items if getattr(item, "text", "")[:1] == "#"]
    assert len(labels) == 12
    for label in labels:
        assert label.x + text_width(label.text, label.size) <= sheet.width


def test_one_branch_is_shown_alone_with_its_numbers():
    data = recording()
    svg = feature_sheet(PHOTO, data, "mixed", "3x3", by="peak").svg("x")
    assert all("3x3" in tip for tip, _ in images(svg)[1:])
    part = data.layers["mixed"].branches["3x3"]
    channel = part.strongest(1, "peak")[0]
    assert f"#{channel}: {part.peak[channel]:.3g}" in svg


def test_a_layer_of_one_output_is_shown_large():
    data = recording(names=("output",))
    assert "#" in re.sub(r"href=\S+|fill=\S+|stroke=\S+", "",
                         feature_sheet(PHOTO, data, "mixed").svg("x"))  # fmt: skip


def test_the_sheet_is_small_enough_to_be_stored_by_the_dozen():
    data = recording(side=32)
    photo = Image.fromarray(RANDOM.randint(0, 255, (299, 299, 3)).astype(np.uint8))
    svg = feature_sheet(photo, data, "mixed", count=6).svg("x")
    assert len(svg) < 60_000  # noise, the worst of all pictures


def test_the_twin_says_prediction_shares_and_channels():
    data = recording()
    words = in_words(data, "mixed", [f"class-{i}" for i in range(10)])
    top = data.top(1)[0][1]
    assert words.startswith(f"it says class-9 {top:.1%}, class-8 ")
    for name, share in data.layers["mixed"].shares().items():
        assert f"{name}: {share:.0%} of the response of mixed" in words
    assert "class 9" in in_words(data, "mixed")
