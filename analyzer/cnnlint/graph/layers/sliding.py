"""What layers that slide a window have in common: convolutions and pooling."""

from __future__ import annotations

from cnnlint import limits
from cnnlint.graph.tensor import Shape
from cnnlint.graph.window import Padding, Pads, Window


def windows(
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    pads: Pads | None,
    *,
    ceil_mode: bool = False,
) -> tuple[Window, ...] | None:
    """Return the window along each spatial axis; None where the padding is unknown."""
    if pads is None:
        return None
    return tuple(
        Window(taps, step, gap, before, after, ceil_mode)
        for taps, step, gap, (before, after) in zip(kernel, strides, dilation, pads, strict=True)
    )


def contradiction(
    shape: Shape | None,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: Padding,
) -> str:
    """Return what about a window over a map of `shape` cannot be, as a clause; "" if nothing is wrong."""
    for name, numbers in (("kernel", kernel), ("stride", strides), ("dilation", dilation)):
        if wrong := [number for number in numbers if not 0 < number <= limits.MAX_INT64]:
            return f"its {name} is {shown(wrong[0])}"
        if len(numbers) != len(kernel):
            return f"its kernel has {len(kernel)} axes and its {name} {len(numbers)}"
    if not isinstance(padding, str):
        if len(padding) != len(kernel):
            return f"its kernel has {len(kernel)} axes and its padding {len(padding)}"
        if any(limits.int64(amount) is None for pair in padding for amount in pair):
            return "its padding is no number of 64 bits"
    if len(kernel) + 2 > limits.MAX_RANK:
        return f"its kernel has {len(kernel):,} axes"
    if shape is not None and len(shape) != len(kernel) + 2:
        return (
            f"its kernel has {len(kernel)} axes, but it is given a tensor of {len(shape)}, batch and channels included"
        )
    return ""


def shown(number: int) -> str:
    """Return a setting that is wrong as a message shows it."""
    return f"{number}" if limits.int64(number) is not None else "no number of 64 bits"


def output_formulas(sliding: tuple[Window, ...] | None, extents: Shape | None) -> tuple[str, ...]:
    """Return the output-size formula of each spatial axis whose extent is known."""
    if sliding is None or extents is None:
        return ()
    return tuple(
        window.explain(extent) for window, extent in zip(sliding, extents, strict=True) if isinstance(extent, int)
    )
