"""What makes a tensor a feature map: positions that convolutions or pools gave it, and that are positions still."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Crop,
    Dense,
    DepthToSpace,
    Dropout,
    Elementwise,
    GlobalPool,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    MaxPool,
    Pad,
    Reduce,
    Rescale,
    Reshape,
    Resize,
    Split,
    Transpose,
)
from cnnlint.graph.tensor import Shape, Tensor

Axes = frozenset[int]

NONE: Axes = frozenset()

SLIDING = (Conv, ConvTranspose, MaxPool, AvgPool)
"""Layers that treat the axes after the channels as positions, whatever they were before."""

IN_PLACE = (
    Activation, BatchNorm, Crop, DepthToSpace, Dropout, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, Pad,
    Rescale, Resize, Split,
)  # fmt: skip
"""Layers of one input that leave each axis what it is."""


def is_feature_map(graph: Graph, tensor: Tensor) -> bool:
    """Return whether `tensor` is samples × channels × positions, its positions made by convolutions or pools.

    A sequence out of a recurrent cell, tokens of an attention, a table, and a map whose axes were put elsewhere are
    none: an average over their last axes is none over positions.
    """
    if not tensor.rank or tensor.rank < 3:
        return False
    return spatial_axes(graph, tensor) == frozenset(range(2, tensor.rank))


def spatial_axes(graph: Graph, tensor: Tensor) -> Axes:
    """Return the axes of `tensor` that are positions of a map.

    The walk goes back to the convolutions and pools that the tensor comes from, which alone make positions, and then
    forward through what lies between: each layer says which axes it leaves positions. What a layer does with its axes
    is not known for every kind; after such a layer there are none.
    """
    between, waiting = dict[str, Layer](), [tensor]
    while waiting:
        layer = graph.producer(waiting.pop())
        if layer is not None and layer.name not in between:
            between[layer.name] = layer
            if not isinstance(layer, SLIDING):
                waiting += layer.inputs
    known = dict[str, Axes]()
    for layer in sorted(between.values(), key=lambda layer: graph.position[layer.name]):
        after = _after(layer, [known.get(each.name, NONE) for each in layer.inputs])
        known |= {each.name: after for each in layer.outputs}
    return known.get(tensor.name, NONE)


def _after(layer: Layer, before: list[Axes]) -> Axes:
    """Return the axes of what `layer` makes that are positions, from those of its inputs."""
    rank = layer.output.rank
    if rank is None:
        return NONE
    if isinstance(layer, SLIDING):
        return frozenset(range(2, rank))
    match layer:
        case Elementwise() | Concat():
            return _common(layer, before, rank)
        case Transpose():
            return frozenset(place for place, axis in enumerate(layer.permutation) if axis in before[0])
        case Reshape():
            return _kept(layer.input.shape, layer.output.shape, before[0])
        case Dense():
            return before[0] - {layer.axis % rank}
        case GlobalPool():
            return before[0] if layer.keepdims else NONE
        case Reduce():
            return before[0] if layer.keepdims else _renumbered(before[0], frozenset(layer.axes))
        case _:
            return before[0] if isinstance(layer, IN_PLACE) and layer.input.rank == rank else NONE


def _common(layer: Layer, before: list[Axes], rank: int) -> Axes:
    """Return the axes that are positions in every input that has them: one of extent 1 is stretched to the others."""
    result = set[int]()
    for axis in range(rank):
        votes = list[bool]()
        for tensor, axes in zip(layer.inputs, before, strict=True):
            place = axis - rank + (tensor.rank or 0)
            if tensor.shape is not None and place >= 0 and tensor.shape[place] != 1:
                votes.append(place in axes)
            elif place in axes:
                votes.append(True)
        if votes and all(votes):
            result.add(axis)
    return frozenset(result)


def _kept(old: Shape | None, new: Shape | None, before: Axes) -> Axes:
    """Return which axes of a reshaped tensor are positions: those made of axes that all are.

    Both shapes are cut into the smallest runs of axes that hold equally many elements. In such a run rows and columns
    may be cut up or joined, and stay positions; with a channel among them nothing is a position.
    """
    if old is None or new is None:
        return NONE
    result = set[int]()
    left = right = 0
    while left < len(old) and right < len(new):
        if old[left] == new[right]:
            if left in before:
                result.add(right)
            left, right = left + 1, right + 1
            continue
        first, second = [left], [right]
        sizes = [old[left], new[right]]
        while sizes[0] != sizes[1]:
            if not isinstance(sizes[0], int) or not isinstance(sizes[1], int):
                return frozenset(result)
            side, axes, shape = (0, first, old) if sizes[0] < sizes[1] else (1, second, new)
            place = axes[-1] + 1
            extent = shape[place] if place < len(shape) else None
            if not isinstance(extent, int):
                return frozenset(result)
            axes.append(place)
            sizes[side] = (sizes[side] or 0) * extent  # pyright: ignore[reportOperatorIssue]
        wide = [axis for axis in first if old[axis] != 1]
        if wide and all(axis in before for axis in wide):
            result.update(second)
        left, right = first[-1] + 1, second[-1] + 1
    return frozenset(result)


def _renumbered(axes: Axes, gone: Axes) -> Axes:
    return frozenset(axis - sum(other < axis for other in gone) for axis in axes - gone)
