"""Layers that move values without changing them: flatten, reshape, pad, crop, resize, split, concat."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Literal

from cnnlint import limits
from cnnlint.graph.dims import product
from cnnlint.graph.layer import Layer, always, trait
from cnnlint.graph.layers.pooling import whole_map
from cnnlint.graph.tensor import Dim, Shape, no_axis
from cnnlint.graph.window import POINT, Span


class _Reshaping(Layer, frozen=True, kw_only=True, eq=False):
    """The same elements, in the same order, in another shape."""

    multiplies = False
    term = always("")
    is_batch_invariant = always(True)
    is_view = always(True)

    @trait
    def is_identity_at_inference(self) -> bool:
        """Whether the shape stays."""
        return self.input.shape is not None and self.input.shape == self.output.shape


class Flatten(_Reshaping, frozen=True, kw_only=True, eq=False):
    """A map flattened to a vector.

    Attributes:
        order: Which axis varies fastest in the vector: spatial ("channels_first") or channels ("channels_last").
    """

    order: Literal["channels_first", "channels_last"] = "channels_first"

    infers_shape = True

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return the whole map: the vector counts as one position."""
        return whole_map(self, axes)

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, product of all other extents)."""
        shape = self.input.shape
        return (None,) if shape is None else ((shape[0], product(shape[1:])),)


class Reshape(_Reshaping, frozen=True, kw_only=True, eq=False):
    """The same elements in another shape.

    Attributes:
        target: The shape, batch included.
    """

    target: Shape | None

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points if the last axes stay as they are, and the whole map if it becomes a vector."""
        before, after = self.input.shape, self.output.shape
        if axes == 0:
            return ()
        if before is None or after is None:
            return None
        if len(after) == 2 and before[0] == after[0]:
            return whole_map(self, axes)
        kept = None not in before[-axes:] and len(before) > axes and before[-axes:] == after[-axes:]
        return (POINT,) * axes if kept else None

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the target."""
        return (self.target,)


class Transpose(Layer, frozen=True, kw_only=True, eq=False):
    """A transposition of axes that matters to the network, rather than to the layout.

    Attributes:
        permutation: The input's axis at each place.
    """

    permutation: tuple[int, ...]

    multiplies = False
    infers_shape = True
    is_view = always(True)

    @trait
    def term(self) -> str:
        """SHUFFLE if it swaps groups and channels, as in ShuffleNet."""
        return "SHUFFLE" if self.permutation == (0, 2, 1, 3, 4) else "TRANSPOSE"

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether the batch stays the first axis."""
        return self.permutation[:1] == (0,)

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points if the last axes stay in place."""
        rank = len(self.permutation)
        stays = all(self.permutation[axis] == axis for axis in range(max(rank - axes, 0), rank))
        return (POINT,) * axes if stays and axes < rank else None

    def contradiction(self) -> str:
        """Return whether it is a permutation of the axes."""
        rank = len(self.permutation if self.input.shape is None else self.input.shape)
        if sorted(self.permutation) == list(range(rank)):
            return ""
        return f"{self.permutation} is not a permutation of {rank} axes"

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the permuted extents."""
        shape = self.input.shape
        return (None,) if shape is None else (tuple(shape[axis] for axis in self.permutation),)


class Pad(Layer, frozen=True, kw_only=True, eq=False):
    """Rows and columns added around a map.

    Attributes:
        amounts: Before and after, for each axis including batch and channels; negative ones crop.
        mode: How they are filled.
        value: The constant, for "constant".
    """

    amounts: tuple[tuple[int, int], ...]
    mode: Literal["constant", "reflect", "edge", "wrap"] = "constant"
    value: float = 0.0

    multiplies = False
    infers_shape = True
    term = always("")

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether the batch is not padded."""
        return self.amounts[0] == (0, 0)

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points."""
        return (POINT,) * axes

    def contradiction(self) -> str:
        """Return whether there are amounts for each axis."""
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
    """A part of a tensor: Cropping2D in Keras, Slice in ONNX.

    Attributes:
        target: The shape of the part.
        starts: Start of a contiguous part on each axis; None if unknown, or if entries are skipped.
        steps: Step on each axis if entries are skipped; None if unknown.
    """

    target: Shape | None
    starts: tuple[int, ...] | None = None
    steps: tuple[int, ...] | None = None

    multiplies = False

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether samples are known to keep their order."""
        return self.starts is not None

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points, spaced by the steps."""
        if axes == 0 or self.starts is not None:
            return (POINT,) * axes
        if self.steps is None or axes >= len(self.steps):
            return None
        return tuple(Span(1, abs(step)) for step in self.steps[-axes:])

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the target."""
        return (self.target,)


class _AlongAxis(Layer, frozen=True, kw_only=True, eq=False):
    """A cut or a joint along one axis; 1 is that of the channels."""

    axis: int = 1

    multiplies = False
    infers_shape = True

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether it is not the batch axis."""
        return self.axis > 0

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points."""
        return (POINT,) * axes


class Split(_AlongAxis, frozen=True, kw_only=True, eq=False):
    """A tensor cut into several along one axis.

    Attributes:
        sizes: Extent of each part.
    """

    sizes: tuple[Dim, ...]

    def contradiction(self) -> str:
        """Return whether it has the axis, and no part has a negative size."""
        if any(isinstance(size, int) and size < 0 for size in self.sizes):
            return "one of its parts has an extent below 0"
        return no_axis(self.axis, self.input.shape)

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the input's shape with each part's extent."""
        if (shape := self.input.shape) is None:
            return (None,) * len(self.sizes)
        axis = self.axis % len(shape)
        return tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in self.sizes)


class Concat(_AlongAxis, frozen=True, kw_only=True, eq=False):
    """Tensors joined along one axis."""

    term = always("CAT")

    def contradiction(self) -> str:
        """Return whether all tensors have the same rank, and the axis."""
        ranks = {len(tensor.shape) for tensor in self.inputs if tensor.shape is not None}
        if len(ranks) > 1:
            return f"it joins tensors of {' and '.join(map(str, sorted(ranks)))} axes"
        return next((wrong for tensor in self.inputs if (wrong := no_axis(self.axis, tensor.shape))), "")

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the common shape with the extents along `axis` added up."""
        shapes = [tensor.shape for tensor in self.inputs]
        known = [shape for shape in shapes if shape is not None]
        if not known:
            return (None,)
        axis = self.axis % len(known[0])
        total: Dim = 0
        for shape in shapes:
            extent = None if shape is None else shape[axis]
            total = total + extent if isinstance(total, int) and isinstance(extent, int) else None
        result = [next((dim for dim in dims if isinstance(dim, int)), dims[0]) for dims in zip(*known, strict=True)]
        result[axis] = total
        return (tuple(result),)


_TAPS = {"nearest": 1, "linear": 2, "cubic": 4}


class Resize(Layer, frozen=True, kw_only=True, eq=False):
    """A map scaled up or down by interpolation.

    Attributes:
        target: The shape, batch and channels included.
        interpolation: "nearest", "linear" or "cubic".
    """

    target: Shape | None
    interpolation: str

    multiplies = False

    @trait
    def term(self) -> str:
        """UPSAMPLE if some extent grows and none shrinks."""
        pairs = list(self._extents())
        grows = all(small <= large for small, large in pairs) and any(small < large for small, large in pairs)
        return "UPSAMPLE" if grows else "RESIZE"

    is_batch_invariant = always(True)

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return the taps of the interpolation, spaced by the ratio of extents; None if one is unknown."""
        if axes == 0:
            return ()
        taps, pairs = _TAPS.get(self.interpolation), list(self._extents())
        if taps is None or len(pairs) != axes or any(large == 0 for _, large in pairs):
            return None
        return tuple(_interpolated(taps, small, large) for small, large in pairs)

    def _extents(self) -> Iterator[tuple[int, int]]:
        """Yield the spatial extents before and after, where both are numbers."""
        before, after = self.input.spatial or (), self.output.spatial or ()
        if len(before) == len(after):
            for small, large in zip(before, after, strict=True):
                if isinstance(small, int) and isinstance(large, int):
                    yield small, large

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the target."""
        return (self.target,)


def _interpolated(taps: int, small: int, large: int) -> Span:
    """Return how far `taps` see when an axis goes from extent `small` to `large`."""
    if small == large:
        return POINT
    # Taps are seen from the inside of a stretch of their number, on which outputs lie one part apart.
    parts = large // gcd(small, large)
    return Span(taps + 1 - 1 / parts, small / large)


class DepthToSpace(Layer, frozen=True, kw_only=True, eq=False):
    """Channels moved to spatial positions, or the reverse.

    Attributes:
        block_size: Extent of a block on each spatial axis.
        to_space: False for SpaceToDepth.
    """

    block_size: int
    to_space: bool = True

    multiplies = False
    infers_shape = True

    @trait
    def term(self) -> str:
        """D2S, or S2D for the reverse."""
        return "D2S" if self.to_space else "S2D"

    is_batch_invariant = always(True)

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points on a finer map, or blocks."""
        if axes and self.input.rank != axes + 2:
            return None
        block = self.block_size
        return (_interpolated(1, 1, block) if self.to_space else Span(block, block),) * axes

    def contradiction(self) -> str:
        """Return whether channels or extents can be split into blocks."""
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
