"""Questions about a network, and about a layer's neighborhood, that several ask."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, Conv, ConvTranspose, Dense

KERNEL_LAYERS = (Conv, ConvTranspose, Dense)
"""Layers that multiply their input by a learned kernel."""


def following(graph: Graph, layer: Layer, through: Callable[[Layer], bool]) -> Layer | None:
    """Return the first layer behind `layer` that `through` does not hold for; None at a fork or an output."""
    successor = graph.sole_successor(layer)
    while successor is not None and through(successor):
        successor = graph.sole_successor(successor)
    return successor


def preceding(graph: Graph, layer: Layer, through: Callable[[Layer], bool]) -> Layer | None:
    """Return the first layer ahead of `layer` that `through` does not hold for; None at an input of the network.

    Layers that are walked through have one input.
    """
    producer = graph.producer(layer.input) if layer.inputs else None
    while producer is not None and len(producer.inputs) == 1 and through(producer):
        producer = graph.producer(producer.input)
    return producer


def is_nonlinear(layer: Layer) -> bool:
    """Return whether `layer` is an activation other than the identity."""
    return isinstance(layer, Activation) and layer.function != "linear"


def mixing_layers(graph: Graph) -> tuple[Layer, ...]:
    """Return the layers that are not known to treat each sample of a batch by itself."""
    batch = (graph.batch,)
    return tuple(
        layer
        for layer in graph.layers
        if not layer.keeps_samples_apart
        or any(tensor.shape is None or tensor.shape[:1] != batch for tensor in (*layer.inputs, *layer.outputs))
    )
