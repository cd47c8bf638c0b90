"""Layers that move values without changing them: flatten, reshape, pad, crop, resize, split."""

from __future__ import annotations

from typing import Literal

from cnnlint.graph.dims import product
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Dim, Shape


class Flatten(Layer, frozen=True, kw_only=True, eq=False):
    """A map made a vector.

    Attributes:
        order: Which axis runs fastest in the vector: spatial ("channels_first") or channels ("channels_last").
    """

    order: Literal["channels_first", "channels_last"] = "channels_first"

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, product of all other extents)."""
        shape = self.input.shape
        return (None,) if shape is None else ((shape[0], product(shape[1:])),)


class Reshape(Layer, frozen=True, kw_only=True, eq=False):
    """The same elements in another shape.

    Attributes:
        target: The shape, batch included.
    """

    target: Shape | None

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the target."""
        return (self.target,)


class Transpose(Layer, frozen=True, kw_only=True, eq=False):
    """Axes in another order; only where the order matters to the network.

    Attributes:
        permutation: The input's axis at each place.
    """

    permutation: tuple[int, ...]

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the permuted extents."""
        shape = self.input.shape
        return (None,) if shape is None else (tuple(shape[axis] for axis in self.permutation),)


class Pad(Layer, frozen=True, kw_only=True, eq=False):
    """Rows and columns added around a map.

    Attributes:
        amounts: Before and after, for each axis, batch and channels included; negative ones cut.
        mode: What is put there.
        value: The constant, for "constant".
    """

    amounts: tuple[tuple[int, int], ...]
    mode: Literal["constant", "reflect", "edge", "wrap"] = "constant"
    value: float = 0.0

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return each extent plus what is added."""
        if (shape := self.input.shape) is None:
            return (None,)
        return (tuple(_plus(dim, sum(amount)) for dim, amount in zip(shape, self.amounts, strict=True)),)


class Crop(Layer, frozen=True, kw_only=True, eq=False):
    """A part cut out of a tensor: Cropping2D in Keras, Slice in ONNX.

    Attributes:
        target: The shape that is left.
        starts: Where the part begins on each axis, every entry from there on being taken; None if unknown.
    """

    target: Shape | None
    starts: tuple[int, ...] | None = None

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the target."""
        return (self.target,)


class Split(Layer, frozen=True, kw_only=True, eq=False):
    """A tensor cut into several along one axis.

    Attributes:
        axis: Along which it is cut.
        sizes: Extent of each part.
    """

    axis: int
    sizes: tuple[Dim, ...]

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the input's shape with each part's extent."""
        if (shape := self.input.shape) is None:
            return (None,) * len(self.sizes)
        axis = self.axis % len(shape)
        return tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in self.sizes)


class Resize(Layer, frozen=True, kw_only=True, eq=False):
    """A map scaled up or down by interpolation.

    Attributes:
        target: The shape, batch and channels included.
        interpolation: "nearest", "linear" or "cubic".
    """

    target: Shape | None
    interpolation: str

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the target."""
        return (self.target,)


class DepthToSpace(Layer, frozen=True, kw_only=True, eq=False):
    """Channels turned into space, or the other way round.

    Attributes:
        block_size: Extent of a block on each spatial axis.
        to_space: False for SpaceToDepth.
    """

    block_size: int
    to_space: bool = True

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, channels / block², extents × block), or the reverse."""
        if (shape := self.input.shape) is None:
            return (None,)
        batch, channels, *extents = shape
        area = self.block_size ** len(extents)
        if self.to_space:
            spatial = tuple(dim * self.block_size if isinstance(dim, int) else None for dim in extents)
            return ((batch, channels // area if isinstance(channels, int) else None, *spatial),)
        spatial = tuple(dim // self.block_size if isinstance(dim, int) else None for dim in extents)
        return ((batch, channels * area if isinstance(channels, int) else None, *spatial),)


def _plus(dim: Dim, amount: int) -> Dim:
    if amount == 0:
        return dim
    return dim + amount if isinstance(dim, int) else None
