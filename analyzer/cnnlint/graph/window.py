"""The arithmetic of sliding windows: padding, output extents, elements that no window covers."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from cnnlint import limits
from cnnlint.graph.tensor import Dim, Shape

Pads = tuple[tuple[int, int], ...]
"""Rows, columns, ... added before and after each spatial axis."""

Padding = Pads | Literal["same_upper", "same_lower"]
"""Amounts, or the rule for them if the input's extents are unknown."""


class Span(Struct, frozen=True):
    """The input elements that an output element depends on, along one axis.

    Attributes:
        extent: Input elements from the first to the last. If outputs are finer than inputs and differ in it, one plus
            the length of the interval that the inputs lie on: 5/2 is one or two.
        stride: Distance in input elements between the spans of neighboring outputs: 1/2 if the output is twice as fine,
            0 if all have the same span.
    """

    extent: float
    stride: float


POINT = Span(1, 1)
"""An output element depends on the input element at the same position."""


class Window(Struct, frozen=True):
    """A window along one axis.

    Attributes:
        kernel: Taps.
        stride: Step between two windows.
        dilation: Distance between two taps.
        before: Padding before the first element.
        after: Padding after the last element.
        ceil_mode: Whether a last window that starts inside the padded map but does not fit counts.
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil_mode: bool = False

    @property
    def effective_kernel(self) -> int:
        """Elements from the first tap to the last."""
        return self.dilation * (self.kernel - 1) + 1

    def output(self, extent: Dim) -> Dim:
        """Return the number of windows over `extent` elements; the symbol itself if the extent does not change."""
        padding = self.before + self.after
        if isinstance(extent, int):
            span = extent + padding - self.effective_kernel
            if not self.ceil_mode:
                return max(span // self.stride + 1, 0)
            count = -(-span // self.stride) + 1
            starts_in_padding = (count - 1) * self.stride >= extent + self.before
            return max(count - starts_in_padding, 0)
        return extent if self.stride == 1 and padding == self.effective_kernel - 1 else None

    def unseen(self, extent: int) -> int:
        """Return how many elements at the end no window covers."""
        windows = self.output(extent)
        if not isinstance(windows, int) or windows == 0:
            return extent
        seen_to = (windows - 1) * self.stride + self.effective_kernel - self.before
        return extent - min(max(seen_to, 0), extent)

    def explain(self, extent: int) -> str:
        """Return the output-size formula with its numbers: `⌊(224 + 0 - 2) / 1⌋ + 1 = 223`."""
        left, right = ("⌈", "⌉") if self.ceil_mode else ("⌊", "⌋")
        padding = self.before + self.after
        return (
            f"{left}({extent} + {padding} − {self.effective_kernel}) / {self.stride}{right} + 1 = {self.output(extent)}"
        )


def sliding(
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    pads: Pads | None,
    *,
    ceil_mode: bool = False,
) -> tuple[Window, ...] | None:
    """Return the window along each spatial axis; None if the padding is unknown."""
    if pads is None:
        return None
    return tuple(
        Window(taps, step, gap, before, after, ceil_mode)
        for taps, step, gap, (before, after) in zip(kernel, strides, dilation, pads, strict=True)
    )


def spans(
    axes: int, kernel: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Span, ...] | None:
    """Return the spans of windows along the last `axes` axes of a map; None if the numbers of axes differ."""
    if axes == 0:
        return ()
    if axes != len(kernel):
        return None
    each = zip(kernel, strides, dilation, strict=True)
    return tuple(Span(Window(taps, step, gap).effective_kernel, step) for taps, step, gap in each)


def contradiction(
    shape: Shape | None,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: Padding,
) -> str:
    """Return what is impossible about a window over a map of `shape`, as a clause; "" if nothing is."""
    for name, numbers in (("kernel", kernel), ("stride", strides), ("dilation", dilation)):
        if wrong := [number for number in numbers if not 0 < number <= limits.MAX_INT64]:
            return f"its {name} is {shown(wrong[0])}"
        if len(numbers) != len(kernel):
            return f"its kernel has {len(kernel)} axes and its {name} {len(numbers)}"
    if not isinstance(padding, str):
        if len(padding) != len(kernel):
            return f"its kernel has {len(kernel)} axes and its padding {len(padding)}"
        if any(limits.int64(amount) is None for pair in padding for amount in pair):
            return "its padding does not fit in 64 bits"
    if len(kernel) + 2 > limits.MAX_RANK:
        return f"its kernel has {len(kernel):,} axes"
    if shape is not None and len(shape) != len(kernel) + 2:
        return (
            f"its kernel has {len(kernel)} axes, but it is given a tensor of {len(shape)}, batch and channels included"
        )
    return ""


def shown(number: int) -> str:
    """Format a wrong setting for a message."""
    return f"{number}" if limits.int64(number) is not None else "a number of more than 64 bits"


def output_formulas(windows: tuple[Window, ...] | None, extents: Shape | None) -> tuple[str, ...]:
    """Return the output-size formula of each spatial axis whose extent is known."""
    if windows is None or extents is None:
        return ()
    return tuple(
        window.explain(extent) for window, extent in zip(windows, extents, strict=True) if isinstance(extent, int)
    )


def size_text(size: tuple[int, ...], strides: tuple[int, ...], usual: tuple[int, ...] | None = None) -> str:
    """Format a window, "3×3 /2"; the stride is omitted if it is the `usual` one, 1 by default."""
    text = "×".join(str(extent) for extent in size)
    if strides == (usual or (1,) * len(strides)):
        return text
    return f"{text} /{strides[0] if len(set(strides)) == 1 else '×'.join(str(step) for step in strides)}"


def same_pads(extent: int, kernel: int, stride: int, dilation: int, *, lower: bool = False) -> tuple[int, int]:
    """Return the padding for "same", so the output has ⌈extent / stride⌉ windows; an odd element goes after.

    Args:
        extent: Elements along the axis.
        kernel: Taps.
        stride: Step.
        dilation: Distance between taps.
        lower: The odd element goes before instead (ONNX SAME_LOWER).
    """
    effective_kernel = dilation * (kernel - 1) + 1
    total = max((-(-extent // stride) - 1) * stride + effective_kernel - extent, 0)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def resolve_pads(
    padding: Padding,
    spatial: Shape | None,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pads | None:
    """Return the amounts of `padding` over `spatial`; None if that has other axes, or an extent is missing."""
    if spatial is not None and len(spatial) != len(kernel):
        return None
    if not isinstance(padding, str):
        return padding
    if spatial is None:
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
