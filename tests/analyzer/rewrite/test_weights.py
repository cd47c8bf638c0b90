"""Passes over a transposed array give what NumPy gives."""

from __future__ import annotations

import numpy as np
import pytest

from cnnlint.rewrite.weights import contiguous


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("shape", "permutation"),
    [
        ((3, 5), (1, 0)),
        ((1031, 1021), (1, 0)),
        ((7, 7, 64, 350), (3, 2, 0, 1)),
        ((350, 7, 7, 64), (0, 3, 1, 2)),
        ((1200, 1, 1, 900), (3, 0, 1, 2)),
    ],
)
def test_values_stand_where_the_permutation_says(
    shape: tuple[int, ...], permutation: tuple[int, ...], threads: int
) -> None:
    array = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    result = contiguous(array.transpose(permutation), threads=threads)
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, array.transpose(permutation))


def test_a_space_that_is_given_is_used() -> None:
    array = np.arange(1 << 21, dtype=np.float32).reshape(1 << 10, 1 << 11)
    space = np.empty((1 << 11, 1 << 10), np.float32)
    assert contiguous(array.T, out=space) is space
    np.testing.assert_array_equal(space, array.T)
