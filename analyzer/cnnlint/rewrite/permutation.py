"""Large arrays with their axes in another order, written in passes that stay in the processor's cache."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE = 1 << 20
"""Elements from which passes beat NumPy's own copy."""

STEP, RUN = 8, 16
"""Entries of the second axis that a pass takes: at least `STEP`, and so many that it writes `RUN` elements in a row.

Measured on kernels of 25,088 × 4,096 and 4,096 × 4,096: fewer waste cache lines, more leave the cache.
"""


def contiguous(view: NDArray[Any], *, threads: int = 1, out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return the values of `view`, a transposed array as a rule, in a contiguous array: `out`, or a new one.

    NumPy copies a large transposed kernel element by element across the whole of both arrays; taking a few
    entries of the result's second axis at a time is 3 to 4 times faster on the kernels of VGG16's dense layers.
    """
    import numpy as np  # noqa: PLC0415 - a static lint does without

    result = np.empty(view.shape, dtype=view.dtype) if out is None else out
    if view.size < LARGE or view.ndim < 2 or view.flags.c_contiguous:
        np.copyto(result, view)
        return result
    step = max(STEP, RUN * view.shape[0] * view.shape[1] // view.size)

    def copy(start: int) -> None:
        result[:, start : start + step] = view[:, start : start + step]

    starts = range(0, view.shape[1], step)
    if threads < 2:
        for start in starts:
            copy(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(copy, starts))
    return result
