"""A window over a signal that was given a second spatial axis of extent 1 is one-dimensional.

TensorFlow has no one-dimensional kernels: its Conv1D adds an axis, slides a 1 × k window, and takes the axis away.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
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


def drop_unit_axes(builder: GraphBuilder) -> None:
    """Take out the Reshapes that add a spatial axis of extent 1 where others drop it again behind some windows."""
    for layer in builder.of_kind(Reshape):
        if (axis := _added_axis(layer)) is not None:
            region = _region(builder, layer, axis)
            if region is not None:
                _narrow(builder, layer, region, axis)


def _added_axis(layer: Reshape) -> int | None:
    """Return the spatial axis of extent 1 that is all that `layer` adds."""
    before, after = layer.input.shape, layer.output.shape
    if before is None or after is None or len(before) < 3 or len(after) != len(before) + 1:
        return None
    axes = range(2, len(after))
    return next((axis for axis in axes if after[axis] == 1 and without(after, axis) == before), None)


def _region(builder: GraphBuilder, first: Layer, axis: int) -> list[Layer] | None:
    """Return the layers between `first` and those that drop the axis, in order; None if one of them needs it."""
    region = dict[str, Layer]()
    ahead = [first]
    while ahead:
        output = ahead.pop().output
        if builder.is_output(output):
            return None
        for reader in builder.consumers(output):
            if _drops(reader, axis):
                continue
            if len(reader.inputs) > 1 or _narrowed(reader, axis) is None:
                return None
            region[reader.output.name] = reader
            ahead.append(reader)
    return builder.in_order(region.values()) if region else None


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


def _narrow(builder: GraphBuilder, first: Layer, region: list[Layer], axis: int) -> None:
    builder.bypass(first)
    origin = first.origin
    for layer in region:
        current = builder.producer(layer.output)
        narrow = None if current is None else _narrowed(current, axis)
        if current is None or narrow is None:
            continue
        made = builder.substitute(current, replace(narrow, outputs=(), origin=(*origin, *current.origin)))
        origin = ()
        for reader in builder.consumers(made.output):
            if not isinstance(reader, Reshape):
                continue
            if builder.sole_consumer(made.output) is reader:
                builder.fuse((made, reader), replace(made, outputs=()))
            elif not builder.is_output(reader.output):
                builder.bypass(reader)
