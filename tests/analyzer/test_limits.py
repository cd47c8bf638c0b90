"""The limits: what they count, and that beyond them a value is unknown or the model is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnlint import limits

EDGES = st.sampled_from([0, 1, -1, 2**31, 2**62, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**400])


@given(st.lists(st.integers(0, 2**64) | st.just(0), max_size=8))
def test_a_product_is_the_number_or_unknown_beyond_64_bits(numbers: list[int]) -> None:
    exact = 1
    for number in numbers:
        exact *= number
    assert limits.product(numbers) == (exact if exact < 2**63 else None)


@given(EDGES)
def test_an_int64_is_what_64_bits_hold(number: int) -> None:
    assert limits.int64(number) == (number if -(2**63) <= number < 2**63 else None)


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-9, 9).filter(bool))
def test_steps_are_those_of_a_range(start: int, stop: int, step: int) -> None:
    assert limits.steps(start, stop, step) == len(range(start, stop, step))


def test_steps_of_a_range_that_python_cannot_measure_are_counted() -> None:
    assert limits.steps(-(2**63), 2**63 - 1, 1) == 2**64 - 1


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 1e300])
def test_what_is_no_whole_number_of_64_bits_is_unknown(number: float) -> None:
    assert limits.whole(number) is None


def test_extents_beyond_the_limits_are_unknown() -> None:
    assert limits.extents((1, "n", None, 2**63 - 1)) == (1, "n", None, 2**63 - 1)
    assert limits.extents((-1, 2**63, 3)) == (None, None, 3)
    assert limits.extents((1,) * 64) == (1,) * 64
    assert limits.extents((1,) * 65) is None
    assert limits.unknown(64) == (None,) * 64
    assert limits.unknown(2**60) is None


def test_an_allowance_counts_and_names_what_it_limits() -> None:
    allowance = limits.Allowance(1000, "crumbs")
    assert allowance.take(600)
    assert not allowance.take(401)
    assert allowance.left == 400
    assert allowance.take(400)
    assert not allowance.take(1)
    assert allowance.exceeded == "has more than 1,000 crumbs, which is cnnlint's limit"
