"""Layers that move values without changing them: flatten, reshape, pad, crop, resize, split."""

from __future__ import annotations

from typing import Literal

from cnnlint import limits
from cnnlint.graph.dims import product
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers.dense import no_axis
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

    def contradiction(self) -> str:
        """Return whether each axis has one place."""
        rank = len(self.permutation if self.input.shape is None else self.input.shape)
        if sorted(self.permutation) == list(range(rank)):
            return ""
        return f"{self.permutation} is no order of {rank} axes"

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

    def contradiction(self) -> str:
        """Return whether each axis has its amounts."""
        shape = self.input.shape
        if shape is None or len(shape) == len(self.amounts):
            return ""
        return f"it pads {len(self.amounts)} axes of a tensor of {len(shape)}"

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

    def contradiction(self) -> str:
        """Return whether it has the axis, and no part less than nothing."""
        if any(isinstance(size, int) and size < 0 for size in self.sizes):
            return "one of its parts has an extent below 0"
        return no_axis(self.axis, self.input.shape)

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

    def contradiction(self) -> str:
        """Return whether channels, or extents, fall into blocks."""
        block, shape = self.block_size, self.input.shape
        if not 0 < block <= limits.MAX_INT64:
            return f"its block size is {block}"
        if shape is None:
            return ""
        if len(shape) < 3:
            return f"a tensor of {len(shape)} axes has no channels and space"
        cut, area = (shape[1:2], block ** (len(shape) - 2)) if self.to_space else (shape[2:], block)
        wrong = [dim for dim in cut if isinstance(dim, int) and dim % area]
        return (
            f"its blocks of {block} do not fit {'channels' if self.to_space else 'an extent'} of {wrong[0]}"
            if wrong
            else ""
        )

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
