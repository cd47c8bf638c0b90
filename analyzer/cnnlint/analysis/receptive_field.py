"""Receptive fields: how much of the input an output element depends on.

Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
"""

from __future__ import annotations

from msgspec import Struct

from cnnlint import limits
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    AvgPool,
    Conv,
    ConvTranspose,
    Dense,
    DepthToSpace,
    Flatten,
    GlobalPool,
    MatMul,
    MaxPool,
    Multiply,
    Resize,
)


class Field(Struct, frozen=True):
    """What one element sees along one spatial axis of the input.

    Attributes:
        extent: Input elements from the first seen to the last.
        jump: Input elements between two neighbouring outputs.
    """

    extent: float = 1
    jump: float = 1

    def through(self, reach: int, stride: float) -> Field:
        """Return the field behind a window of `reach` elements that moves by `stride`."""
        return Field(self.extent + (reach - 1) * self.jump, self.jump * stride)


def receptive_fields(graph: Graph) -> dict[str, tuple[int, ...] | None]:
    """Return the receptive field of each layer per spatial axis of the input, by layer name.

    Along several paths the largest counts; a gate (a 1×1 map or a vector that multiplies a map, as in
    squeeze-and-excitation) is left out, as it would make every field the whole image. None where there is no
    spatial axis to speak of, or an extent that is needed is unknown.
    """
    fields = dict[str, tuple[Field, ...] | None]()
    for tensor in graph.inputs:
        spatial = tensor.spatial
        fields[tensor.name] = tuple(Field() for _ in spatial) if spatial else None
    result = dict[str, tuple[int, ...] | None]()
    for layer in graph.layers:
        found = _behind(layer, fields)
        if found is not None and any(max(field.extent, field.jump) > limits.MAX_INT64 for field in found):
            found = None
        for tensor in layer.outputs:
            fields[tensor.name] = found
        result[layer.name] = None if found is None else tuple(round(field.extent) for field in found)
    return result


def _behind(layer: Layer, fields: dict[str, tuple[Field, ...] | None]) -> tuple[Field, ...] | None:
    before = _joined(layer, fields)
    if before is None:
        return None
    extents = layer.input.spatial
    match layer:
        case Conv() | MaxPool() | AvgPool():
            kernel = layer.kernel_size if isinstance(layer, Conv) else layer.pool_size
            if len(kernel) != len(before):
                return None
            windows = zip(before, kernel, layer.dilation, layer.strides, strict=True)
            return tuple(field.through(gap * (taps - 1) + 1, step) for field, taps, gap, step in windows)
        case ConvTranspose() if len(before) == len(layer.kernel_size):
            windows = zip(before, layer.kernel_size, layer.dilation, layer.strides, strict=True)
            return tuple(
                # an output element hears of ⌈reach / stride⌉ neighbouring inputs
                field.through(-(-(gap * (taps - 1) + 1) // step), 1 / step)
                for field, taps, gap, step in windows
            )
        case GlobalPool() | Flatten():
            return _whole_map(before, extents)
        case Resize():
            after = layer.output.spatial
            return None if after is None or extents is None else _resized(before, extents, after)
        case DepthToSpace():
            factor = layer.block_size if not layer.to_space else 1 / layer.block_size
            reach = layer.block_size if not layer.to_space else 1
            return tuple(field.through(reach, factor) for field in before)
        case MatMul():
            return None
        case Dense() if extents and layer.axis != 1:
            return None
        case _:
            return before


def _joined(layer: Layer, fields: dict[str, tuple[Field, ...] | None]) -> tuple[Field, ...] | None:
    tensors = layer.inputs
    if isinstance(layer, Multiply):
        maps = [tensor for tensor in tensors if any(extent != 1 for extent in tensor.spatial or ())]
        tensors = tuple(maps) or tensors
    known = [field for tensor in tensors if (field := fields.get(tensor.name)) is not None]
    if not known or len({len(field) for field in known}) > 1:
        return None
    return tuple(
        Field(max(field.extent for field in axis), max(field.jump for field in axis))
        for axis in zip(*known, strict=True)
    )


def _whole_map(before: tuple[Field, ...], extents: tuple[object, ...] | None) -> tuple[Field, ...] | None:
    if not extents:
        return before
    if len(extents) != len(before) or not all(isinstance(extent, int) for extent in extents):
        return None
    sizes = [extent for extent in extents if isinstance(extent, int)]
    return tuple(field.through(size, size) for field, size in zip(before, sizes, strict=True))


def _resized(
    before: tuple[Field, ...], extents: tuple[object, ...], after: tuple[object, ...]
) -> tuple[Field, ...] | None:
    if not len(extents) == len(after) == len(before):
        return None
    result = list[Field]()
    for field, small, large in zip(before, extents, after, strict=True):
        if not isinstance(small, int) or not isinstance(large, int) or large == 0:
            return None
        result.append(Field(field.extent, field.jump * small / large))
    return tuple(result)
