"""Convolutions of any rank: grouped, depthwise, dilated and transposed."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from cnnlint.graph.formula import Formula
from cnnlint.graph.layer import Layer
from cnnlint.graph.tensor import Dim, Shape
from cnnlint.graph.window import Padding, Pads, Window, resolve_pads


class Conv(Layer, frozen=True, kw_only=True, eq=False):
    """A convolution over 1, 2 or 3 spatial axes.

    Attributes:
        filters: Output channels.
        kernel_size: Taps per spatial axis.
        strides: Step per spatial axis.
        padding: Amounts per spatial axis, or "same_upper"/"same_lower" while an extent is unknown.
        dilation: Distance between taps per spatial axis.
        groups: Groups that the channels are split into; as many as input channels for a depthwise one.
        use_bias: Whether a bias is added.
    """

    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    groups: int = 1
    use_bias: bool = True

    multiplies: ClassVar[bool] = True

    @property
    def in_channels(self) -> int | None:
        """Input channels: from the input, or else from the kernel's size; None if neither says."""
        if isinstance(channels := self.input.channels, int):
            return channels
        if not self.weights:
            return None
        return self.weights[0].size * self.groups // (self.filters * prod(self.kernel_size))

    @property
    def is_depthwise(self) -> bool:
        """Whether every filter sees a single input channel (and there is more than one)."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def is_pointwise(self) -> bool:
        """Whether the kernel is 1 on every axis."""
        return all(taps == 1 for taps in self.kernel_size)

    @property
    def pads(self) -> Pads | None:
        """The padding in numbers; None where it depends on an unknown extent."""
        return resolve_pads(self.padding, self.input.spatial, self.kernel_size, self.strides, self.dilation)

    @property
    def windows(self) -> tuple[Window, ...] | None:
        """The window along each spatial axis; None where the padding is unknown."""
        if (pads := self.pads) is None:
            return None
        return tuple(
            Window(kernel, stride, dilation, before, after)
            for kernel, stride, dilation, (before, after) in zip(
                self.kernel_size, self.strides, self.dilation, pads, strict=True
            )
        )

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, filters, windows per axis)."""
        shape = self.input.shape
        rank = len(self.kernel_size)
        batch = shape[0] if shape else None
        extents: Shape = shape[2:] if shape is not None and len(shape) == rank + 2 else (None,) * rank
        windows = self.windows
        spatial: Shape = (
            (None,) * rank
            if windows is None
            else tuple(window.output(extent) for window, extent in zip(windows, extents, strict=True))
        )
        return ((batch, self.filters, *spatial),)

    def parameter_formula(self) -> Formula | None:
        """Return filters × kernel × input channels of a group, and the biases."""
        channels = self.in_channels
        if not self.weights or channels is None:
            return None
        kernel = (self.filters, *self.kernel_size, channels // self.groups)
        return _formula_of_kernel(kernel, self.filters if self.use_bias else None, "filters", self.groups)

    def mac_formula(self) -> Formula | None:
        """Return output positions × filters × kernel × input channels of a group."""
        channels = self.in_channels
        positions = self.output.spatial
        if channels is None or positions is None:
            return None
        if not all(isinstance(extent, int) for extent in positions):
            return None
        extents = tuple(extent for extent in positions if isinstance(extent, int))
        return Formula(
            ((*extents, self.filters, *self.kernel_size, channels // self.groups),),
            "output positions × filters × kernel × input channels" + (" of a group" if self.groups > 1 else ""),
        )

    def output_formulas(self) -> tuple[str, ...]:
        """Return ⌊(extent + padding − reach) / stride⌋ + 1 per spatial axis."""
        windows, extents = self.windows, self.input.spatial
        if windows is None or extents is None:
            return ()
        return tuple(
            window.explain(extent) for window, extent in zip(windows, extents, strict=True) if isinstance(extent, int)
        )


class ConvTranspose(Layer, frozen=True, kw_only=True, eq=False):
    """A transposed ("de-") convolution.

    Attributes:
        filters: Output channels.
        kernel_size: Taps per spatial axis.
        strides: Upsampling per spatial axis.
        padding: What is cut off before and after each spatial axis of the full output; "same_upper" or
            "same_lower" give an output of extent × stride.
        dilation: Distance between taps per spatial axis.
        output_padding: Extra extent after each spatial axis.
        groups: Groups that the channels are split into.
        use_bias: Whether a bias is added.
    """

    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]
    groups: int = 1
    use_bias: bool = True

    multiplies: ClassVar[bool] = True

    @property
    def in_channels(self) -> int | None:
        """Input channels: from the input, or else from the kernel's size; None if neither says."""
        if isinstance(channels := self.input.channels, int):
            return channels
        if not self.weights:
            return None
        return self.weights[0].size * self.groups // (self.filters * prod(self.kernel_size))

    def _extent(self, axis: int, extent: Dim) -> Dim:
        if not isinstance(extent, int):
            return None
        stride = self.strides[axis]
        if isinstance(self.padding, str):
            return extent * stride
        reach = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        return stride * (extent - 1) + self.output_padding[axis] + reach - sum(self.padding[axis])

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, filters, stride × (extent − 1) + reach − padding + output padding per axis)."""
        shape = self.input.shape
        rank = len(self.kernel_size)
        batch = shape[0] if shape else None
        extents: Shape = shape[2:] if shape is not None and len(shape) == rank + 2 else (None,) * rank
        return ((batch, self.filters, *(self._extent(axis, extent) for axis, extent in enumerate(extents))),)

    def parameter_formula(self) -> Formula | None:
        """Return filters × kernel × input channels of a group, and the biases."""
        channels = self.in_channels
        if not self.weights or channels is None:
            return None
        kernel = (self.filters, *self.kernel_size, channels // self.groups)
        return _formula_of_kernel(kernel, self.filters if self.use_bias else None, "filters", self.groups)

    def mac_formula(self) -> Formula | None:
        """Return input positions × input channels × kernel × filters of a group: each input meets each tap once."""
        channels, positions = self.in_channels, self.input.spatial
        if channels is None or positions is None:
            return None
        extents = tuple(extent for extent in positions if isinstance(extent, int))
        if len(extents) != len(positions):
            return None
        return Formula(
            ((*extents, channels, *self.kernel_size, self.filters // self.groups),),
            "input positions × input channels × kernel × filters" + (" of a group" if self.groups > 1 else ""),
        )


def _formula_of_kernel(kernel: tuple[int, ...], biases: int | None, outputs: str, groups: int) -> Formula:
    axes = {1: "kernel", 2: "kernel height × kernel width", 3: "kernel depth × kernel height × kernel width"}
    inputs = "input channels of a group" if groups > 1 else "input channels"
    words = f"{outputs} × {axes.get(len(kernel) - 2, 'kernel')} × {inputs}"
    if biases is None:
        return Formula((kernel,), words)
    return Formula((kernel, (biases,)), f"({words}) + biases")
