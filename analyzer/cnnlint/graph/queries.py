"""Queries about a network and about a layer's neighborhood."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, AvgPool, BatchNorm, Conv, ConvTranspose, Dense, GlobalPool

KERNEL_LAYERS = (Conv, ConvTranspose, Dense)
"""Layers that multiply their input by a learned kernel."""


def following(graph: Graph, layer: Layer, through: Callable[[Layer], bool]) -> Layer | None:
    """Return the first layer after `layer` for which `through` does not hold; None at a fork or an output."""
    successor = graph.sole_successor(layer)
    while successor is not None and through(successor):
        successor = graph.sole_successor(successor)
    return successor


def preceding(graph: Graph, layer: Layer, through: Callable[[Layer], bool]) -> Layer | None:
    """Return the first layer before `layer` for which `through` does not hold; None at an input of the network.

    Only layers with a single input are skipped.
    """
    producer = graph.producer(layer.input) if layer.inputs else None
    while producer is not None and len(producer.inputs) == 1 and through(producer):
        producer = graph.producer(producer.input)
    return producer


def is_nonlinear(layer: Layer) -> bool:
    """Return whether `layer` is an activation other than the identity."""
    return isinstance(layer, Activation) and layer.function != "linear"


def mixing_layers(graph: Graph) -> tuple[Layer, ...]:
    """Return the layers that are not known to treat the samples of a batch independently."""
    batch = (graph.batch,)
    return tuple(
        layer
        for layer in graph.layers
        if not layer.is_batch_invariant
        or any(tensor.shape is None or tensor.shape[:1] != batch for tensor in (*layer.inputs, *layer.outputs))
    )


def folds_forward(graph: Graph, norm: BatchNorm) -> Layer | None:
    """Return the layer after `norm` whose kernel can absorb its scale and shift; None if there is none.

    Averages and views commute with a scale and a shift per channel; zero padding does not, since the border would have
    to be padded with -shift / scale.
    """
    layer = following(graph, norm, lambda layer: layer.is_view or _averages(layer))
    if isinstance(layer, Dense):
        return layer
    if isinstance(layer, Conv) and layer.pads is not None and all(pad == (0, 0) for pad in layer.pads):
        return layer
    return None


def _averages(layer: Layer) -> bool:
    if isinstance(layer, AvgPool):
        return not layer.count_include_pad or (layer.pads is not None and all(pad == (0, 0) for pad in layer.pads))
    return isinstance(layer, GlobalPool) and layer.mode == "avg"
