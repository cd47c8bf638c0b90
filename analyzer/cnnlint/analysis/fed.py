"""Which tensors depend on what the user feeds, and which are the same in every run."""

from __future__ import annotations

from cnnlint.graph.graph import Graph


def fed_tensors(graph: Graph) -> frozenset[str]:
    """Return the names of the tensors that an input of the network has a part in.

    What is left is computed from weights alone: standardized kernels, position tables, anchors of a detector.
    """
    fed = {tensor.name for tensor in graph.inputs}
    for layer in graph.layers:
        if any(tensor.name in fed for tensor in layer.inputs):
            fed.update(tensor.name for tensor in layer.outputs)
    return frozenset(fed)
