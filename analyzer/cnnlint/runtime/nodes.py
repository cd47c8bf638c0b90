"""The nodes of an ONNX protobuf with what is inside of them: their subgraphs, and the names that these mention."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, NodeProto


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yield the bodies and branches of `node`."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def used_names(node: NodeProto) -> set[str]:
    """Return the names that `node` reads: its inputs, and all that its subgraphs mention."""
    return {name for name in (*node.input, *names_inside(node)) if name}


def names_inside(node: NodeProto) -> Iterator[str]:
    """Yield the names that the subgraphs of `node` read and give, once per use."""
    for graph in subgraphs(node):
        yield from (value.name for value in graph.output)
        for inner in graph.node:
            yield from inner.input
            yield from names_inside(inner)
