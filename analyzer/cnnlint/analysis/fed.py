"""Which tensors depend on what the user feeds, and which are the same in every run."""

from __future__ import annotations

from cnnlint.graph.graph import Graph


def fed_tensors(graph: Graph) -> frozenset[str]:
    """Return the names of the tensors that an input of the network has a part in.

    What is left is computed from weights alone: standardized kernels, position tables, anchors of a detector.
    """
    fed = {tensor.name for tensor in graph.inputs}
    for layer in graph.layers:
        for tensor in layer.inputs:
            if tensor.name in fed:
                fed.update([made.name for made in layer.outputs])
                break
    return frozenset(fed)
