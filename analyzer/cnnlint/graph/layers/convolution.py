"""Convolutions of any rank: grouped, depthwise, dilated and transposed."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from cnnlint.graph.formula import Formula
from cnnlint.graph.layer import Layer, always, trait
from cnnlint.graph.tensor import Dim, Shape, known
from cnnlint.graph.window import (
    Padding,
    Pads,
    Span,
    Window,
    contradiction,
    output_formulas,
    resolve_pads,
    shown,
    size_text,
    sliding,
    spans,
)


class _Convolution(Layer, frozen=True, kw_only=True, eq=False):
    """What convolutions and transposed convolutions have in common.

    Attributes:
        filters: Output channels.
        kernel_size: Taps per spatial axis.
        strides: Step per spatial axis; for a transposed convolution, of the output.
        padding: Amounts per spatial axis, or "same_upper"/"same_lower" while an extent is unknown.
        dilation: Distance between taps per spatial axis.
        groups: Groups that the channels are split into; as many as input channels for a depthwise convolution.
        use_bias: Whether a bias is added.
    """

    filters: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    groups: int = 1
    use_bias: bool = True

    channel_axis: ClassVar[int] = 1
    """The axis of the output that a bias runs along."""

    multiplies = True
    infers_shape = True
    starts_block = True
    is_batch_invariant = always(True)

    @trait
    def label(self) -> str:
        """The kind with its kernel: "Conv 3×3 /2"."""
        return f"{self.kind} {size_text(self.kernel_size, self.strides)}"

    def mixed_axes(self) -> tuple[int, ...]:
        """Return channels and space."""
        return tuple(range(1, len(self.kernel_size) + 2))

    @property
    def out_channels(self) -> int:
        """Output channels: the filters."""
        return self.filters

    @property
    def in_channels(self) -> int | None:
        """Input channels: from the input, or else from the kernel's size; None if neither says."""
        if isinstance(channels := self.input.channels, int):
            return channels
        held = self.weights[0].size if self.weights else None
        if held is None:
            return None
        return held * self.groups // (self.filters * prod(self.kernel_size))

    def contradiction(self) -> str:
        """Return what about window, groups and channels cannot be."""
        if self.filters < 1 or self.groups < 1:
            name, number = ("filters", self.filters) if self.filters < 1 else ("groups", self.groups)
            return f"its number of {name} is {shown(number)}"
        channels = self.input.channels
        if self.filters % self.groups or (isinstance(channels, int) and channels % self.groups):
            return f"{channels} input channels and {self.filters} filters cannot be split into {self.groups} groups"
        return contradiction(self.input.shape, self.kernel_size, self.strides, self.dilation, self.padding)

    def parameter_formula(self) -> Formula | None:
        """Return filters × kernel × input channels of a group, and the biases."""
        channels = self.in_channels
        if not self.weights or channels is None:
            return None
        kernel = (self.filters, *self.kernel_size, channels // self.groups)
        words = f"filters × {_KERNEL_WORDS.get(len(self.kernel_size), 'kernel')} × {_inputs(self.groups)}"
        if not self.use_bias:
            return Formula((kernel,), words)
        return Formula((kernel, (self.filters,)), f"({words}) + biases")

    def _extents(self) -> Shape:
        """The input's spatial extents; all None if unknown."""
        rank = len(self.kernel_size)
        spatial = self.input.spatial
        return spatial if spatial is not None and len(spatial) == rank else (None,) * rank

    def _batch(self) -> Dim:
        return self.input.shape[0] if self.input.shape else None


class Conv(_Convolution, frozen=True, kw_only=True, eq=False):
    """A convolution over 1, 2 or 3 spatial axes."""

    @trait
    def term(self) -> str:
        """CONV, or DWCONV for a depthwise one."""
        return "DWCONV" if self.is_depthwise else "CONV"

    @trait
    def label(self) -> str:
        """The kind with its kernel: "DepthwiseConv 3×3"."""
        return f"Depthwise{super().label}" if self.is_depthwise else super().label

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
        """The amounts of padding; None if they depend on an unknown extent."""
        return resolve_pads(self.padding, self.input.spatial, self.kernel_size, self.strides, self.dilation)

    @property
    def windows(self) -> tuple[Window, ...] | None:
        """The window along each spatial axis; None if the padding is unknown."""
        return sliding(self.kernel_size, self.strides, self.dilation, self.pads)

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return the kernel's."""
        return spans(axes, self.kernel_size, self.strides, self.dilation)

    def settings(self) -> dict[str, object]:
        """Return the fields, with the amounts of padding if known."""
        return super().settings() | {"padding": self.pads or self.padding}

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, filters, windows per axis)."""
        extents, windows = self._extents(), self.windows
        if windows is None:
            return ((self._batch(), self.filters, *(None for _ in extents)),)
        spatial = (window.output(extent) for window, extent in zip(windows, extents, strict=True))
        return ((self._batch(), self.filters, *spatial),)

    def mac_formula(self) -> Formula | None:
        """Return output positions × filters × kernel × input channels of a group."""
        channels = self.in_channels
        extents = known(self.output.spatial)
        if channels is None or extents is None:
            return None
        return Formula(
            ((*extents, self.filters, *self.kernel_size, channels // self.groups),),
            f"output positions × filters × kernel × {_inputs(self.groups)}",
        )

    def output_formulas(self) -> tuple[str, ...]:
        """Return ⌊(extent + padding − effective kernel) / stride⌋ + 1 per spatial axis."""
        return output_formulas(self.windows, self.input.spatial)


class ConvTranspose(_Convolution, frozen=True, kw_only=True, eq=False):
    """A transposed convolution ("deconvolution").

    Its padding is cut off the full output; with "same_upper" and "same_lower" the output has extent × stride.

    Attributes:
        output_padding: Extra extent after each spatial axis.
    """

    output_padding: tuple[int, ...]

    term = always("DECONV")

    def receptive_spans(self, axes: int) -> tuple[Span, ...] | None:
        """Return the inputs under a kernel when `stride` outputs lie between neighboring inputs."""
        windows = spans(axes, self.kernel_size, self.strides, self.dilation)
        if windows is None:
            return None
        return tuple(Span(1 + (each.extent - 1) / each.stride, 1 / each.stride) for each in windows)

    def contradiction(self) -> str:
        """Return what about window, groups, channels and output padding cannot be."""
        if len(self.output_padding) != len(self.kernel_size):
            return f"its kernel has {len(self.kernel_size)} axes and its output padding {len(self.output_padding)}"
        return super().contradiction()

    def _extent(self, axis: int, extent: Dim) -> Dim:
        if not isinstance(extent, int):
            return None
        stride = self.strides[axis]
        if isinstance(self.padding, str):
            return extent * stride
        effective_kernel = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        return stride * (extent - 1) + self.output_padding[axis] + effective_kernel - sum(self.padding[axis])

    def output_shapes(self) -> tuple[Shape | None, ...]:
        """Return (batch, filters, stride × (extent − 1) + effective kernel − padding + output padding per axis)."""
        spatial = (self._extent(axis, extent) for axis, extent in enumerate(self._extents()))
        return ((self._batch(), self.filters, *spatial),)

    def mac_formula(self) -> Formula | None:
        """Return input positions × input channels × kernel × filters of a group."""
        channels, extents = self.in_channels, known(self.input.spatial)
        if channels is None or extents is None:
            return None
        of_a_group = " of a group" if self.groups > 1 else ""
        return Formula(
            ((*extents, channels, *self.kernel_size, self.filters // self.groups),),
            f"input positions × input channels × kernel × filters{of_a_group}",
        )


_KERNEL_WORDS = {2: "kernel height × kernel width", 3: "kernel depth × kernel height × kernel width"}


def _inputs(groups: int) -> str:
    return "input channels of a group" if groups > 1 else "input channels"
