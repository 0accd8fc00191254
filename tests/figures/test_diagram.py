"""Diagrams: right in what they say, without overlaps, from toy to network."""

from functools import cache
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import torch
from matplotlib.transforms import Bbox
from torch import nn

import inception_edu as ie
from inception_edu.figures import diagram, sliding_window
from inception_edu.figures.svg import text_width
from inception_edu.networks import MODELS, Branches, ConvUnit
from inception_edu.networks.googlenet import TABLE_1, InceptionModule, NaiveModule
from inception_edu.networks.inception_resnet import InceptionResNetA
from tests.models import Work


class Tangle(nn.Module):
    """The smallest graph that is not series-parallel."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(4, 4, 1) for _ in range(3))

    def forward(self, x):
        left, right = self.a(x), self.b(x)
        middle = self.c(left) + right
        return torch.cat([left, middle, right], 1)


def toy():
    return Branches({"1x1": ConvUnit(8, 4, 1), "3x3": ConvUnit(8, 12, 3)})


def with_heads():
    model = ie.create_model("googlenet", aux=True)
    return ie.trace(model, (1, 3, 224, 224), aux=True)


def chain():
    return nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(19)))


CASES = {
    "toy": (toy, (1, 8, 16, 16)),
    "reduced 3a": (lambda: InceptionModule(192, TABLE_1["3a"]), (1, 192, 28, 28)),
    "filter bank": (lambda: ie.create_model("inception_v3").mixed_7b, (1, 1280, 8, 8)),
    "residual": (
        lambda: InceptionResNetA(320, (48, 64), scale=0.17),
        (1, 320, 35, 35),
    ),
    "tangle": (Tangle, (1, 4, 9, 9)),
    "chain": (chain, (1, 3, 9, 9)),
    "nothing": (nn.Identity, (1, 3, 9, 9)),
    "tokens": (lambda: nn.TransformerEncoderLayer(16, 2), (7, 1, 16)),
    "heads": (with_heads, None),
} | {name: (lambda n=name: ie.create_model(n), None) for name in MODELS}


@cache
def picture_of(case):
    build, shape = CASES[case]
    return diagram(build(), shape)


def bounds(text):
    """The box of a text on the sheet."""
    said = text.attributes
    size = said["font-size"]
    width = text_width(text.text, size, bold=bool(said["font-weight"]))
    left = said["x"] - (width / 2 if said["text-anchor"] else 0)
    return Bbox.from_bounds(left, said["y"] - 0.9 * size, width, 1.1 * size)


@pytest.mark.parametrize("case", CASES)
def test_nothing_overlaps_leaves_the_sheet_or_is_too_small(case):
    picture = picture_of(case)
    shrink = min(1, 1100 / picture.width)
    texts = [item for item in picture.drawing.items if item.tag == "text"]
    assert min(text.attributes["font-size"] for text in texts) * shrink >= 13
    boxes = [Bbox.from_bounds(*sides) for sides in picture.boxes]
    assert len(boxes) >= 1
    inside = [box.padded(-1) for box in boxes]
    labels = [bounds(text) for text in texts]
    boxes += [label for label in labels if not label.count_overlaps(inside)]
    assert len(boxes) == 2 * len(inside) + 3  # three lines of words, a shape a box
    for place, box in enumerate(boxes):
        assert box.xmin >= 0 and box.ymin >= 0
        assert box.xmax <= picture.width and box.ymax <= picture.height
        assert box.count_overlaps(boxes[place + 1 :]) == 0
    ElementTree.fromstring(picture.svg)


@pytest.mark.parametrize("case", ["reduced 3a", "residual", "filter bank", "heads"])
def test_no_wire_runs_through_a_box(case):
    picture = picture_of(case)
    inner = [Bbox.from_bounds(*sides).padded(-3) for sides in picture.boxes]
    for points in picture.wires:
        for (x0, y0), (x1, y1) in pairwise(points):
            assert x0 == pytest.approx(x1) or y0 == pytest.approx(y1)
            path = Bbox([(min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1))])
            assert path.padded(0.05).count_overlaps(inner) == 0
    for x, y, width, _ in picture.boxes:
        tips = [points[-1] for points in picture.wires]
        ends = [tip for tip, top in tips if top == y and x < tip < x + width]
        if len(ends) == 1:
            assert ends[0] == pytest.approx(x + width / 2)


def test_a_forgotten_relu_and_a_changed_width_show_in_the_text():
    widths = dict(TABLE_1["3a"])
    module = InceptionModule(192, widths)
    module["3x3"].reduce.relu = nn.Identity()
    assert "3x3 branch: 192 -> 1x1 -> 96 -> 3x3 [ReLU] -> 128" in (
        diagram(module, (1, 192, 28, 28)).text
    )
    widths["5x5"] = 48
    text = diagram(InceptionModule(192, widths), (1, 192, 28, 28)).text
    assert "64 + 128 + 48 + 32 = 272" in text


def test_equal_modules_are_told_once():
    told = "inception_resnet_a1 and 9 more like it"
    assert told in picture_of("inception_resnet_v2").text


class Joined(nn.Module):
    """Two branches over a sequence or grid, joined by any of torch's functions."""

    def __init__(self, conv, join, **options):
        super().__init__()
        self.a, self.b = conv(4, 6, 3, padding=1), conv(4, 8, 1)
        self.join, self.options = join, options

    def forward(self, x):
        return self.join([self.a(x), self.b(x)], **self.options)


# a network without a batch, over one, two or three axes: (input shape, lines)
AXES = {
    "sequence": (
        nn.Sequential(
            nn.Conv1d(1, 4, 3, stride=2), nn.AdaptiveAvgPool1d(1), nn.Flatten()
        ),
        (1, 1, 80),
        ["1 x 80 -> 4", "1 -> 3/2 -> 4 (39) -> global avg pool [flatten] -> 4"],
    ),
    "volume": (
        nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.MaxPool3d(2)),
        (1, 1, 8, 8, 8),
        ["1 x 8 x 8 x 8 -> 4 x 3 x 3 x 3", "1 -> 3x3x3 [ReLU] -> 4 (6x6x6)"],
    ),
    "image without a batch": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)),
        (3, 8, 8),
        ["3 x 8 x 8 -> 4 x 3 x 3", "3 -> 3x3 [ReLU] -> 4 (6x6) -> max pool 2x2/2"],
    ),
    "one number": (
        Work(lambda x: x.relu().sum()),
        (2, 3),
        ["3 -> a number", "-> ReLU [sum] -> 1"],
    ),
    "branches over a sequence": (
        Joined(nn.Conv1d, torch.cat, dim=1),
        (1, 4, 20),
        ["a branch: 4 -> 3 -> 6 (20)", "concat: 6 + 8 = 14 (20)"],
    ),
}


@pytest.mark.parametrize("case", AXES)
def test_channels_and_grid_are_told_apart_over_any_number_of_axes(case):
    model, shape, lines = AXES[case]
    picture = diagram(model, shape)
    ElementTree.fromstring(picture.svg)
    for line in lines:
        assert line in picture.text


class Written(Joined):
    """The same, written into slices of a buffer."""

    def __init__(self, make):
        super().__init__(nn.Conv2d, None)
        self.make = make

    def forward(self, x):
        out = self.make(x)
        out[:, :6] = self.a(x)
        out[:, 6:] = self.b(x)
        return out.relu()


@pytest.mark.parametrize(
    "make",
    [
        lambda x: torch.zeros(1, 14, 9, 9),
        lambda x: x.new_empty(1, 14, *x.shape[2:]),
    ],
)
def test_branches_written_into_a_buffer_are_a_concatenation(make):
    text = diagram(Written(make), (1, 4, 9, 9)).text
    assert text.splitlines()[-3:] == [
        "  | a branch: 4 -> 3x3 -> 6 (9x9)",
        "  | b branch: 4 -> 1x1 -> 8 (9x9)",
        "  concat: 6 + 8 = 14 (9x9) [ReLU]",
    ]


class Rows(Joined):
    """Rows of a buffer from two branches, in turn, and a channel set to 0."""

    def forward(self, x):
        out, a = x.new_zeros(1, 6, 18, 9), self.a(x)
        a[:, 0] = 0
        out[:, :, ::2], out[:, :, 1::2] = a, self.b(x)[:, :6]
        return out


def test_rows_written_into_a_buffer_are_one_step_and_no_concatenation():
    text = diagram(Rows(nn.Conv2d, None), (1, 4, 9, 9)).text
    assert text.splitlines()[1:] == [
        "  | a branch: 4 -> 3x3 [setitem] -> 6 (9x9)",
        "  | b branch: 4 -> 1x1 -> 6 (9x9)",
        "  setitem -> 6 (18x9)",
    ]


@pytest.mark.parametrize(
    "name", ["run\x1b[1m 7", "\ud800", "x" * 2000, "<&\"'>", "a\nb"]
)
def test_any_name_gives_a_picture_that_xml_and_utf_8_can_hold(name, tmp_path):
    model = Branches({name: nn.Conv2d(3, 4, 1), "b": nn.Conv2d(3, 4, 1)})
    picture = diagram(model, (1, 3, 8, 8), title=name)
    ElementTree.fromstring(picture.svg.encode())
    picture._repr_mimebundle_()["text/html"].encode()
    assert len(picture.text.encode().splitlines()) == 4
    assert picture.width <= 1200
    picture.save(tmp_path / "x.pdf")


def test_bars_are_to_scale_and_in_the_kernels_colors():
    picture = diagram(NaiveModule(192, TABLE_1["3a"]), (1, 192, 28, 28))
    said = [item.attributes for item in picture.drawing.items]
    bars = [each for each in said if each.get("height") == 14]
    joined = [(bar["fill"], bar["width"]) for bar in bars[-4:]]
    assert [fill for fill, _ in joined] == ["1x1", "3x3", "5x5", "pool"]
    unit = joined[0][1] / 64
    for (_, width), channels in zip(joined, (64, 128, 32, 192), strict=True):
        assert width / unit == pytest.approx(channels)


class Stub(nn.Module):
    """Lines that stop at once, or after a first layer."""

    def __init__(self, layer=None):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        if self.layer:
            x = self.layer(x)
        raise NotImplementedError("write it")


WRONG = Branches(
    {"1x1": ConvUnit(8, 4, 1), "3x3": [ConvUnit(8, 4, 1), ConvUnit(9, 2, 3)]}
)
# a model that stops on its way: (last line of the text, what the last box reads)
UNFINISHED = {
    "a layer of the wrong width": (
        nn.Sequential(nn.Conv2d(8, 8, 1), WRONG),
        "  |   stops in 1.3x3.1.conv: expects 9 input channels and gets 4 ",
        ["1x1, 4"],
    ),
    "grids that do not fit": (
        Joined(nn.Conv2d, lambda maps: torch.cat([maps[0], maps[1][..., 1:]], 1)),
        "  stops in the model: cannot concatenate ",
        ["3x3, 6", "1x1, 8"],
    ),
    "lines not written yet": (
        Stub(nn.Conv2d(8, 4, 1)),
        "  stops in the model: NotImplementedError: write it",
        ["1x1, 4"],
    ),
    "the first layer": (
        nn.Conv2d(3, 4, 1),
        "  stops in the model: expects 3",
        ["input"],
    ),
}


@pytest.mark.parametrize("case", UNFINISHED)
def test_an_unfinished_model_is_drawn_up_to_where_it_stops(case):
    model, line, reads = UNFINISHED[case]
    channels = 4 if isinstance(model, Joined) else 8
    picture = diagram(model, (1, channels, 9, 9))
    assert picture.text.splitlines()[-1].startswith(line)
    assert "stops in" in picture.text.splitlines()[0]
    last = next(i for i, node in enumerate(picture.nodes) if node.kind == "error")
    assert [picture.nodes[a].label for a, b in picture.edges if b == last] == reads
    ElementTree.fromstring(picture.svg)


@pytest.mark.parametrize("draw", [lambda: picture_of("toy"), sliding_window])
def test_it_saves_svg_pdf_and_png(tmp_path, draw):
    picture = draw()
    for ending, magic in ((".svg", b"<svg"), (".pdf", b"%PDF"), (".png", b"\x89PNG")):
        path = picture.save(tmp_path / f"toy{ending}")
        first = path.read_bytes()
        assert first.startswith(magic) and len(first) > 3000
        assert picture.save(path).read_bytes() == first
    with pytest.raises(ValueError, match=r"\.svg, \.pdf, \.png"):
        picture.save(tmp_path / "toy.gif")


@pytest.mark.parametrize("name", MODELS)
def test_a_stored_picture_stays_small_and_has_alt_text(name):
    bundle = picture_of(name)._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    still, _, _ = bundle["text/html"].partition("<script>")
    still = still[still.index("<img") :]
    assert len(still) < 60_000
    assert len(bundle["text/html"]) < 110_000  # all that can be opened in it too
    assert f'alt="{name}: 3 x ' in still
