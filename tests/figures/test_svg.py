"""The drawing primitives: well-formed, escaped, measured, without ids."""

from xml.etree import ElementTree

import matplotlib.pyplot as plt
import pytest

from inception_edu.figures.export import save
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.figures.theme import HATCH

SVG = "{http://www.w3.org/2000/svg}"


def test_it_is_well_formed_named_and_escaped():
    drawing = Drawing(200, 100)
    drawing.rect(0, 0, 50, 20, "3x3", hatch="3x3", radius=3, tip="3 < 5 & more")
    drawing.text(10, 40, 'a < b & "c"')
    drawing.line((0, 0), (10, 10), (20, 10), arrow=True, dash="4 2")
    drawing.line((0, 0), (0, 10), (20, 10), (20, 20), curve=True)
    drawing.circle(50, 50, 4, "accent", tip="here").polygon((0, 0), (1, 1), (0, 1))
    tree = ElementTree.fromstring(drawing.svg("A <title>", "what & why"))
    assert tree.get("role") == "img"
    assert tree.get("aria-label") == tree.find(SVG + "title").text == "A <title>"
    assert tree.find(SVG + "desc").text == "what & why"
    assert tree.get("viewBox") == "0 0 200 100"
    assert 'a < b & "c"' in [t.text for t in tree.iter(SVG + "text")]


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize(
    "text", ["3x3, 128", "192 x 28 x 28", "WWW mmm", "iiill.,", "×→²"]
)
def test_texts_are_never_wider_than_their_estimate(text, bold):
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    drawn = TextPath((0, 0), text, size=16, prop=font).get_extents().x1
    assert drawn <= text_width(text, 16, bold) + 0.5
    assert drawn > 0.6 * text_width(text, 16, bold)


def test_a_fitted_text_fits():
    drawing = Drawing(100, 20).fitted_text(0, 10, "far too long a text for this", 60)
    (text,) = drawing.items
    size = text.attributes["font-size"]
    assert text_width(text.text, size) <= 60
    assert text.text.endswith("…") and size >= 12


def test_a_hatch_stays_inside_its_rectangle():
    for kernel in filter(HATCH.get, HATCH):
        drawing = Drawing(99, 99).rect(10, 20, 33, 17, hatch=kernel)
        for line in drawing.items[1].lines:
            for x, y in line:
                assert 10 <= x <= 43 and 20 <= y <= 37, kernel


def test_a_saved_picture_shows_what_the_drawing_does(tmp_path):
    drawing = Drawing(60, 20)
    drawing.circle(10, 10, 6, "#ff0000").rect(20, 4, 12, 12, "#ff0000")
    drawing.polygon((40, 4), (52, 4), (52, 16), (40, 16), fill="#ff0000")
    save(drawing, tmp_path / "x.png")
    pixels = plt.imread(tmp_path / "x.png")  # two a pixel of the drawing
    for x in (10, 26, 46):
        assert list(pixels[20, 2 * x][:3]) == [1, 0, 0]
