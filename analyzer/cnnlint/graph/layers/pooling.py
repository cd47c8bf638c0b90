"""Pooling over windows and over whole maps, and other reductions along axes."""

from __future__ import annotations

from typing import Literal

from cnnlint.graph.layer import Layer, always, trait
from cnnlint.graph.tensor import Shape, known
from cnnlint.graph.window import (
    POINT,
    Padding,
    Pads,
    Span,
    Window,
    contradiction,
    output_formulas,
    resolve_pads,
    size_text,
    sliding,
    spans,
)


def whole_map(layer: Layer, axes: int) -> tuple[Span, ...] | None:
    """Return spans that cover the whole input map of `layer`; None if extents are unknown."""
    extents = known((layer.input.shape or ())[-axes:]) if axes else ()
    return None if extents is None or len(extents) != axes else tuple(Span(extent, 0) for extent in extents)


class _Pool(Layer, frozen=True, kw_only=True, eq=False):
    """One value for several positions of a channel."""

    multiplies = False
    infers_shape = True
    is_batch_invariant = always(True)

    def mixed_axes(self) -> tuple[int, ...]:
        """Return the spatial axes."""
        return tuple(range(2, self.input.rank or 2))


class _WindowPool(_Pool, frozen=True, kw_only=True, eq=False):
    """A pooling over windows.

    Attributes:
        pool_size: Extent of the window per spatial axis.
        strides: Step per spatial axis.
        padding: Amounts per spatial axis, or "same_upper"/"same_lower" while an extent is unknown.
        dilation: Distance between taps per spatial axis.
        ceil_mode: Whether a last, incomplete window counts.
    """

    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    ceil_mode: bool = False

    @trait
    def label(self) -> str:
        """The kind with its window: "MaxPool 2×2"."""
        return f"{self.kind} {size_text(self.pool_size, self.strides, usual=self.pool_size)}"

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return the window's."""
        return spans(axes, self.pool_size, self.strides, self.dilation)

    def settings(self) -> dict[str, object]:
        """Return the fields, with the amounts of padding if known."""
        return super().settings() | {"padding": self.pads or self.padding}

    @property
    def pads(self) -> Pads | None:
        """The amounts of padding; None if they depend on an unknown extent."""
        return resolve_pads(self.padding, self.input.spatial, self.pool_size, self.strides, self.dilation)

    @property
    def windows(self) -> tuple[Window, ...] | None:
        """The window along each spatial axis; None if the padding is unknown."""
        return sliding(self.pool_size, self.strides, self.dilation, self.pads, ceil_mode=self.ceil_mode)

    def contradiction(self) -> str:
        """Return whether window, strides, dilation and padding are positive, and agree with the map."""
        return contradiction(self.input.shape, self.pool_size, self.strides, self.dilation, self.padding)

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, channels, windows per axis)."""
        shape, windows = self.input.shape, self.windows
        if shape is None or len(shape) != len(self.pool_size) + 2:
            return (None,)
        if windows is None:
            return ((*shape[:2], *(None for _ in self.pool_size)),)
        return ((*shape[:2], *(window.output(dim) for window, dim in zip(windows, shape[2:], strict=True))),)

    def output_formulas(self) -> tuple[str, ...]:
        """Return ⌊(extent + padding − effective kernel) / stride⌋ + 1 per spatial axis."""
        return output_formulas(self.windows, self.input.spatial)


class MaxPool(_WindowPool, frozen=True, kw_only=True, eq=False):
    """The largest value of each window."""

    term = always("POOL")


class AvgPool(_WindowPool, frozen=True, kw_only=True, eq=False):
    """The mean (or a p-norm) of each window.

    Attributes:
        count_include_pad: Whether padding counts as zeros in the mean.
    """

    count_include_pad: bool = False

    term = always("AVGPOOL")


class GlobalPool(_Pool, frozen=True, kw_only=True, eq=False):
    """One value for each channel's whole map.

    Attributes:
        mode: Mean, maximum, or another norm.
        keepdims: Whether spatial axes of extent 1 stay.
    """

    mode: Literal["avg", "max", "lp"]
    keepdims: bool = False

    @trait
    def term(self) -> str:
        """GAP for a mean, GMP for a maximum."""
        return {"avg": "GAP", "max": "GMP", "lp": "GLP"}[self.mode]

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return the whole map's."""
        return whole_map(self, axes)

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, channels), followed by ones if `keepdims`."""
        if (shape := self.input.shape) is None:
            return (None,)
        return ((*shape[:2], *((1,) * (len(shape) - 2) if self.keepdims else ())),)


class Reduce(Layer, frozen=True, kw_only=True, eq=False):
    """A reduction along some axes.

    Attributes:
        function: "mean", "max", "min", "sum", "prod", "l1", "l2", "log_sum", "log_sum_exp" or "sum_square".
        axes: The axes, counted from the front.
        keepdims: Whether they stay with an extent of 1.
    """

    function: str
    axes: tuple[int, ...]
    keepdims: bool = True

    multiplies = False
    infers_shape = True

    @trait
    def is_batch_invariant(self) -> bool:
        """Whether the batch is not among the axes."""
        rank = self.input.rank
        return rank is not None and all(axis % rank > 0 for axis in self.axes)

    def mixed_axes(self) -> tuple[int, ...]:
        """Return the reduced axes."""
        return self.axes

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return points for a reduction of channels that leaves the map's axes where they are, else None."""
        if axes == 0:
            return ()
        rank = self.input.rank
        inside = rank is not None and self.keepdims and all(axis % rank < rank - axes for axis in self.axes)
        return (POINT,) * axes if inside else None

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return the input's shape with ones along the axes, or without them."""
        if (shape := self.input.shape) is None:
            return (None,)
        kept = enumerate(shape)
        return (tuple(1 if axis in self.axes else dim for axis, dim in kept if self.keepdims or axis not in self.axes),)
