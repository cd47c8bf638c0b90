"""What layers that slide a window have in common: convolutions and pooling."""

from __future__ import annotations

from cnnlint.graph.tensor import Shape
from cnnlint.graph.window import Pads, Window


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


def output_formulas(sliding: tuple[Window, ...] | None, extents: Shape | None) -> tuple[str, ...]:
    """Return the output-size formula of each spatial axis whose extent is known."""
    if sliding is None or extents is None:
        return ()
    return tuple(
        window.explain(extent) for window, extent in zip(sliding, extents, strict=True) if isinstance(extent, int)
    )
