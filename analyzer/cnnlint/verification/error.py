"""How far two tensors that should be equal are apart, whatever the order of their axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cnnlint.graph.tensor import Shape

    Array = NDArray[Any]


class Error(Struct, frozen=True, order=True):
    """The largest difference.

    Attributes:
        relative: To the largest magnitude expected; infinite where the tensors cannot be compared.
        absolute: The largest absolute difference.
        note: Why they cannot be compared; "" if they can.
    """

    relative: float
    absolute: float
    note: str = ""


def nearest(
    expected: Iterable[Array], actual: Iterable[Array], *, scale: float | None = None
) -> tuple[Error, tuple[int, ...]]:
    """Return the least error between forms of one tensor and forms of another, and the shape of what was expected.

    Forms are orders of the axes that fit alike, and calls of one layer. A tensor that is right has a form without
    error; what is wrong has one in no form but by an accident that the next layer brings to light.
    """
    actual = list(actual)
    found = [(error(left, right, scale=scale), left.shape) for left in expected for right in actual]
    return min(found, key=lambda entry: entry[0])


def error(expected: Array, actual: Array, *, scale: float | None = None) -> Error:
    """Return the largest differences of two tensors, extents of 1 aside.

    Args:
        expected: What is taken for right.
        actual: What is held against it.
        scale: What the error is relative to, where that is known: 1 for a sigmoid, whose values may all be tiny.
    """
    import numpy as np

    if expected.shape != actual.shape:
        plain, again = _squeezed(expected), _squeezed(actual)
        if plain.shape != again.shape:
            return Error(float("inf"), float("inf"), f"{_by(expected)} against {_by(actual)}")
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
    """Return `value` with its channels first, in each way that fits the `shape` that the graph has for it.

    Where extents are equal or unknown, both orders may fit.
    """
    return [array for array in _orders(value) if shape is not None and fits(array.shape, shape)] or [value]


def like(value: Array, shape: Shape | None, expected: list[Array]) -> list[Array]:
    """Return `value` in each order that gives the shape of one of `expected`, or else with its channels first.

    A graph may take an order for another after an operator that it cannot see through.
    """
    shapes = {array.shape for array in expected}
    return [array for array in _orders(value) if array.shape in shapes] or channels_first(value, shape)


def channels_first_axes(rank: int) -> list[tuple[int, ...]]:
    """Return the axes of a tensor of `rank` with its channels first: as they stand, or those of channels last."""
    plain = tuple(range(rank))
    return [plain] if rank < 3 else [plain, (0, rank - 1, *plain[1:-1])]


def fits(extents: Shape, shape: Shape, *, batch: bool = False) -> bool:
    """Return whether all that is known in numbers agrees, the first axis aside unless `batch`."""
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
