"""Layers of two models whose outputs should be equal, norms that one of them has folded taken into account."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from cnnlint.comparison.matching import match_layers
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer


class LayerPair(Struct, frozen=True, eq=False):
    """A layer of the first model and its counterpart in the second.

    Attributes:
        left: The layer of the first model.
        right: That of the second.
        ahead: The layer of the first model whose output is compared: `left`, or a norm behind it that the second
            model has not, having folded it.
        behind: The same of the second.
        looked_through: Names of the layers between, both sides.
        is_alike: Whether none of them scales anything, so that both hold the same weights.
    """

    left: Layer
    right: Layer
    ahead: Layer
    behind: Layer
    looked_through: tuple[str, ...] = ()
    is_alike: bool = True

    @property
    def is_view(self) -> bool:
        """Whether values only change their shape here; flattening depends on the layout of each side."""
        return self.left.is_view and self.right.is_view

    @property
    def note(self) -> str:
        """Which norms are taken together with the layer; "" if none are."""
        return f"with {', '.join(self.looked_through)}" if self.looked_through else ""


def pair_layers(before: Graph, after: Graph) -> list[LayerPair]:
    """Return the layers that both networks have, in the order of the first."""
    matched = match_layers(before, after)
    layers = {layer.name: layer for layer in after.layers}
    taken = set(matched.values())
    pairs = list[LayerPair]()
    for left in before.layers:
        if left.name not in matched or not left.outputs:
            continue
        right = layers[matched[left.name]]
        if not right.outputs:
            continue
        ahead, behind = [*_folded(before, left, matched)], [*_folded(after, right, taken)]
        between = (*ahead, *behind)
        pairs.append(
            LayerPair(
                left,
                right,
                ahead[-1] if ahead else left,
                behind[-1] if behind else right,
                tuple(layer.name for layer in between),
                all(layer.is_identity_at_inference for layer in between),
            )
        )
    return pairs


def _folded(graph: Graph, layer: Layer, matched: dict[str, str] | set[str]) -> Iterator[Layer]:
    """Yield the layers behind `layer` that only scale channels and that the other network does not have."""
    successor = graph.sole_successor(layer)
    while successor is not None and successor.name not in matched and successor.is_affine_per_channel:
        yield successor
        successor = graph.sole_successor(successor)
