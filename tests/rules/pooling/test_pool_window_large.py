from __future__ import annotations

import pytest

from cnnlint_rules.pooling.pool_window_large import PoolWindowLarge


@pytest.mark.parametrize(
    ("shape", "pool", "found"),
    [
        ("3x64x64", "POOL 4", True),
        ("3x64x64", "POOL 5 stride 2", True),
        ("3x64x64", "POOL 3 stride 2", False),
        ("3x64x64", "POOL 2x4", False),  # 8 values, fewer than 3 × 3
        ("3x64x64", "POOL 13 stride 1 same", False),  # spatial pyramid pooling
        ("3x64x64", "POOL 64", False),
        ("3x64x64", "AVGPOOL 8", False),
        ("3x1000", "POOL 4", False),
        ("3x1000", "POOL 10", True),
        ("3x16x16x16", "POOL 3 stride 2", False),
        ("3x16x16x16", "POOL 4", True),
    ],
)
def test_a_window_is_large_by_the_values_that_it_takes_one_of(lint, shape, pool, found):
    text = f"INPUT {shape} -> {pool} -> CONV 8 1{'x1' * (shape.count('x') - 1)} -> RELU -> GAP -> FC 3"
    assert bool(lint(PoolWindowLarge(), text).findings) == found
