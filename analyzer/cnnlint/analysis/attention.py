"""A softmax that weighs positions or compared activations, and one that is read as features."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    Conv,
    Dense,
    Dropout,
    Einsum,
    Elementwise,
    GlobalPool,
    MatMul,
    Transpose,
)
from cnnlint.graph.queries import preceding


def scored_by(graph: Graph, softmax: Activation) -> Layer | None:
    """Return the product of two activations that gives the scores of `softmax`, scaled, masked or not."""
    layer = preceding(graph, softmax, lambda layer: isinstance(layer, Elementwise | Dropout) or layer.is_view)
    if isinstance(layer, Elementwise):  # a mask or a bias of positions is another input
        sources = [graph.producer(tensor) for tensor in layer.inputs]
        layer = next((source for source in sources if isinstance(source, MatMul | Einsum)), layer)
    return layer if isinstance(layer, MatMul | Einsum) and len(layer.inputs) > 1 else None


def reads_axis_of(graph: Graph, softmax: Activation, target: Conv | Dense) -> bool | None:
    """Return whether `target` multiplies along the axis that `softmax` sums over; None where a reshape hides it."""
    axis, layer = softmax.axis, graph.sole_successor(softmax)
    if axis is None or not softmax.output.rank:
        return None
    axis %= softmax.output.rank
    while layer is not None and layer is not target:
        if isinstance(layer, Transpose):
            axis = layer.permutation.index(axis)
        elif layer.input.shape != layer.output.shape and not isinstance(layer, GlobalPool):
            return None
        layer = graph.sole_successor(layer)
    return axis == (target.axis % (target.input.rank or 2) if isinstance(target, Dense) else 1)
