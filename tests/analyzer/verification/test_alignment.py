"""The alignment finds a longest common course, and stays linear where there is next to none."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlint.verification import matching as alignment
from cnnlint.verification.matching import align

SEQUENCES = st.lists(st.integers(0, 3), max_size=16)


def longest_common(left: list[int], right: list[int]) -> int:
    """Return the length by the textbook's table."""
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@given(SEQUENCES, SEQUENCES)
def test_pairs_are_equal_rising_and_as_many_as_can_be(left: list[int], right: list[int]) -> None:
    pairs = list(align(left, right))
    assert all(left[i] == right[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
    assert len(pairs) == longest_common(left, right)


@given(st.lists(st.integers(0, 3), max_size=40), st.lists(st.integers(0, 3), max_size=40))
def test_pairs_are_equal_and_rising_beyond_the_differences_that_are_weighed(left: list[int], right: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alignment, "EDITS", 3)
        pairs = list(align(left, right))
    assert all(left[i] == right[j] for i, j in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))


@pytest.mark.slow
def test_sequences_that_have_nothing_in_common_take_linear_time() -> None:
    def seconds(length: int) -> float:
        started = time.process_time()
        assert not list(align(range(length), range(length, 2 * length)))
        return time.process_time() - started

    short = seconds(10_000)
    assert seconds(40_000) < 4 * 2 * short  # 16 times if it were quadratic
