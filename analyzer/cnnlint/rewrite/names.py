"""The tensors that a node reads, inside its subgraphs too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto


def used_names(node: NodeProto) -> set[str]:
    """Return the names that `node` reads: its inputs, and all that its subgraphs mention."""
    used = {name for name in node.input if name}
    for attribute in node.attribute:
        graphs = [attribute.g] if attribute.HasField("g") else []
        for graph in (*graphs, *attribute.graphs):
            used |= {value.name for value in graph.output}
            for inner in graph.node:
                used |= used_names(inner)
    return used
