"""Whether a sample fares the same in different company."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCES = {"float64": 1e-6, "float32": 1e-3, "float16": 3e-2}
"""Relative to a tensor's largest magnitude, or to the range of the function that made it.

A batch of another size is summed in another order, and no more. Statistics of a batch of two instead of moving ones
change values by a tenth and more.
"""


def tolerance(value: NDArray[Any]) -> float:
    """Return the relative error that rounding may come to for values of this type; 0 for whole numbers."""
    return TOLERANCES.get(value.dtype.name, 0.0)


def sample_error(
    first: NDArray[Any], again: NDArray[Any], batch: int, batch_again: int, *, scale: float | None = None
) -> float | None:
    """Return the largest error of the first sample between two runs, relative to its largest magnitude.

    Args:
        first: A tensor in the first run, its first axis the batch or a multiple of it.
        again: The same tensor in the second run.
        batch: Samples in the first run.
        batch_again: Samples in the second.
        scale: What the error is relative to, where that is known: 1 for a sigmoid, whose values may all be tiny.

    Returns:
        None if the tensors have no batch axis, or their other extents depend on the data.
    """
    import numpy as np

    if not first.ndim or not again.ndim or first.shape[1:] != again.shape[1:] or first.dtype.kind not in "fiub":
        return None
    rows, rest = divmod(first.shape[0], batch)
    rows_again, rest_again = divmod(again.shape[0], batch_again)
    if rest or rest_again or not rows or rows != rows_again:
        return None
    left, right = first[:rows].astype(np.float64), again[:rows].astype(np.float64)
    finite = np.isfinite(left) & np.isfinite(right)
    if not finite.any():
        return None
    scale = float(np.abs(left[finite]).max()) if scale is None else scale
    error = float(np.abs(left[finite] - right[finite]).max())
    return error / scale if scale else float(error > 0)
