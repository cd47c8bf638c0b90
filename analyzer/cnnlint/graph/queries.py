"""Queries about a network and about a layer's neighborhood."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, AvgPool, BatchNorm, Conv, ConvTranspose, Dense, GlobalPool, MaxPool

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


UNCHANGED = {"relu": (0.0, inf), "relu6": (0.0, 6.0), "hard_tanh": (-1.0, 1.0), "leaky_relu": (0.0, inf),
             "elu": (0.0, inf), "celu": (0.0, inf), "prelu": (0.0, inf)}  # fmt: skip
"""The values that a function gives back as they are."""


def spare_activation(graph: Graph, layer: Activation, before: Activation) -> Activation | None:
    """Return which of two activations changes nothing, with only views and poolings between them; None if both do.

    The second does nothing to values that it gives back as they are, and their means and maxima are such values too.
    The first does nothing where the second makes the same of its values as of those that it took; a maximum commutes
    with that and a mean does not.
    """
    low, high = UNCHANGED.get(layer.function, (inf, -inf))
    if low <= before.bounds[0] and before.bounds[1] <= high:
        return layer
    source = preceding(graph, layer, lambda between: isinstance(between, MaxPool) or between.is_view)
    if source is not before or graph.sole_successor(before) is None:
        return None
    sloped = before.function in ("leaky_relu", "elu", "celu") and (before.alpha is None or before.alpha >= 0)
    cut = (layer.function in ("relu", "relu6") and sloped) or (layer.function, before.function) == ("relu6", "relu")
    return before if cut else None


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
