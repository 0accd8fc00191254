"""Pictures that explain one idea: true to their numbers, still when asked."""

import base64
import re
from xml.etree import ElementTree

import pytest

from inception_edu.figures import asymmetric_pair, sliding_window
from inception_edu.networks.googlenet import TABLE_1

SVG = "{http://www.w3.org/2000/svg}"


def pictures_in(html):
    """The SVGs of an HTML output, decoded."""
    found = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", html)
    return [base64.b64decode(code).decode() for code in found]


def test_the_sliding_window_concatenates_module_3as_widths():
    widths = TABLE_1["3a"]
    text = sliding_window().text
    total = widths["1x1"] + widths["3x3"] + widths["5x5"] + 192
    assert f"64 + 128 + 32 + 192 = {total}" in text
    assert (widths["1x1"], widths["3x3"], widths["5x5"]) == (64, 128, 32)


def test_it_moves_can_be_hidden_and_stands_still_for_reduced_motion():
    html = sliding_window().html
    assert html.startswith("<details open><summary>")
    still, moving = pictures_in(html)
    assert '(prefers-reduced-motion: reduce)" srcset' in html
    assert "animation" in moving and "animation" not in still
    for svg in (still, moving):
        ElementTree.fromstring(svg)
        assert len(svg) < 30_000


def test_the_windows_visit_every_pixel_once_in_reading_order():
    _, moving = pictures_in(sliding_window().html)
    frames = re.search(r"@keyframes ie-slide\{(.*?)\}\}", moving)[1]
    places = re.findall(r"translate\((-?\d+)px,(-?\d+)px\)", frames)
    visited = [(int(y) // 26, int(x) // 26) for x, y in places]
    assert visited == sorted(visited) and len(set(visited)) == 49


@pytest.mark.parametrize("n, saved", [(3, 33), (7, 71)])
def test_the_asymmetric_pair_sees_as_much_with_two_n_weights(n, saved):
    picture = asymmetric_pair(n)
    assert f"{n}x{n} = {n * n} pixels" in picture.text
    assert f"{n} + {n} = {2 * n} weights" in picture.text
    assert f"{saved} % saved" in picture.text
    rects = list(ElementTree.fromstring(picture.svg).iter(f"{SVG}rect"))
    rows = [r for r in rects if r.get("rx")]
    assert len(rows) == n
