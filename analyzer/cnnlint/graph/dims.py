"""Products and quotients of extents, which may be symbolic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import prod

from cnnlint import limits
from cnnlint.graph.tensor import Dim

SIGN = "*"
"""Joins the factors of a derived symbol: 64 windows per sample are "64*batch"."""


def product(dims: Iterable[Dim]) -> Dim:
    """Return the product of `dims`: a number, a symbol such as "64*batch", or None.

    None if an extent is unknown, the number does not fit in 64 bits, or the symbol gets too long.
    """
    numbers, symbols = list[int](), list[str]()
    for dim in dims:
        if dim is None:
            return None
        if isinstance(dim, int):
            numbers.append(dim)
        else:
            factor, names = _factors(dim)
            numbers.append(factor)
            symbols += names
    return _dim(limits.product(numbers), symbols)


def quotient(dividend: Dim, divisor: Dim) -> Dim:
    """Return `dividend / divisor`, or None if it is unknown or not an integer."""
    if dividend is None or divisor is None:
        return None
    above, above_names = _factors(dividend)
    below, below_names = _factors(divisor)
    rest = Counter(above_names)
    rest.subtract(below_names)
    if below == 0 or above % below or min(rest.values(), default=0) < 0:
        return None
    return _dim(above // below, list(rest.elements()))


def bound(dim: Dim, symbol: str) -> Dim:
    """Return `dim` with `symbol` set to 1."""
    rest: Dim = dim
    while isinstance(rest, str) and (less := quotient(rest, symbol)) is not None:
        rest = less
    return rest


def _factors(dim: int | str) -> tuple[int, list[str]]:
    if isinstance(dim, int):
        return dim, []
    names = dim.split(SIGN)
    numbers = [int(name) for name in names if _is_number(name)]
    return prod(numbers), [name for name in names if not _is_number(name)]


def _is_number(name: str) -> bool:
    """Return whether a factor of a symbol is a number, rather than an extent's name in the file."""
    return name.isdecimal() and len(name) < len(str(limits.MAX_INT64))


def _dim(coefficient: int | None, symbols: list[str]) -> Dim:
    if not symbols or not coefficient:
        return coefficient
    names = sorted(symbols)
    symbol = SIGN.join(names if coefficient == 1 else [str(coefficient), *names])
    return symbol if len(symbol) <= limits.MAX_SYMBOL else None
