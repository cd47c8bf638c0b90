"""How far two tensors that should be equal are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

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


def nearest(expected: Iterable[Array], actual: Iterable[Array]) -> tuple[Error, tuple[int, ...]]:
    """Return the least error between forms of one tensor and forms of another, and the shape of what was expected.

    Forms are orders of the axes that fit alike, and calls of one layer. A tensor that is right has a form without
    error; what is wrong has one in no form but by an accident that the next layer brings to light.
    """
    actual = list(actual)
    found = [(error(left, right), left.shape) for left in expected for right in actual]
    return min(found, key=lambda entry: entry[0])


def error(expected: Array, actual: Array) -> Error:
    """Return the largest differences of two tensors, extents of 1 aside."""
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
    if not (np.isfinite(right) == finite).all():
        return Error(float("inf"), float("inf"), "finite in one model only")
    if not finite.any():
        return Error(0.0, 0.0, "no value is finite")
    apart = float(np.abs(left - right, where=finite, out=np.zeros_like(left)).max())
    scale = float(np.abs(left[finite]).max())
    return Error(apart / scale if scale else float("inf") if apart else 0.0, apart)


def _squeezed(value: Array) -> Array:
    return (
        value.reshape([value.shape[0], *(extent for extent in value.shape[1:] if extent != 1)]) if value.ndim else value
    )


def _by(value: Array) -> str:
    return "×".join(map(str, value.shape)) or "scalar"
