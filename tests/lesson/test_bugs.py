"""The bugs of the lessons do what their solutions say."""

import torch

import inception_edu as ie
from inception_edu.lesson import bugs


def test_the_pool_with_a_stride_leaves_most_of_its_channels_at_zero():
    x = torch.rand(8, 192, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = bugs.stride_in_the_pool()(x)
    assert y.shape == (8, 416, 12, 12)
    pool = y[:, 224:]
    dead = (pool == 0).all(dim=1).all(dim=0).sum().item()
    assert (dead, round(100 * dead / 144)) == (119, 83)


def test_of_four_modules_only_measuring_tells_the_wrong_ones():
    found = {}
    for name, module in bugs.four_modules().items():
        trace = ie.trace(module, (1, 192, 28, 28))
        assert trace.output_shape == (1, 256, 28, 28)
        used = {i for op in trace.ops for i in op.inputs} | set(trace.outputs)
        unused = sum(op.index not in used for op in trace.ops)
        found[name] = trace.params, trace.receptive_field[0], unused
    assert found == {
        "A": (237_424, 9, 0),
        "B": (163_696, 5, 0),
        "C": (163_696, 5, 1),
        "D": (155_504, 3, 0),
    }
