"""The family explorer: every number has a source, and no label covers another."""

from itertools import pairwise, product
from threading import Event
from xml.etree import ElementTree

import pytest
from matplotlib.transforms import Bbox

import inception_edu as ie
from experiments import family_costs
from inception_edu.cost import Latency
from inception_edu.explorers import family, family_figures
from inception_edu.figures.svg import Drawing, text_width
from inception_edu.files import read_rows

SVG = "{http://www.w3.org/2000/svg}"
NAMES = {name for members in family.SETS.values() for name in members}
START = {control.name: control.value for control in family.CONTROLS}


def timed(errors):
    """Latencies as a machine might measure them, for every network of ours."""
    ours = [name for name in family.SETS[errors] if family.build_of(errors, name)]
    times = {}
    for number, name in enumerate(ours):
        middle = 0.1 + 0.07 * (number * 5 % 7)
        rounds = (0.9 * middle, middle, 1.2 * middle)
        times[errors, name] = Latency(name, rounds, "cpu", 2)
    return times


def label_boxes(svg):
    """The box of every network's name in the axes, from the picture itself."""
    left, top, width, height = family.BOX
    for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
        y = float(text.get("y"))
        name = text.text.partition(" (")[0]
        if name in NAMES and top <= y <= top + height:
            x = float(text.get("x"))
            bold = text.get("font-weight") is not None
            wide = text_width(text.text, float(text.get("font-size")), bold)
            yield text.text, Bbox.from_extents(x, y - 12, x + wide, y + 3)


@pytest.mark.parametrize("errors", family.SETS)
def test_no_label_covers_another_or_a_mark(errors):
    watch = family.Stopwatch()
    watch.times = timed(errors)
    for cost, error in product([*family.COSTS, "latency"], family.AGAINST):
        state = START | {"cost": cost, "against": error, "errors": errors}
        members, _ = family.points(state, watch.times)
        boxes = dict(label_boxes(family.draw(state, watch).svg))
        assert set(boxes) == {point.name for point in members}
        plot = family.plot_of(Drawing(560, 436), members)
        points = [Bbox([plot.at(p.x, p.y)] * 2).padded(5) for p in members]
        for box in boxes.values():
            others = [b for b in boxes.values() if b is not box]
            assert box.count_overlaps(others + points) == 0, state


def test_every_accuracy_is_published_with_its_crops_and_images():
    for figures, members in family.SETS.items():
        crops = {"released": {1}, "one crop": {1}, "ten crops": {10, 12}}[figures]
        for name in members:
            found = [family.published(figures, name, top) for top in ("top-1", "top-5")]
            assert any(found), name
            for figure in filter(None, found):
                assert figure.crops in crops, figure
                assert figure.models == 1, figure
                assert figure.images, figure
                assert ("error" in figure.what) or ("accuracy" in figure.what)


def test_errors_are_those_of_the_tables():
    assert family.error_of("one crop", "GoogLeNet", "top-5") == 10.07
    assert family.error_of("one crop", "GoogLeNet", "top-1") is None
    assert family.error_of("one crop", "Inception-v3", "top-1") == 21.2
    assert family.error_of("ten crops", "ResNet-152", "top-5") == 5.71
    assert family.error_of("released", "Inception-v4", "top-1") == 19.8
    assert family.error_of("released", "AlexNet", "top-5") == 20.934


# Parameters and MACs from the papers' widths, worked out elsewhere (module_costs.csv
# and the published counts of torchvision's references).
@pytest.mark.parametrize(
    ("figures", "name", "params", "macs"),
    [
        ("released", "GoogLeNet", 6_624_904, 1_498_376_192),
        ("one crop", "GoogLeNet", 6_998_552, 1_582_671_872),
        ("released", "Inception-v4", 42_679_816, 12_253_974_624),
        ("released", "Inception-ResNet-v2", 55_843_464, 13_155_794_016),
        ("ten crops", "Inception-ResNet-v2", 32_433_928, 9_257_953_632),
        ("released", "VGG-16", 138_357_544, 15_470_264_320),
    ],
)
def test_costs_belong_to_the_network_that_the_figure_is_about(
    figures, name, params, macs
):
    assert family.cost(figures, name, "params") == params
    assert family.cost(figures, name, "macs") == macs


def test_the_stored_costs_are_what_the_tracer_finds():
    found = [{k: str(v) for k, v in row.items()} for row in family_costs.contents()]
    assert found == read_rows(family_figures.TABLE)


def test_the_pareto_front_is_beaten_by_nobody():
    members, _ = family.points(START, {})
    front = family.frontier(members)
    for one, other in pairwise(front):
        assert one.x < other.x
        assert one.y > other.y
    for point in members:
        assert any(p.x <= point.x and p.y <= point.y for p in front)


def test_the_budget_names_the_best_that_fits():
    explorer = ie.explore.family(start={"budget": 40})
    # 40 % of VGG-16's 15.47 G MACs: v3 (5.71) fits, ResNet-101 (7.80) does not.
    assert explorer.summary.startswith(
        "Best within 6.19 G MACs: Inception-v3 with 22 % top-1 error for 5.71 G MACs."
    )
    explorer.values = {"cost": "params", "budget": 5}
    assert "6.92 M parameters: GoogLeNet" in explorer.summary


def test_latency_is_refused_until_it_was_measured_and_then_shown(monkeypatch):
    timings, go_on, seen = [], Event(), []

    def pretend(models, **options):
        timings.append(list(models))
        go_on.wait(10)
        return timed("ten crops")

    explorer = ie.explore.family(start={"errors": "ten crops"})
    monkeypatch.setattr("inception_edu.cost.latency", pretend)
    monkeypatch.setattr("inception_edu.networks.create_model", lambda n, **_: n)
    explorer.observe(lambda change: seen.append(explorer.svg), "_shown")
    with pytest.raises(ValueError, match="press Measure latency"):
        explorer.values = {"cost": "latency"}
    explorer.press("measure")
    with pytest.raises(ValueError, match="still measuring"):
        explorer.press("measure")
    with pytest.raises(ValueError, match="; the picture follows"):
        explorer.values = {"cost": "latency"}
    go_on.set()
    explorer.watch.thread.join(60)
    assert "measuring for about half a minute" in "".join(seen)
    assert "measuring" not in explorer.svg
    assert [len(set(keys)) for keys in timings] == [5]
    explorer.values = {"cost": "latency", "against": "top-5"}
    assert " for 520 ms" in explorer.summary
    assert "missing: AlexNet" in explorer.svg
    with pytest.raises(ValueError, match="press Measure latency"):
        explorer.values = {"errors": "one crop"}


def test_a_measurement_that_fails_says_so(monkeypatch):
    def fail(models, **options):
        raise RuntimeError("no memory")

    explorer = ie.explore.family()
    monkeypatch.setattr("inception_edu.cost.latency", fail)
    monkeypatch.setattr("inception_edu.networks.create_model", lambda n, **_: n)
    explorer.press("measure")
    explorer.watch.thread.join(60)
    with pytest.raises(ValueError, match="failed: no memory"):
        explorer.values = {"cost": "latency"}


def test_the_text_twin_lists_every_network_with_both_numbers():
    svg = ie.explore.family().svg
    told = ElementTree.fromstring(svg).find(f"{SVG}desc").text
    assert "AlexNet: 714.2 M MACs, 43.48 % top-1 error (torchvision" in told
    assert told.count(";") == len(family.SETS["released"]) - 1
    assert "(tf-slim, research/slim/README.md)</title>" in svg
