"""GoogLeNet: what it returns, what it refuses, and the module in plain torch."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import inception_edu as ie
from inception_edu.networks.googlenet import TABLE_1, InceptionModule, NaiveModule
from inception_edu.networks.layers import ConvUnit, chain


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ie.create_model("googlenet", num_classes=7, aux=True)


def test_heads_answer_in_train_mode_alone(network):
    out = network.train()(torch.zeros(2, 3, 224, 224))
    assert type(out).__name__ == "Outputs"
    assert out.logits.shape == (2, 7)
    assert [tuple(head.shape) for head in out.aux] == [(2, 7), (2, 7)]
    assert list(network.aux_heads) == ["inception_4a", "inception_4d"]
    with torch.no_grad():
        assert network.eval()(torch.zeros(2, 3, 224, 224)).shape == (2, 7)
    with torch.device("meta"):
        out = ie.create_model("googlenet")(torch.empty(1, 3, 224, 224))
    assert isinstance(out, torch.Tensor)


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
    assert module.out_channels == 256
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
    with torch.device("meta"):
        shipped = ie.create_model("googlenet", aux=True, layout="torchvision")
    assert shipped.inception_3a["5x5"][1].conv.kernel_size == (3, 3)
    assert shipped.maxpool4.kernel_size == 2
    assert shipped.dropout.p == 0.2
    norms = [m for m in shipped.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 59
    assert {norm.eps for norm in norms} == {1e-3}


def test_the_heads_refuse_another_grid_and_say_what_to_do(network):
    with pytest.raises(ValueError, match="224x224 images or aux=False"):
        network.train()(torch.zeros(2, 3, 256, 256))
    with torch.no_grad():  # without heads any size from 31 on will do
        assert network.eval()(torch.zeros(1, 3, 256, 200)).shape == (1, 7)


def test_the_two_words_of_layers():
    unit = ConvUnit(3, 8, (1, 7))
    assert unit(torch.zeros(1, 3, 9, 9)).shape == (1, 8, 9, 9)
    assert ConvUnit(3, 8, 3, padding="valid")(torch.zeros(1, 3, 9, 9)).shape[2] == 7
    assert [name for name, _ in unit.named_children()] == ["conv", "norm", "relu"]
    assert unit.conv.bias is None
    assert list(chain({"x": unit, "y": [nn.ReLU()]})._modules) == ["x", "y"]


def test_xavier_leaves_biases_as_caffe_has_them(network):
    assert torch.all(network.conv1.conv.bias == 0.2)
    assert torch.all(network.fc.bias == 0)
    weight = network.inception_3a["1x1"].conv.weight
    bound = (6 / (192 + 64)) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
