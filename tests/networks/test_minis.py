"""The minis: small, ten classes, alike in all but the idea that each shows."""

import pytest
import torch
from torch import nn

import inception_edu as ie
from inception_edu.networks.minis import MINIS, ResidualBlock


@pytest.mark.parametrize("name", MINIS)
def test_ten_classes_from_images_of_48(name):
    model = ie.create_model(name)
    assert model(torch.zeros(2, 3, 48, 48)).shape == (2, 10)
    assert model.name == name and model.input_size == 48
    if name != "mini_v3":
        with pytest.raises(ValueError, match="no auxiliary head"):
            ie.create_model(name, aux=True)


def norms(module):
    return sum(isinstance(layer, nn.BatchNorm2d) for layer in module.modules())


def test_v3s_two_rungs_change_the_stem_and_the_head_alone():
    models = {
        (stem, bn): ie.create_model("mini_v3", aux=True, stem=stem, bn_aux=bn)
        for stem in ("plain", "factorized")
        for bn in (True, False)
    }
    bodies = set()  # how many norms lie between stem and head: the same in all
    for (stem, bn), model in models.items():
        kernels = [
            layer.kernel_size
            for layer in model.stem.modules()
            if isinstance(layer, nn.Conv2d)
        ]
        assert kernels == ([(7, 7)] if stem == "plain" else [(3, 3)] * 3)
        head = model.aux_heads["mixed_b"]
        assert norms(head) == 1 + bn  # the 1x1 always, the "fully connected" if bn
        assert norms(head.proj) == 1 and isinstance(head.fc, nn.Linear)
        bodies.add(norms(model) - norms(model.aux_heads) - norms(model.stem))
        outputs = model.train()(torch.zeros(2, 3, 48, 48))
        assert outputs.logits.shape == outputs.aux[0].shape == (2, 10)
        assert model.eval()(torch.zeros(2, 3, 48, 48)).shape == (2, 10)
    assert len(bodies) == 1


def test_v4_modules_of_a_grid_are_alike_and_can_be_counted():
    model = ie.create_model("mini_v4", a=2, b=3, c=2)
    assert [name for name, _ in model.stages()] == [
        *("stem", "a1", "a2", "reduction_a", "b1", "b2", "b3"),
        *("reduction_b", "c1", "c2", "avgpool", "flatten", "dropout", "fc"),
    ]
    shapes = {str(module) for name, module in model.stages() if name in ("c1", "c2")}
    assert len(shapes) == 1


@pytest.mark.parametrize("top", [96, 1056])
def test_a_wide_top_changes_the_last_grid_alone(top):
    model = ie.create_model("mini_resnet", top=top, c=2)
    rows = ie.trace(model, (1, 3, 48, 48)).by_module()
    found = {row.path: row.out_shape[1:] for row in rows}
    expected = {"b2": (56, 11, 11), "reduction_b": (top, 5, 5), "c2": (top, 5, 5)}
    assert found.items() >= expected.items()
    widths = {m.branches["1x1"].conv.out_channels for m in (model.c1, model.c2)}
    assert widths == {32}


def test_a_block_adds_its_scaled_branches_or_is_these_alone():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 5, 5)
    for residual in (True, False):
        sizes = 8, 4, ((1, 3), (3, 1))
        block = ResidualBlock(*sizes, scale=0.3, residual=residual).eval()
        scaled = 0.3 * block.up(block.branches(x))
        assert torch.allclose(block(x), torch.relu(residual * x + scaled))
        model = ie.create_model("mini_resnet", residual=residual, scale=0.4)
        blocks = [m for m in model.modules() if isinstance(m, ResidualBlock)]
        assert {(b.scale, b.residual) for b in blocks} == {(0.4, residual)}
