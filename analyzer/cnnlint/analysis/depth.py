"""Depth: how many learned kernels a value has passed through."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.queries import KERNEL_LAYERS


def kernel_depths(graph: Graph) -> dict[str, int | None]:
    """Return the number of convolutions and dense layers on the longest path to and including each layer, by name.

    This is the depth that papers count: 16 for VGG16, 50 for ResNet50. None from a layer on whose inside is not known.
    """
    of_tensor = dict[str, int | None]()
    of_layer = dict[str, int | None]()
    for layer in graph.layers:
        depth = None if layer.multiplies is None else 0
        for tensor in layer.inputs:
            ahead = of_tensor.get(tensor.name, 0)
            depth = None if ahead is None or depth is None else max(depth, ahead)
        if depth is not None and isinstance(layer, KERNEL_LAYERS):
            depth += 1
        of_layer[layer.name] = depth
        for tensor in layer.outputs:
            of_tensor[tensor.name] = depth
    return of_layer
