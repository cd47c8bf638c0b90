"""The order of the axes: a graph's is batch, channels, space; a file's tensor may have its channels last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnlint.compare.side import Port
    from cnnlint.graph.tensor import Shape

    Array = NDArray[Any]

Layout = Literal["channels_first", "channels_last"]


def stored_axes(port: Port, layout: Layout) -> tuple[int, ...]:
    """Return which axes of a channels-first array make the array that `port` is fed, in order.

    Args:
        port: An input.
        layout: The usual order in its model, which decides where both orders fit the shape.
    """
    rank = len(port.canonical if port.canonical is not None else port.shape or ())
    plain = tuple(range(rank))
    if rank < 3 or port.canonical is None or port.shape is None or len(port.shape) != rank:
        return plain
    last = (0, *plain[2:], 1)
    fitting = [axes for axes in (plain, last) if _fits(port.shape, tuple(port.canonical[axis] for axis in axes))]
    wanted = last if layout == "channels_last" else plain
    return wanted if wanted in fitting or not fitting else fitting[0]


def channels_first(value: Array, shape: Shape | None) -> list[Array]:
    """Return `value` with its channels first, in each way that fits the `shape` that the graph has for it.

    Where extents are equal or unknown, both orders may fit.
    """
    if value.ndim < 3 or shape is None:
        return [value]
    moved = value.transpose((0, value.ndim - 1, *range(1, value.ndim - 1)))
    return [array for array in (value, moved) if _fits(array.shape, shape)] or [value]


def _fits(extents: Shape, shape: Shape) -> bool:
    return len(extents) == len(shape) and all(
        left == right or not isinstance(left, int) or not isinstance(right, int)
        for left, right in zip(extents[1:], shape[1:], strict=True)
    )
