"""Whether probabilities sum to one, and along which axis of a file's tensor they should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnlint.runtime.tails import Tail

TOLERANCES = {"float64": 1e-6, "float32": 1e-3, "float16": 1e-2}
"""How far a sum of rounded probabilities may be from one; 1e-3 is what a thousand classes of float32 never reach."""

QUANTIZED = 0.05
"""The same where values have eight bits: a thousand classes round away several hundredths."""


def class_axis(tail: Tail, value: NDArray[Any]) -> int | None:
    """Return the axis of the classes; None for a sigmoid and for a tensor that has no such axis."""
    if tail.axis is None:
        return None
    axis = tail.axis + value.ndim if tail.axis < 0 else tail.axis
    return axis if 0 <= axis < value.ndim else None


def worst_sum(value: NDArray[Any], axis: int, *, logarithm: bool) -> tuple[float | None, float]:
    """Return the sum along `axis` that is farthest from one, and how far it may be.

    Args:
        value: Probabilities.
        axis: That of the classes.
        logarithm: Whether these are logarithms of probabilities.

    Returns:
        None for the sum where no sum is finite.
    """
    import numpy as np

    wide = value.astype(np.float64)
    sums = (np.exp(wide) if logarithm else wide).sum(axis=axis).reshape(-1)
    sums = sums[np.isfinite(sums)]
    allowed = TOLERANCES.get(value.dtype.name, QUANTIZED)
    return (float(sums[np.abs(sums - 1).argmax()]), allowed) if sums.size else (None, allowed)
