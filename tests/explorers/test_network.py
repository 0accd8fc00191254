"""The network explorer against the golden costs and traces of whole networks."""

import csv
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import inception_edu as ie
from experiments import network_tables
from inception_edu.explorers import network_modules
from inception_edu.explorers.network import (
    CONTROLS,
    SHOWN,
    networks,
    opened,
    total,
)
from inception_edu.explorers.network_modules import (
    COUNTS,
    PRINTED,
    receptive_field,
)
from inception_edu.explorers.network_picture import Inside
from inception_edu.explorers.panel import MOST_FRAMES

DATA = Path(__file__).parents[1] / "data" / "module_costs.csv"
START = {control.name: control.value for control in CONTROLS}
# The explorer's networks, the rows of module_costs.csv and the side counted there.
GOLDEN = {
    "googlenet_naive": ("googlenet_naive_stack", 224),
    "googlenet": ("googlenet_paper", 224),
    "bn_inception": ("bninception_slim_fullconv1", 224),
    "inception_v3": ("inception_v3", 299),
    "inception_v4": ("inception_v4", 299),
    "inception_resnet_v1": ("inception_resnet_v1_paper", 299),
    "inception_resnet_v2": ("inception_resnet_v2", 299),
    PRINTED: ("inception_resnet_v2_paper", 299),
}
FEW = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def golden(name):
    """`[(output, parameters, MACs)]` of every module, worked out elsewhere."""
    row_name, size = GOLDEN[name]
    with DATA.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["network"] == row_name]
    assert {int(row["input"]) for row in rows} == {size}
    return [
        (
            tuple(int(row[key]) for key in ("out_channels", "out_h", "out_w")),
            int(row["params"]),
            int(row["macs"]),
        )
        for row in rows
        if row["is_aux"] == "0"
    ]


def state(**values):
    """A state in which a network has its own counts, and what else is asked."""
    name = values.get("network", START["network"])
    counts = COUNTS.get(name, (0, 0, 0))
    return START | dict(zip("abc", counts, strict=True)) | values


def shown(**values):
    return networks(state(**values))[0].modules


@pytest.mark.parametrize("name", GOLDEN)
def test_every_module_costs_what_its_channels_say(name):
    found = [
        ((module.channels, *module.grid), module.each("params"), module.each("macs"))
        for module in shown(network=name, size=GOLDEN[name][1])
        for _ in range(module.count)
    ]
    free = [row for row in found if row[1:] == (0, 0)]
    wanted = golden(name)
    assert [row for row in found if row not in free] == [
        row for row in wanted if row[1:] != (0, 0)
    ]
    assert set(free) >= {row for row in wanted if row[1:] == (0, 0)}


# Araujo et al., Distill 2019, and the table of google-research/receptive_field.
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("bn_inception", 699),
        ("inception_v3", 1311),
        ("inception_v4", 2071),
        ("inception_resnet_v2", 3039),
    ],
)
def test_the_receptive_field_is_the_published_one(name, field):
    modules = shown(network=name, size=GOLDEN[name][1])
    assert receptive_field(modules) == (field, field)


@FEW
@given(
    name=st.sampled_from(list(COUNTS)),
    counts=st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(0, 6)),
    size=st.sampled_from([96, 160, 299]),
)
def test_counting_modules_is_tracing_the_whole_network(name, counts, size):
    """A multiplication here, every module built and run there."""
    own = dict(zip("abc", counts, strict=True))
    options = {"layout": "paper"} if name == PRINTED else {}
    with torch.device("meta"):
        whole = ie.create_model(name.removesuffix(" as printed"), **own, **options)
    trace = ie.trace(whole, (1, 3, size, size))
    modules = shown(network=name, size=size, **own)
    assert total(modules, "params") == trace.params
    assert total(modules, "macs") == trace.macs
    assert total(modules, "memory") == trace.activation_bytes
    if size > 96:  # there the last module ends on a single pixel
        assert receptive_field(modules) == trace.receptive_field


def test_parameters_of_a_composed_v4_by_hand():
    """Stem, two reductions, classifier; 2 A, 10 B, 5 C."""
    by_hand = 605_728 + 2_306_112 + 2_747_392 + 1_537_000
    by_hand += 2 * 317_632 + 10 * 2_936_256 + 5 * 4_553_088
    counts = {"a": 2, "b": 10, "c": 5}
    assert total(shown(**counts), "params") == by_hand
    assert ie.explore.network(start=counts).summary.startswith(
        "inception_v4 at 299x299 with 2 A, 10 B, 5 C: 60.0 M parameters"
    )


@pytest.mark.parametrize("name", [*GOLDEN, "mini_v4", "mini_v3"])
def test_the_rows_of_every_depth_add_up(name):
    closed = state(network=name, size=GOLDEN.get(name, (None, 48))[1])
    (network,) = networks(closed)

    def rows(**numbers):
        return opened(network, closed | numbers).rows

    for amount in SHOWN:
        whole = total(network.modules, amount)
        assert sum(total(row.modules, amount) for row in rows()) == whole
        for stage, row in enumerate(rows(), 1):
            inner = rows(stage=stage)
            run = total(row.modules, amount)
            assert sum(total(one.modules, amount) for one in inner) == run
            for number, one in enumerate(inner, 1):
                layers = rows(stage=stage, module=number)
                each = one.modules[0].each(amount)
                assert sum(total(layer.modules, amount) for layer in layers) == each


def test_inception_b_opens_to_its_convolutions():
    """Figure 5 in the released order: four branches, as they are joined."""
    explorer = ie.explore.network(start={"stage": 6, "module": 2})
    module = networks(explorer.state)[0].modules[-7 + 1]
    labels = [layer.label for layer in module.layers]
    for text in (
        "7x7.reduce: 1x1, 1024 to 192",
        "7x7.1x7: 1x7, 192 to 224",
        "7x7.7x1: 7x1, 224 to 256",
        "double_7x7.1x7_b: 1x7, 224 to 256",
        "pool: 3x3 avg pool",
    ):
        assert text in labels
        assert f"<title>{text}: " in explorer.svg
    inside = Inside(module)
    assert inside.fits
    assert inside.lanes == 4
    assert inside.columns[-1] == 6  # the concatenation, after five convolutions
    assert [channels_into(module, i) for i in (4, -1)] == [[1024], [384, 256, 256, 128]]


def channels_into(module, number):
    """Channels that a layer reads, by the layers that it reads from; by hand."""
    sources = module.layers[number].inputs
    return [1024 if s < 0 else module.layers[s].channels for s in sources]


def test_a_module_with_a_shortcut_adds_its_input():
    """Figure 16: three branches, 1x1 up to 320 channels, and the input past them."""
    (network,) = networks(state(network="inception_resnet_v2"))
    (module,) = (m for m in network.modules if m.name == "inception_resnet_a")
    inside = Inside(module)
    assert module.layers[-1].what == "addition"
    assert -1 in module.layers[-1].inputs
    assert inside.skips and inside.lanes == 4
    assert not any(Inside(m).skips for m in shown(network="inception_v4"))


def test_rows_can_be_put_largest_first():
    explorer = ie.explore.network(start={"order": "largest first"})
    words = explorer.svg.split("<desc>")[1]
    assert words.index("17x17") < words.index("35x35") < words.index("8x8:")


def test_two_networks_are_compared_each_at_its_own_input_size():
    """55,843,464 / 42,679,816; 13,155.8 / 12,254.0; GoogLeNet's 1,582.7 at 224."""
    explorer = ie.explore.network(start={"beside": "inception_resnet_v2"})
    assert explorer.summary.endswith(
        "inception_resnet_v2 (release) at 299x299 has 1.31 times the parameters and "
        "1.07 times the MACs."
    )
    explorer.values = {"beside": "googlenet"}
    assert "googlenet at 224x224" in explorer.summary
    assert explorer.summary.endswith("0.129 times the MACs.")
    explorer.values = {"beside": "bn_inception"}
    assert "bn_inception at 224x224" in explorer.summary
    explorer.values = {"size": 448}  # moved: both on the same input
    assert "bn_inception at 448x448" in explorer.summary
    explorer.values = {"stage": 8}  # the second has no eighth stage, and shows all
    assert "bn_inception, MACs by grid" in explorer.svg.split("<desc>")[1]


def test_the_axis_stands_still_below_the_published_counts():
    """So that taking B away shortens the strip; above, it grows in round steps."""
    explorer = ie.explore.network()
    axis = 'data-key="axis MACs of inception_v4 0 to 15 G"'
    for count in range(8):
        explorer.values = {"b": count}
        assert axis in explorer.svg
    explorer.values = {"b": 40}
    assert 'data-key="axis MACs of inception_v4 0 to 50 G"' in explorer.svg


def test_the_stored_networks_are_what_the_tracer_finds():
    assert network_tables.tables() == network_modules.stored()


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ({"network": "bn_inception", "size": 299}, "cannot halve the grids of 299x299"),
        ({"size": 64}, "64x64 is too small for inception_v4.*at least 75x75"),
        ({"network": "googlenet", "a": 1}, "googlenet has no A, B and C to count"),
        ({"network": "mini_v4", "beside": "googlenet", "size": 4}, "not a choice"),
    ],
)
def test_what_cannot_be_is_refused_in_words(moves, words):
    explorer = ie.explore.network()
    before = explorer.values
    with pytest.raises(ValueError, match=words):
        explorer.values = moves
    assert explorer.values == before


def test_a_size_that_the_other_cannot_take_leaves_it_at_its_own():
    explorer = ie.explore.network(start={"network": "mini_v4", "size": 64})
    explorer.values = {"beside": "inception_v3"}
    assert "inception_v3 at 299x299" in explorer.summary


@pytest.mark.parametrize(
    ("moves", "controls"),
    [
        ({}, {"module", "same_scale"}),
        ({"stage": 3}, {"same_scale", "order"}),  # the largest first already
        ({"stage": 6, "module": 1}, {"same_scale", "order"}),
        ({"beside": "inception_v4"}, {"same_scale", "module"}),
        ({"network": "googlenet", "beside": "inception_v4"}, {"a", "b", "c", "module"}),
    ],
)
def test_controls_that_change_nothing_say_why(moves, controls):
    explorer = ie.explore.network(start=moves)
    assert set(explorer.inactive) == controls


def test_a_network_brings_its_counts_and_size():
    explorer = ie.explore.network(start={"b": 20, "stage": 6})
    explorer.values = {"network": "inception_resnet_v1"}
    assert [explorer.values[x] for x in ("a", "b", "c", "stage")] == [5, 10, 5, 0]
    explorer.values = {"network": "googlenet"}
    assert [explorer.values[x] for x in ("a", "size")] == [0, 224]
    explorer.values = {"network": "mini_resnet", "b": 4}
    assert [explorer.values[x] for x in ("a", "b", "c", "size")] == [1, 4, 1, 48]


def test_a_slider_beyond_the_last_stage_or_module_opens_the_last():
    explorer = ie.explore.network()
    for asked, got in (
        ({"stage": 8}, (8, 0)),
        ({"module": 6}, (8, 3)),
        ({"stage": 6, "module": 6}, (6, 2)),
        ({"b": 0}, (6, 1)),
        ({"stage": 0, "module": 5}, (0, 0)),
    ):
        explorer.values = asked
        assert (explorer.values["stage"], explorer.values["module"]) == got


def test_a_stage_that_is_not_there_is_named_in_words():
    (network,) = networks(state())
    with pytest.raises(ValueError, match="inception_v4 has 8 stages: open 1 to 8"):
        opened(network, state(stage=9))
    with pytest.raises(ValueError, match="17x17 stage of inception_v4 has 2 kinds"):
        opened(network, state(stage=6, module=3))


@pytest.mark.parametrize(
    "move", [{"same_scale": False}, {"order": "largest first"}, {"stage": 6}]
)
def test_every_control_changes_the_picture(move):
    explorer = ie.explore.network(start={"beside": "googlenet"})
    before = explorer.svg
    explorer.values = move
    assert explorer.svg != before


def test_another_stage_closes_the_module():
    explorer = ie.explore.network(start={"stage": 6, "module": 2})
    explorer.values = {"stage": 5}
    assert explorer.values["module"] == 0


def test_a_frame_is_stored_for_every_network():
    explorer = ie.explore.network(frames=True)
    assert len(explorer._frames) == 21 <= MOST_FRAMES
    assert sum(len(frame[1]) for frame in explorer._frames) < 400_000
