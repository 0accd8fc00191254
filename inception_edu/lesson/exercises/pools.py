"""What the exercises on Inception v1 share: its pool, and mistakes with it."""

from torch.nn import functional as F

from inception_edu.lesson.module_mistakes import identity

NO_NORM = (
    "Your module has batch norm, which GoogLeNet does not have: with the package's "
    '`ConvUnit`, pass `norm="none"`.'
)


def max_pool(x):
    """Max pool 3x3 of stride 1, which keeps the grid."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def average_pool(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1)


def average_pool_no_pad(x):
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def wide_pool(x):
    return F.max_pool2d(x, 5, stride=1, padding=2)


POOLS = {
    "the pool branch is a max pool, not an average pool": [
        {"pool": average_pool},
        {"pool": average_pool_no_pad},
    ],
    "the pool branch has a 3x3 window": {"pool": wide_pool},
    "the pool branch pools: the max pool is missing": {"pool": identity},
}
