"""The difference of two tensors that should be equal, whatever the order of their axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cnnlint.graph.tensor import Shape

    Array = NDArray[Any]


class Error(Struct, frozen=True, order=True):
    """The largest difference of two tensors.

    Attributes:
        relative: Relative to the largest expected magnitude; infinite if the tensors cannot be compared.
        absolute: The largest absolute difference.
        note: Why they cannot be compared; "" if they can.
    """

    relative: float
    absolute: float
    note: str = ""


def nearest(
    expected: Iterable[Array], actual: Iterable[Array], *, scale: float | None = None
) -> tuple[Error, tuple[int, ...]]:
    """Return the smallest error between forms of two tensors, and the shape of the expected one.

    Forms are possible orders of the axes, and the calls of one layer. A correct tensor matches in one form; a wrong
    one does so only by accident, which the next layer reveals.
    """
    actual = list(actual)
    found = [(error(left, right, scale=scale), left.shape) for left in expected for right in actual]
    return min(found, key=lambda entry: entry[0])


def error(expected: Array, actual: Array, *, scale: float | None = None) -> Error:
    """Return the largest difference of two tensors; axes of extent 1 are ignored.

    Args:
        expected: The reference.
        actual: The tensor to compare with it.
        scale: What the error is relative to, if known: 1 for a sigmoid, whose values may all be tiny.
    """
    import numpy as np

    if expected.shape != actual.shape:
        plain, again = _squeezed(expected), _squeezed(actual)
        if plain.shape != again.shape:
            return Error(float("inf"), float("inf"), f"{_by(expected)} vs. {_by(actual)}")
        expected, actual = plain, again
    if expected.size == 0:
        return Error(0.0, 0.0)
    left, right = expected.astype(np.float64), actual.astype(np.float64)
    finite = np.isfinite(left)
    if finite.all() and np.isfinite(right).all():
        apart = float(np.abs(left - right).max())
        return _relative(apart, float(np.abs(left).max()) if scale is None else scale)
    if not (np.isfinite(right) == finite).all():
        return Error(float("inf"), float("inf"), "finite in one model only")
    if not finite.any():
        return Error(0.0, 0.0, "no value is finite")
    apart = float(np.abs(left - right, where=finite, out=np.zeros_like(left)).max())
    largest = float(np.abs(left[finite]).max()) if scale is None else scale
    return _relative(apart, largest)


def _relative(apart: float, largest: float) -> Error:
    return Error(apart / largest if largest else float("inf") if apart else 0.0, apart)


def channels_first(value: Array, shape: Shape | None) -> list[Array]:
    """Return `value` channels first, in each order of axes that fits the `shape` in the graph.

    Both orders may fit if extents are equal or unknown.
    """
    return [array for array in _orders(value) if shape is not None and fits(array.shape, shape)] or [value]


def like(value: Array, shape: Shape | None, expected: list[Array]) -> list[Array]:
    """Return `value` in each order of axes that gives the shape of one of `expected`, or else channels first.

    After an operator that it cannot analyze, a graph may have the wrong order.
    """
    shapes = {array.shape for array in expected}
    return [array for array in _orders(value) if array.shape in shapes] or channels_first(value, shape)


def channels_first_axes(rank: int) -> list[tuple[int, ...]]:
    """Return the permutations that may make a tensor of `rank` channels first: the identity, or from channels last."""
    plain = tuple(range(rank))
    return [plain] if rank < 3 else [plain, (0, rank - 1, *plain[1:-1])]


def fits(extents: Shape, shape: Shape, *, batch: bool = False) -> bool:
    """Return whether the known extents agree, ignoring the first axis unless `batch`."""
    first = 0 if batch else 1
    return len(extents) == len(shape) and all(
        left == right or not isinstance(left, int) or not isinstance(right, int)
        for left, right in zip(extents[first:], shape[first:], strict=True)
    )


def _orders(value: Array) -> list[Array]:
    return [value.transpose(axes) for axes in channels_first_axes(value.ndim)]


def _squeezed(value: Array) -> Array:
    return (
        value.reshape([value.shape[0], *(extent for extent in value.shape[1:] if extent != 1)]) if value.ndim else value
    )


def _by(value: Array) -> str:
    return "×".join(map(str, value.shape)) or "scalar"
