"""Pooling over windows and over whole maps."""

from __future__ import annotations

from typing import Literal

from cnnlint.graph.layer import Layer
from cnnlint.graph.layers.sliding import contradiction, output_formulas, windows
from cnnlint.graph.tensor import Shape
from cnnlint.graph.window import Padding, Pads, Window, resolve_pads


class _WindowPool(Layer, frozen=True, kw_only=True, eq=False):
    """A pooling over windows.

    Attributes:
        pool_size: Extent of the window per spatial axis.
        strides: Step per spatial axis.
        padding: Amounts per spatial axis, or "same_upper"/"same_lower" while an extent is unknown.
        dilation: Distance between taps per spatial axis.
        ceil_mode: Whether a last window that does not fit counts too.
    """

    pool_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    ceil_mode: bool = False

    @property
    def pads(self) -> Pads | None:
        """The padding in numbers; None where it depends on an unknown extent."""
        return resolve_pads(self.padding, self.input.spatial, self.pool_size, self.strides, self.dilation)

    @property
    def windows(self) -> tuple[Window, ...] | None:
        """The window along each spatial axis; None where the padding is unknown."""
        return windows(self.pool_size, self.strides, self.dilation, self.pads, ceil_mode=self.ceil_mode)

    def contradiction(self) -> str:
        """Return whether window, strides, dilation and padding are positive, and agree with the map."""
        return contradiction(self.input.shape, self.pool_size, self.strides, self.dilation, self.padding)

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, channels, windows per axis)."""
        shape, sliding = self.input.shape, self.windows
        if shape is None or len(shape) != len(self.pool_size) + 2:
            return (None,)
        if sliding is None:
            return ((*shape[:2], *(None for _ in self.pool_size)),)
        return ((*shape[:2], *(window.output(dim) for window, dim in zip(sliding, shape[2:], strict=True))),)

    def output_formulas(self) -> tuple[str, ...]:
        """Return ⌊(extent + padding − reach) / stride⌋ + 1 per spatial axis."""
        return output_formulas(self.windows, self.input.spatial)


class MaxPool(_WindowPool, frozen=True, kw_only=True, eq=False):
    """The largest value of each window."""


class AvgPool(_WindowPool, frozen=True, kw_only=True, eq=False):
    """The mean (or another norm) of each window.

    Attributes:
        count_include_pad: Whether padding counts as zeros in the mean.
    """

    count_include_pad: bool = False


class GlobalPool(Layer, frozen=True, kw_only=True, eq=False):
    """One value for each channel's whole map.

    Attributes:
        mode: Mean, maximum, or another norm.
        keepdims: Whether spatial axes of extent 1 stay.
    """

    mode: Literal["avg", "max", "lp"]
    keepdims: bool = False

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, channels), followed by ones if `keepdims`."""
        if (shape := self.input.shape) is None:
            return (None,)
        return ((*shape[:2], *((1,) * (len(shape) - 2) if self.keepdims else ())),)
