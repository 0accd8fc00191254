"""GoogLeNet: its options, and its module in plain torch."""

import pytest
import torch
import torch.nn.functional as F

import inception_edu as ie
from inception_edu.networks.googlenet import TABLE_1, InceptionModule, NaiveModule
from tests.models import on_meta


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ie.create_model("googlenet", num_classes=7, aux=True)


def test_the_module_is_its_branches_concatenated():
    torch.manual_seed(1)
    module = InceptionModule(192, TABLE_1["3a"])
    x = torch.randn(2, 192, 28, 28)

    def conv(unit, x, padding):
        return F.relu(F.conv2d(x, unit.conv.weight, unit.conv.bias, padding=padding))

    three, five, pool = module["3x3"], module["5x5"], module["pool"]
    by_hand = torch.cat(
        [
            conv(module["1x1"], x, 0),
            conv(three[1], conv(three[0], x, 0), 1),
            conv(five[1], conv(five[0], x, 0), 2),
            conv(pool[1], F.max_pool2d(x, 3, 1, 1), 0),
        ],
        dim=1,
    )
    assert by_hand.shape == (2, 256, 28, 28)
    assert torch.equal(module(x), by_hand)
    naive = NaiveModule(192, TABLE_1["3a"])
    assert naive.out_channels == 64 + 128 + 32 + 192
    assert torch.equal(naive(x)[:, -192:], F.max_pool2d(x, 3, 1, 1))


def test_local_response_normalization_and_dropout_are_the_papers(network):
    names = list(network.stage_names)
    assert names.index("lrn1") == names.index("maxpool1") + 1
    assert names.index("lrn2") == names.index("maxpool2") - 1
    assert (network.lrn1.size, network.lrn1.alpha, network.lrn1.beta) == (5, 1e-4, 0.75)
    assert network.dropout.p == 0.4
    assert [head.dropout.p for head in network.aux_heads.values()] == [0.7, 0.7]


def test_the_torchvision_layout_differs_where_the_paper_says_otherwise():
    shipped = on_meta("googlenet", aux=True, layout="torchvision")
    assert shipped.maxpool4.kernel_size == 2
    assert shipped.dropout.p == 0.2


def test_xavier_leaves_biases_as_caffe_has_them(network):
    assert torch.all(network.conv1.conv.bias == 0.2)
    assert torch.all(network.fc.bias == 0)
    weight = network.inception_3a["1x1"].conv.weight
    bound = (6 / (192 + 64)) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
