"""The order of the axes: a graph's is batch, channels, space; a file's tensor may have its channels last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cnnlint.graph.tensor import Shape
    from cnnlint.runtime.runner import Port

    Array = NDArray[Any]

Layout = Literal["channels_first", "channels_last"]


def stored_axes(port: Port, shape: Shape, layout: Layout) -> tuple[int, ...] | None:
    """Return which axes of an array of `shape`, channels first, make the array that `port` is fed, in order.

    Args:
        port: An input.
        shape: What the graph has for it, or for its counterpart in another model.
        layout: The usual order in its model, which decides where both orders fit the shape.

    Returns:
        None if the input is of another shape in any order.
    """
    plain = tuple(range(len(shape)))
    if port.shape is None:
        return plain
    last = (0, *plain[2:], 1) if len(plain) > 2 else plain
    fitting = [axes for axes in (plain, last) if _fits(port.shape, tuple(shape[axis] for axis in axes), batch=True)]
    wanted = last if layout == "channels_last" else plain
    return wanted if wanted in fitting else fitting[0] if fitting else None


def channels_first(value: Array, shape: Shape | None) -> list[Array]:
    """Return `value` with its channels first, in each way that fits the `shape` that the graph has for it.

    Where extents are equal or unknown, both orders may fit.
    """
    return [array for array in _orders(value) if shape is not None and _fits(array.shape, shape)] or [value]


def like(value: Array, shape: Shape | None, expected: list[Array]) -> list[Array]:
    """Return `value` in each order that gives the shape of one of `expected`, or else with its channels first.

    A graph may take an order for another behind an operator that it cannot see through.
    """
    shapes = {array.shape for array in expected}
    return [array for array in _orders(value) if array.shape in shapes] or channels_first(value, shape)


def _orders(value: Array) -> list[Array]:
    if value.ndim < 3:
        return [value]
    return [value, value.transpose((0, value.ndim - 1, *range(1, value.ndim - 1)))]


def _fits(extents: Shape, shape: Shape, *, batch: bool = False) -> bool:
    """Return whether all that is known in numbers agrees, the first axis aside unless `batch`."""
    first = 0 if batch else 1
    return len(extents) == len(shape) and all(
        left == right or not isinstance(left, int) or not isinstance(right, int)
        for left, right in zip(extents[first:], shape[first:], strict=True)
    )
