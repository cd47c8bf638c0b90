"""Elements of constants, row-major, moved as operators move them: the arithmetic that exporters leave in a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite, prod
from struct import pack, unpack

from cnnlint import limits
from cnnlint.frontends.onnx.lowering.values import Constant
from cnnlint.graph.dims import product
from cnnlint.graph.tensor import Dim, known

Element = Dim | float
Elements = tuple[Element, ...]
Extents = tuple[int, ...]


def spelled_out(constant: Constant) -> tuple[Elements, Extents] | None:
    """Return the elements and the extents of a constant; None if either is unknown, or they do not fit."""
    extents = known(constant.shape)
    if constant.values is None or extents is None or limits.product(extents) != len(constant.values):
        return None
    return constant.values, extents


def mapped(constant: Constant, function: Callable[[float], float]) -> Elements | None:
    """Return a function of each element, of the constant's own kind of number; None for what is no number."""
    if constant.values is None:
        return None
    return tuple(_applied(function, value) for value in constant.values)


def _applied(function: Callable[[float], float], value: Element) -> Element:
    if not isinstance(value, int | float) or (isinstance(value, float) and not isfinite(value)):
        return None
    result = function(value)
    return float(result) if isinstance(value, float) else limits.whole(result)


def as_single(value: Element) -> Element:
    """Return a number as float32 holds it: what is rounded up or down afterwards may hang on its last bit."""
    if not isinstance(value, float):
        return value
    try:
        return float(unpack("f", pack("f", value))[0])
    except OverflowError:
        return None


def transposed(constant: Constant, permutation: Sequence[int]) -> Elements | None:
    """Return the elements with the axes in another order; None if they are unknown."""
    if (found := spelled_out(constant)) is None:
        return None
    values, extents = found
    steps = _steps(extents)
    return _strided(values, tuple(extents[axis] for axis in permutation), tuple(steps[axis] for axis in permutation))


def taken(constant: Constant, axis: int, places: Sequence[int]) -> Elements | None:
    """Return the elements at `places` of one axis, counted from the front; None if they are unknown, or too many."""
    if (found := spelled_out(constant)) is None:
        return None
    values, extents = found
    rows, width = prod(extents[:axis]), prod(extents[axis + 1 :])
    if not _fits((rows, len(places), width)):
        return None
    starts = [(row * extents[axis] + place) * width for row in range(rows) for place in places]
    return tuple(value for start in starts for value in values[start : start + width])


def joined(constants: Sequence[Constant], axis: int) -> Elements | None:
    """Return the elements of constants side by side along an axis counted from the front; None if one is unknown."""
    parts = [found for constant in constants if (found := spelled_out(constant)) is not None]
    counts = {prod(extents[:axis]) for _, extents in parts}
    if len(parts) < len(constants) or len(counts) != 1:
        return None
    widths = [(values, prod(extents[axis:])) for values, extents in parts]
    return tuple(
        value
        for row in range(counts.pop())
        for values, width in widths
        for value in values[row * width : (row + 1) * width]
    )


def spread(constant: Constant, shape: Sequence[Dim] | None) -> Elements | None:
    """Return the elements broadcast to `shape`; None if they or it are unknown, or they are too many."""
    target = None if shape is None else known(tuple(shape))
    found = spelled_out(constant)
    if found is None or target is None or not _fits(target):
        return None
    values, extents = found
    if extents == target:
        return values
    if len(extents) > len(target):
        return None
    extents = (*(1,) * (len(target) - len(extents)), *extents)
    if any(mine not in (1, wanted) for mine, wanted in zip(extents, target, strict=True)):
        return None
    steps = tuple(0 if extent == 1 else step for extent, step in zip(extents, _steps(extents), strict=True))
    return _strided(values, target, steps)


def _steps(extents: Extents) -> Extents:
    """Return how far apart neighbors along each axis lie."""
    return tuple(prod(extents[axis + 1 :]) for axis in range(len(extents)))


def _strided(values: Elements, extents: Extents, steps: Extents) -> Elements:
    places = [0]
    for extent, step in zip(extents, steps, strict=True):
        places = [place + index * step for place in places for index in range(extent)]
    return tuple(values[place] for place in places)


def _fits(extents: Sequence[int]) -> bool:
    size = product(extents)
    return isinstance(size, int) and size <= limits.MAX_FOLDED
