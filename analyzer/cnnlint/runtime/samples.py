"""Which layers could let one sample of a batch see another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint.graph.layers import (
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    DepthToSpace,
    Dropout,
    Flatten,
    GlobalPool,
    GroupNorm,
    InstanceNorm,
    LocalResponseNorm,
    MaxPool,
    Multiply,
    Pad,
)

if TYPE_CHECKING:
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.layer import Layer


def mixing_layers(graph: Graph) -> tuple[Layer, ...]:
    """Return the layers that are not known to treat each sample by itself."""
    return tuple(layer for layer in graph.layers if not _keeps_samples_apart(layer, graph))


def _keeps_samples_apart(layer: Layer, graph: Graph) -> bool:
    batch = graph.batch
    if any(tensor.shape is None or tensor.shape[:1] != (batch,) for tensor in (*layer.inputs, *layer.outputs)):
        return False
    match layer:
        case Activation():
            return layer.axis is None or layer.axis > 0
        case BatchNorm() | Dropout():
            return not layer.training
        case Concat() | Dense():
            return layer.axis > 0
        case Pad():
            return layer.amounts[0] == (0, 0)
        case _:
            return isinstance(layer, _APART)


_APART = (
    Add, AvgPool, Conv, ConvTranspose, DepthToSpace, Flatten, GlobalPool, GroupNorm, InstanceNorm,
    LocalResponseNorm, MaxPool, Multiply,
)  # fmt: skip
