"""Operators that a conversion left untranslated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def leftover_operators(model: onnx.ModelProto) -> list[str]:
    """Return the nodes that no operator set of `model` defines, as "type (name)", the first of each type."""
    from onnx import defs

    opsets = {item.domain: item.version for item in model.opset_import}
    found: dict[str, str] = {}
    for node in _all_nodes(model.graph):
        if not (node.domain in opsets and defs.has(node.op_type, opsets[node.domain], node.domain)):
            found.setdefault(node.op_type, node.name)
    return [f"{kind} ({name})" for kind, name in found.items()]


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)
