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


def dead_columns(branch, one, other):
    """How many columns of the output are the same for two images."""
    with torch.no_grad():
        change = (branch(one) - branch(other)).abs().amax((0, 1, 2))
    return (change == 0).sum().item()


def test_of_four_asymmetric_modules_each_bug_shows_in_another_measure():
    grid = (1, 768, 17, 17)
    images = torch.randn(2, *grid, generator=torch.Generator().manual_seed(0))
    found = {}
    for name, module in bugs.asymmetric_modules().items():
        trace, short = ie.trace(module, grid), module["7x7"]
        assert trace.output_shape == grid
        found[name] = (
            trace.params,
            trace.macs,
            ie.trace(short, grid).receptive_field,
            dead_columns(short, *images),
        )
    weights = 192 * (4 * 768 + 6 * 7 * 192)  # four 1x1 and six of seven weights
    params, macs = weights + 2 * 10 * 192, weights * 17 * 17
    one = 192 * 192 * 7
    assert found == {
        "A": (params, macs, (1, 13), 0),
        "B": (params, macs, (7, 7), 0),
        "C": (params - one - 2 * 192, macs, (7, 7), 0),
        "D": (params, macs - one * (17 * 17 - 11 * 23), (7, 7), 6),
    }


def test_the_ported_optimizer_takes_steps_317_times_too_large():
    steps = []
    for make in (
        bugs.ported_optimizer,
        lambda w: torch.optim.RMSprop(w, 0.045, 0.9, 1),
    ):
        weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.double))
        weight.grad = torch.full_like(weight, 0.01)
        make([weight]).step()
        steps.append(-weight.item())
    assert round(steps[0], 4) == 0.1423
    assert round(steps[0] / steps[1]) == 317


def test_the_smoothed_loss_has_another_minimum_than_the_papers():
    wrong = torch.full((1, 10), 0.1 / 9, dtype=torch.double)
    wrong[0, 3] = 0.9
    assert round(bugs.smoothed_loss(wrong.log(), torch.tensor([3])).item(), 4) == 0.5448


def test_the_heads_5x5_starts_ten_times_too_wide():
    head = bugs.fresh_head()
    bugs.initialize(head)
    assert round(head.full.conv.weight.std().item(), 2) == 0.1


def test_of_four_stacks_of_a_only_measuring_tells_the_wrong_ones():
    grid = (1, 384, 35, 35)
    found, macs = {}, set()
    for name, stack in bugs.stacks_of_a().items():
        trace = ie.trace(stack, grid)
        assert trace.output_shape == grid
        macs.add(trace.macs)
        stack(torch.rand(1, 384, 5, 5)).sum().backward()
        blind = sum(p.grad is None for p in stack.parameters())
        averaged = stack[0]["pool"].pool(torch.ones(grid))
        border = round(100 * (averaged < 0.999).float().mean().item())
        found[name] = trace.params, trace.receptive_field[0], blind, border
    one = 317_632
    assert len(macs) == 1
    assert found == {
        "P": (4 * one, 13, 21, 0),
        "Q": (4 * one, 17, 0, 0),
        "R": (4 * one, 17, 0, 11),
        "S": (one, 17, 0, 0),
    }


def test_of_three_ports_one_is_wrong_in_quiet_channels_and_one_at_the_border():
    original, ports = bugs.ported_pool_branches()
    x = torch.rand(4, 64, 8, 8, generator=torch.Generator().manual_seed(0))
    found = {}
    with torch.no_grad():
        for name, port in ports.items():
            difference = (port(x) - original(x)).abs()
            assert port(x).shape == (4, 8, 8, 8)
            by_channel = difference.amax((0, 2, 3))
            inside = difference.amax((0, 1))[1:-1, 1:-1]
            large = (by_channel > 1).nonzero().flatten().tolist()
            found[name] = large, bool(inside.max() > 0.1), bool(difference.any())
    assert found["A"] == ([2, 5], True, True)
    assert found["B"] == ([], False, False)
    assert found["C"][1:] == (False, True)


def test_of_four_residual_blocks_one_passes_its_input_on_and_leaves_it_alone():
    x = torch.randn(2, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    kept, unchanged = {}, {}
    with torch.no_grad():
        for name, block in bugs.residual_blocks().items():
            given = x.clone()
            assert block(given).shape == x.shape
            unchanged[name] = torch.equal(given, x)
            block.up.weight.zero_()
            block.up.bias.zero_()
            share = block(x.relu()).norm() / x.relu().norm()
            kept[name] = round(share.item(), 3)
    assert kept == {"A": 0.1, "B": 0.0, "C": 1.0, "D": 1.0}
    assert unchanged == {"A": True, "B": True, "C": True, "D": False}
