"""A bare number in the arithmetic between layers is no parameter of the network."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.graph.layers import Elementwise, Rescale
from cnnlint.graph.tensor import Weight


def drop_scalars(builder: GraphBuilder) -> None:
    """Take weights of one element off layers that work element by element.

    A format that says which weights are trained says what is a weight: the count in Keras' Normalization stays.
    """
    for layer in builder.of_kind(Elementwise, Rescale):
        if any(_is_bare(weight) for weight in layer.weights):
            kept = tuple(weight for weight in layer.weights if not _is_bare(weight))
            builder.substitute(layer, replace(layer, weights=kept, outputs=()))


def _is_bare(weight: Weight) -> bool:
    return weight.size == 1 and weight.trainable is None
