"""Products and quotients of extents with symbols."""

from __future__ import annotations

import pytest

from cnnlint.graph.dims import product, quotient
from cnnlint.graph.tensor import Dim


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        ((2, 3), 6),
        ((), 1),
        (("batch", 64), "64*batch"),
        (("64*batch", 2), "128*batch"),
        (("batch", "height"), "batch*height"),
        ((0, "batch"), 0),
        ((2, None), None),
    ],
)
def test_products(dims: tuple[Dim, ...], expected: Dim) -> None:
    assert product(dims) == expected


@pytest.mark.parametrize(
    ("dividend", "divisor", "expected"),
    [
        (12, 4, 3),
        (12, 5, None),
        ("64*batch", 64, "batch"),
        ("64*batch", "batch", 64),
        ("batch", "height", None),
        (6, 0, None),
        (None, 2, None),
    ],
)
def test_quotients(dividend: Dim, divisor: Dim, expected: Dim) -> None:
    assert quotient(dividend, divisor) == expected
