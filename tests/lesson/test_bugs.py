"""The bugs of the lessons do what their solutions say."""

import torch

from inception_edu.lesson import bugs


def test_the_pool_with_a_stride_leaves_most_of_its_channels_at_zero():
    x = torch.rand(8, 192, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y = bugs.stride_in_the_pool()(x)
    assert y.shape == (8, 416, 12, 12)
    pool = y[:, 224:]
    dead = (pool == 0).all(dim=1).all(dim=0).sum().item()
    assert (dead, round(100 * dead / 144)) == (119, 83)
