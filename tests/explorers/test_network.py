"""The network explorer against traces of whole networks."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inception_edu as ie
from experiments import network_tables
from inception_edu.explorers import network_modules
from inception_edu.explorers.network import CONTROLS, SHOWN, networks, opened
from inception_edu.explorers.network_modules import COUNTS, PRINTED, counts_of, total
from inception_edu.explorers.network_picture import places_of
from tests.models import on_meta

START = {control.name: control.value for control in CONTROLS}
SIZES = dict.fromkeys(("googlenet_naive", "googlenet", "bn_inception"), 224)
SIZES |= dict.fromkeys(("inception_v3", *COUNTS), 299)
SIZES |= dict.fromkeys(("mini_v3", "mini_v4", "mini_resnet"), 48)


def shown(**values):
    """The network of a state with its own counts and input, and what else is asked."""
    name = values.get("network", START["network"])
    counts = dict(zip("abc", counts_of(name), strict=True))
    return networks(START | counts | {"size": SIZES[name]} | values)[0]


@settings(max_examples=6)
@given(
    name=st.sampled_from(list(COUNTS)),
    counts=st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(0, 6)),
    size=st.sampled_from([96, 160, 299]),
)
def test_counting_modules_is_tracing_the_whole_network(name, counts, size):
    """A multiplication here, every module built and run there."""
    own = dict(zip("abc", counts, strict=True))
    options = {"layout": "paper"} if name == PRINTED else {}
    whole = on_meta(name.removesuffix(" as printed"), **own, **options)
    trace = ie.trace(whole, (1, 3, size, size))
    network = shown(network=name, size=size, **own)
    assert total(network.modules, "params") == trace.params
    assert total(network.modules, "macs") == trace.macs
    assert total(network.modules, "memory") == trace.activation_bytes
    if size > 96:  # there the last module ends on a single pixel
        assert (network.receptive_field,) * 2 == trace.receptive_field


@pytest.mark.parametrize("name", SIZES)
def test_the_rows_of_every_depth_add_up(name):
    network = shown(network=name)

    def sums(amount, *place):
        return [total(row.modules, amount) for row in opened(network, *place).rows]

    for amount in SHOWN:
        assert sum(sums(amount, 0, 0)) == total(network.modules, amount)
        for stage, whole in enumerate(sums(amount, 0, 0), 1):
            assert sum(sums(amount, stage, 0)) == whole
            for number, module in enumerate(network.stages[stage - 1], 1):
                assert sum(sums(amount, stage, number)) == module.each(amount)


def test_inception_b_opens_to_its_convolutions():
    """Figure 5 in the released order: four branches, as they are joined."""
    explorer = ie.explore.network(start={"stage": 6, "module": 2})
    module = shown().stages[5][1]
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
    joined = [module.layers[source] for source in module.layers[-1].inputs]
    assert [layer.channels for layer in joined] == [384, 256, 256, 128]
    places, _ = places_of(module.layers, 1024, 0)
    assert len({place.y for place in places[1:-1]}) == 4
    assert len({place.left for place in places}) == 7  # input, five layers deep, sum


def test_a_module_with_a_shortcut_adds_its_input():
    """Figure 16: three branches, 1x1 up to 320 channels, and the input past them."""
    modules = shown(network="inception_resnet_v2").modules
    (module,) = (m for m in modules if m.name == "inception_resnet_a")
    assert module.layers[-1].what == "addition"
    assert -1 in module.layers[-1].inputs
    places, end = places_of(module.layers, module.channels, 0)
    assert max(place.y for place in places) < end - 41  # the lowest lane is left free


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
    explorer.values = {"size": 448}  # moved: both on the same input
    assert "googlenet at 448x448" in explorer.summary
    explorer.values = {"stage": 8}  # the second has no eighth stage, and shows all
    assert "googlenet, MACs by grid" in explorer.svg.split("<desc>")[1]
    explorer.values = {"beside": "inception_v3", "network": "mini_v4", "size": 64}
    assert "inception_v3 at 299x299" in explorer.summary  # too large for 64


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
    assert network_tables.contents() == network_modules.stored()


@pytest.mark.parametrize(
    ("moves", "controls"),
    [
        ({}, {"module"}),
        ({"stage": 3}, set()),
        ({"network": "googlenet", "beside": "inception_v4"}, {"a", "b", "c", "module"}),
    ],
)
def test_controls_that_change_nothing_say_why(moves, controls):
    assert set(ie.explore.network(start=moves).inactive) == controls


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
        ({"module": 6}, (0, 0)),
        ({"stage": 8}, (8, 0)),
        ({"module": 6}, (8, 3)),
        ({"stage": 6}, (6, 0)),  # another stage closes the module
        ({"stage": 6, "module": 6}, (6, 2)),
        ({"b": 0}, (6, 1)),
        ({"a": 0}, (6, 1)),
    ):
        explorer.values = asked
        assert (explorer.values["stage"], explorer.values["module"]) == got


@pytest.mark.parametrize("show", SHOWN)
def test_a_module_without_costs_is_drawn_beside_another_network(show):
    explorer, pool = ie.explore.network(), {"stage": 3, "module": 1, "show": show}
    explorer.values = {"network": "inception_v3", "beside": "googlenet"} | pool
    assert explorer.values.items() >= pool.items() and not explorer.problem


def test_a_layer_without_costs_says_so():
    explorer = ie.explore.network()
    explorer.values = {"network": "mini_naive", "beside": "nothing", "stage": 4}
    explorer.values = {"module": 2}  # a dropout of no kind
    assert ">dropout</text>" in explorer.svg
    assert not re.search("<text[^>]*/>", explorer.svg)
