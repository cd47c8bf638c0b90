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

    NumPy copies a large transposed kernel element by element across the whole of both arrays. Taking a few entries
    of the result's second axis at a time, first as they lie and then turned, is 3 to 4 times faster on the first dense
    kernel of VGG16: its rows are a power of two bytes apart, so that a column of it shares a few cache lines, and
    a column of the compact copy does not.
    """
    import numpy as np

    result = np.empty(view.shape, dtype=view.dtype) if out is None else out
    if view.size < LARGE or view.ndim < 2 or view.flags.c_contiguous:
        np.copyto(result, view)
        return result
    step = max(STEP, RUN * view.shape[0] * view.shape[1] // view.size)
    as_it_lies = sorted(range(view.ndim), key=lambda axis: -abs(view.strides[axis]))
    back = [as_it_lies.index(axis) for axis in range(view.ndim)]

    def copy(starts: range) -> None:
        for start in starts:
            some = np.ascontiguousarray(view[:, start : start + step].transpose(as_it_lies))
            result[:, start : start + step] = some.transpose(back)

    shares = [range(first * step, view.shape[1], threads * step) for first in range(threads)]
    if threads < 2:
        copy(shares[0])
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(copy, shares))
    return result
