"""A bare number in the arithmetic between layers is no parameter of the network."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.draft import Draft
from cnnlint.graph.layers import Elementwise, Rescale


def drop_scalars(draft: Draft) -> None:
    """Take weights of one element off layers that work element by element."""
    for layer in draft:
        if isinstance(layer, Elementwise | Rescale) and any(weight.size == 1 for weight in layer.weights):
            kept = tuple(weight for weight in layer.weights if weight.size != 1)
            draft.substitute(layer, replace(layer, weights=kept, outputs=()))
