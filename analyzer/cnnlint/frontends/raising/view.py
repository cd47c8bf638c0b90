"""Source tensors as permutations of channels-first ones, so transposes cost nothing; and the search for layouts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from msgspec import Struct

from cnnlint.errors import ContradictionError
from cnnlint.graph.tensor import Dim, Shape, Tensor, no_axis

Permutation = tuple[int, ...]

T = TypeVar("T")


def to_channels_first(rank: int) -> Permutation:
    """Return the permutation from (batch, ..., channels) to (batch, channels, ...)."""
    return (0, rank - 1, *range(1, rank - 1))


def to_channels_last(rank: int) -> Permutation:
    """Return the permutation from (batch, channels, ...) to (batch, ..., channels)."""
    return (0, *range(2, rank), 1)


def inverse(permutation: Permutation) -> Permutation:
    """Return the permutation that undoes another."""
    return tuple(permutation.index(axis) for axis in range(len(permutation)))


def without(values: tuple[T, ...], axis: int) -> tuple[T, ...]:
    """Return the values of all axes except one."""
    return (*values[:axis], *values[axis + 1 :])


def is_row(shape: Shape | None) -> bool:
    """Return whether at most one axis besides the batch is longer than 1, so no permutation moves elements."""
    return shape is not None and sum(dim != 1 for dim in shape[1:]) <= 1


def axis_within(axis: int, shape: Shape | None) -> int:
    """Return `axis` counted from the front.

    Raises:
        ContradictionError: A tensor of `shape` has no such axis.
    """
    if wrong := no_axis(axis, shape):
        raise ContradictionError(wrong)
    return axis if shape is None else axis % len(shape)


class TensorView(Struct, frozen=True):
    """A tensor of the graph in the source's layout.

    Attributes:
        tensor: In the graph's layout.
        permutation: The tensor's axis at each axis of the source; None if the layouts are the same.
    """

    tensor: Tensor
    permutation: Permutation | None = None

    @property
    def shape(self) -> Shape | None:
        """The shape in the source's layout."""
        shape = self.tensor.shape
        if shape is None or self.permutation is None:
            return shape
        return tuple(shape[axis] for axis in self.permutation)

    @property
    def rank(self) -> int | None:
        """The number of axes; None if unknown."""
        return self.tensor.rank

    @property
    def is_channels_last(self) -> bool:
        """Whether the source is channels-last."""
        return self.permutation is not None and self.permutation == to_channels_last(len(self.permutation))

    def axis(self, source_axis: int) -> int:
        """Return the graph's axis for an axis of the source, which may be negative.

        Raises:
            ContradictionError: There is no such axis.
        """
        if self.rank is None:
            return source_axis
        axis = axis_within(source_axis, self.tensor.shape)
        return axis if self.permutation is None else self.permutation[axis]

    def transposed(self, permutation: Permutation) -> TensorView:
        """Return the view after a transpose in the source.

        Raises:
            ContradictionError: `permutation` is not a permutation of the axes.
        """
        rank = len(permutation) if self.rank is None else self.rank
        if sorted(permutation) != list(range(rank)):
            raise ContradictionError(f"{permutation} is not a permutation of {rank} axes")
        order = permutation if self.permutation is None else tuple(self.permutation[axis] for axis in permutation)
        return TensorView(self.tensor, None if order == tuple(range(len(order))) else order)

    def of(self, tensor: Tensor) -> TensorView:
        """Return a view of another tensor (of the same rank) in the same layout."""
        return TensorView(tensor, self.permutation)

    def in_graph_order(self, extents: tuple[Dim, ...]) -> tuple[Dim, ...]:
        """Return one value per axis in the graph's layout, given in the source's.

        Raises:
            ContradictionError: The numbers of values and axes differ.
        """
        if self.permutation is None:
            return extents
        if len(extents) != len(self.permutation):
            raise ContradictionError(f"it gives {len(extents)} numbers for {len(self.permutation)} axes")
        result: list[Dim] = [None] * len(extents)
        for source_axis, axis in enumerate(self.permutation):
            result[axis] = extents[source_axis]
        return tuple(result)


K = TypeVar("K", bound=Hashable)

FAR = 64
"""Most tensors that the search visits."""


class LayoutVerdict(Struct, frozen=True):
    """What a reader tells about a tensor: the permutation that makes it channels-first; None if it already is."""

    permutation: Permutation | None


def find_layout(
    start: K, shape: Shape, readers: Callable[[K, Shape], Iterable[LayoutVerdict | tuple[K, Shape]]]
) -> LayoutVerdict | None:
    """Return what the nearest reader tells about a tensor's layout; None if no reader within reach does.

    Args:
        start: The tensor's name in the source.
        shape: In the source's layout.
        readers: Yields what the readers of a tensor of a shape tell: a verdict, or another tensor that has the same
            layout, with its shape.
    """
    seen, ahead = {start}, deque([(start, shape)])
    while ahead and len(seen) < FAR:
        for said in readers(*ahead.popleft()):
            if isinstance(said, LayoutVerdict):
                return said
            if said[0] not in seen:
                seen.add(said[0])
                ahead.append(said)
    return None
