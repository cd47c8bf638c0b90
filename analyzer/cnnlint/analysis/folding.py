"""Whether a normalization can become part of the kernel behind it."""

from __future__ import annotations

from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import AvgPool, BatchNorm, Conv, Dense, GlobalPool
from cnnlint.graph.queries import following


def folds_forward(graph: Graph, norm: BatchNorm) -> Layer | None:
    """Return the layer behind `norm` whose kernel can hold its scale and shift; None if there is none.

    Averages and views commute with a scale and a shift per channel; zero padding does not, as the border would have to
    be padded by -shift / scale.
    """
    layer = following(graph, norm, lambda layer: layer.is_view or _averages(layer))
    if isinstance(layer, Dense):
        return layer
    if isinstance(layer, Conv) and layer.pads is not None and all(pad == (0, 0) for pad in layer.pads):
        return layer
    return None


def _averages(layer: Layer) -> bool:
    if isinstance(layer, AvgPool):
        return not layer.count_include_pad or (layer.pads is not None and all(pad == (0, 0) for pad in layer.pads))
    return isinstance(layer, GlobalPool) and layer.mode == "avg"
