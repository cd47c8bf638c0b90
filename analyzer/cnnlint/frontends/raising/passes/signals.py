"""A window over a signal that was given a second spatial axis of extent 1 is one-dimensional.

TensorFlow has no one-dimensional kernels: its Conv1D adds an axis, slides a 1 × k window, and takes the axis away.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cnnlint.frontends.raising.draft import Draft
from cnnlint.frontends.raising.view import without
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalPool,
    MaxPool,
    Pad,
    Reshape,
)


def drop_unit_axes(draft: Draft) -> None:
    """Take out the pairs of Reshapes that add a spatial axis of extent 1 and drop it again behind some windows."""
    for layer in draft:
        if isinstance(layer, Reshape) and (axis := _added_axis(layer)) is not None:
            chain = _chain(draft, layer, axis)
            if chain is not None:
                _narrow(draft, layer, chain, axis)


def _added_axis(layer: Reshape) -> int | None:
    """Return the spatial axis of extent 1 that is all that `layer` adds."""
    before, after = layer.input.shape, layer.output.shape
    if before is None or after is None or len(before) < 3 or len(after) != len(before) + 1:
        return None
    axes = range(2, len(after))
    return next((axis for axis in axes if after[axis] == 1 and without(after, axis) == before), None)


def _chain(draft: Draft, first: Layer, axis: int) -> list[Layer] | None:
    """Return the layers behind `first` up to the one that drops the axis; None if they need it."""
    chain = list[Layer]()
    layer: Layer = first
    while (following := draft.sole_consumer(layer.output)) is not None:
        chain.append(following)
        if _drops(following, axis):
            return chain if len(chain) > 1 else None
        if _narrowed(following, axis) is None:
            return None
        layer = following
    return None


def _drops(layer: Layer, axis: int) -> bool:
    match layer:
        case Flatten():
            return True
        case GlobalPool():
            return not layer.keepdims
        case Reshape():
            before, after = layer.input.shape, layer.output.shape
            return before is not None and after == without(before, axis)
        case _:
            return False


def _narrowed(layer: Layer, axis: int) -> Layer | None:
    """Return `layer` on maps without `axis`; None if it does something along it."""
    place = axis - 2
    match layer:
        case Conv() | ConvTranspose() | MaxPool() | AvgPool():
            size = layer.kernel_size if isinstance(layer, Conv | ConvTranspose) else layer.pool_size
            padding = layer.padding
            if size[place] != 1:
                return None
            if not isinstance(padding, str):
                if padding[place] != (0, 0):
                    return None
                padding = without(padding, place)
            fields: dict[str, Any] = {"strides": without(layer.strides, place), "padding": padding}
            fields["dilation"] = without(layer.dilation, place)
            if isinstance(layer, ConvTranspose):
                if layer.output_padding[place]:
                    return None
                fields["output_padding"] = without(layer.output_padding, place)
            name = "kernel_size" if isinstance(layer, Conv | ConvTranspose) else "pool_size"
            return replace(layer, **fields, **{name: without(size, place)})
        case Pad():
            return replace(layer, amounts=without(layer.amounts, axis)) if layer.amounts[axis] == (0, 0) else None
        case Activation():
            return layer if layer.axis is None and not layer.weights else None
        case BatchNorm() | Dropout() | GlobalPool():
            return layer
        case _:
            return None


def _narrow(draft: Draft, first: Layer, chain: list[Layer], axis: int) -> None:
    *windows, last = chain
    made = draft.fuse((first, windows[0]), replace(windows[0], inputs=(first.input, *windows[0].inputs[1:])))
    for window in windows:
        current = draft.producer(window.output)
        narrow = None if current is None else _narrowed(current, axis)
        if current is not None and narrow is not None:
            made = draft.substitute(current, replace(narrow, outputs=()))
    if isinstance(last, Reshape):
        draft.fuse((made, last), replace(made, outputs=()))
