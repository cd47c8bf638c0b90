"""The arithmetic of a window that slides over a map: padding, output extents, what a window never sees."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from cnnlint.graph.tensor import Dim, Shape

Pads = tuple[tuple[int, int], ...]
"""Rows, columns, ... added before and after each spatial axis."""

Padding = Pads | Literal["same_upper", "same_lower"]
"""Amounts, or the rule that sets them where the input's extents are not known."""


class Window(Struct, frozen=True):
    """A window along one axis.

    Attributes:
        kernel: Taps.
        stride: Step between two windows.
        dilation: Distance between two taps.
        before: Padding before the first element.
        after: Padding after the last element.
        ceil_mode: A last window that starts inside the padded map but does not fit counts too.
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil_mode: bool = False

    @property
    def reach(self) -> int:
        """Elements from the first tap to the last."""
        return self.dilation * (self.kernel - 1) + 1

    def output(self, extent: Dim) -> Dim:
        """Return the number of windows over `extent` elements; the symbol itself where nothing changes."""
        padding = self.before + self.after
        if isinstance(extent, int):
            span = extent + padding - self.reach
            if not self.ceil_mode:
                return max(span // self.stride + 1, 0)
            count = -(-span // self.stride) + 1
            starts_in_padding = (count - 1) * self.stride >= extent + self.before
            return max(count - starts_in_padding, 0)
        return extent if self.stride == 1 and padding == self.reach - 1 else None

    def unseen(self, extent: int) -> int:
        """Return how many elements at the far end no window covers."""
        windows = self.output(extent)
        if not isinstance(windows, int) or windows == 0:
            return extent
        seen_to = (windows - 1) * self.stride + self.reach - self.before
        return extent - min(max(seen_to, 0), extent)

    def explain(self, extent: int) -> str:
        """Return the output-size formula with its numbers: `⌊(224 + 0 - 2) / 1⌋ + 1 = 223`."""
        left, right = ("⌈", "⌉") if self.ceil_mode else ("⌊", "⌋")
        padding = self.before + self.after
        return f"{left}({extent} + {padding} − {self.reach}) / {self.stride}{right} + 1 = {self.output(extent)}"


def same_pads(extent: int, kernel: int, stride: int, dilation: int, *, lower: bool = False) -> tuple[int, int]:
    """Return the padding of "same": the output has ⌈extent / stride⌉ windows, the odd one goes after.

    Args:
        extent: Elements along the axis.
        kernel: Taps.
        stride: Step.
        dilation: Distance between taps.
        lower: The odd element goes before instead (ONNX SAME_LOWER).
    """
    reach = dilation * (kernel - 1) + 1
    total = max((-(-extent // stride) - 1) * stride + reach - extent, 0)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def resolve_pads(
    padding: Padding,
    spatial: Shape | None,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pads | None:
    """Return the amounts that `padding` comes to over `spatial`, or None where an extent is needed and unknown."""
    if not isinstance(padding, str):
        return padding
    if spatial is None or len(spatial) != len(kernel):
        return None
    pads = list[tuple[int, int]]()
    for extent, taps, step, gap in zip(spatial, kernel, strides, dilation, strict=True):
        if isinstance(extent, int):
            pads.append(same_pads(extent, taps, step, gap, lower=padding == "same_lower"))
        elif step == 1:
            total = gap * (taps - 1)
            small, large = total // 2, total - total // 2
            pads.append((large, small) if padding == "same_lower" else (small, large))
        else:
            return None
    return tuple(pads)
