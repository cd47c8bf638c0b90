"""Products and quotients of extents, some of which are symbols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from cnnlint.graph.tensor import Dim

SIGN = "*"
"""Joins the factors of a derived symbol: 64 windows a sample are "64*batch"."""


def product(dims: Iterable[Dim]) -> Dim:
    """Return the product of `dims`: a number, a symbol such as "64*batch", or None if one is unknown."""
    coefficient, symbols = 1, list[str]()
    for dim in dims:
        if dim is None:
            return None
        if isinstance(dim, int):
            coefficient *= dim
        else:
            factor, names = _factors(dim)
            coefficient *= factor
            symbols += names
    return _dim(coefficient, symbols)


def quotient(dividend: Dim, divisor: Dim) -> Dim:
    """Return `dividend / divisor`, or None if it is unknown or no whole number."""
    if dividend is None or divisor is None:
        return None
    above, above_names = _factors(dividend)
    below, below_names = _factors(divisor)
    rest = Counter(above_names)
    rest.subtract(below_names)
    if below == 0 or above % below or min(rest.values(), default=0) < 0:
        return None
    return _dim(above // below, list(rest.elements()))


def _factors(dim: int | str) -> tuple[int, list[str]]:
    if isinstance(dim, int):
        return dim, []
    names = dim.split(SIGN)
    numbers = [int(name) for name in names if name.isdecimal()]
    return prod(numbers), [name for name in names if not name.isdecimal()]


def _dim(coefficient: int, symbols: list[str]) -> Dim:
    if not symbols or coefficient == 0:
        return coefficient
    names = sorted(symbols)
    return SIGN.join(names if coefficient == 1 else [str(coefficient), *names])
