"""Depth: how many learned kernels a value has passed through."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.queries import KERNEL_LAYERS


def kernel_depths(graph: Graph) -> dict[str, int]:
    """Return the number of convolutions and dense layers on the longest path to and including each layer, by name.

    This is the depth that papers count: 16 for VGG16, 50 for ResNet50.
    """
    of_tensor = dict[str, int]()
    of_layer = dict[str, int]()
    for layer in graph.layers:
        before = max((of_tensor.get(tensor.name, 0) for tensor in layer.inputs), default=0)
        depth = before + isinstance(layer, KERNEL_LAYERS)
        of_layer[layer.name] = depth
        for tensor in layer.outputs:
            of_tensor[tensor.name] = depth
    return of_layer
