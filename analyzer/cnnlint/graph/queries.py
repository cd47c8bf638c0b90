"""Questions about a layer's neighbourhood that several rules ask."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    Flatten,
    Reshape,
    Transpose,
)

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


def is_inert(layer: Layer) -> bool:
    """Return whether `layer` hands on the values that it is given, at inference: dropout, the identity, a view."""
    match layer:
        case Dropout():
            return not layer.training
        case Activation():
            return layer.function == "linear"
        case Flatten() | Reshape():
            return layer.input.shape is not None and layer.input.shape == layer.output.shape
        case _:
            return False


def is_view(layer: Layer) -> bool:
    """Return whether `layer` hands on the values that it is given, in whatever shape."""
    return isinstance(layer, Flatten | Reshape | Transpose) or is_inert(layer)


def is_affine_per_channel(layer: Layer) -> bool:
    """Return whether `layer` is, at inference, no more than a scale and a shift of each channel."""
    return (isinstance(layer, BatchNorm) and not layer.training) or is_inert(layer)


def is_nonlinear(layer: Layer) -> bool:
    """Return whether `layer` is an activation other than the identity."""
    return isinstance(layer, Activation) and layer.function != "linear"


def feature_axis(layer: Layer) -> int:
    """Return the axis of the output that a bias of `layer` runs along: 1, but for a dense layer on tokens."""
    if isinstance(layer, Dense) and layer.output.rank:
        return layer.axis % layer.output.rank
    return 1


def kept_axis(norm: BatchNorm) -> int:
    """Return the axis that `norm` keeps apart, counted from the front."""
    return norm.axis % norm.input.rank if norm.input.rank else norm.axis
