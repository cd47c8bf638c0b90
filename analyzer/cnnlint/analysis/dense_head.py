"""Dense layers in a row that look at a feature map, flattened or pooled."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from msgspec import Struct

from cnnlint.analysis.feature_map import is_feature_map
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, BatchNorm, Dense, Dropout, Flatten, GlobalPool


class DenseHead(Struct, frozen=True, eq=False):
    """Dense layers in a row, and the map that they score.

    Attributes:
        dense: The dense layers, the first one first.
        between: The layers between them, which work on each element or channel by itself.
        flatten: What makes the map a vector; None if `pool` does.
        pool: A global pooling ahead of them, if there is one.
        extents: The map's spatial extents where it is flattened: the first kernel; all 1 behind a pooling.
    """

    dense: tuple[Dense, ...]
    between: tuple[Layer, ...]
    flatten: Flatten | None
    pool: GlobalPool | None
    extents: tuple[int, ...]

    @property
    def swaps_with_pool(self) -> bool:
        """Whether the convolution can go ahead of the pooling: both are linear, so their order is free."""
        return self.pool is not None and self.pool.mode == "avg" and len(self.dense) == 1


def dense_head(graph: Graph, first: Dense, rest: Sequence[Layer]) -> DenseHead | str:
    """Return the dense layers in a row that begins with `first`; or why they see no map, "" where that is no news.

    Args:
        graph: The network.
        first: The first dense layer of the row.
        rest: The layers behind it, one after the other.
    """
    flatten = pool = None
    layer = graph.producer(first.input)
    while isinstance(layer, Dropout) and not layer.training:
        layer = graph.producer(layer.input)
    if isinstance(layer, Flatten):
        flatten, layer = layer, graph.producer(layer.input)
    if isinstance(layer, GlobalPool):
        pool = layer
    if flatten is None and pool is None:
        return "" if isinstance(layer, Dense | Activation | BatchNorm | Dropout) else "no feature map feeds it"
    seen = pool.input if pool is not None else flatten.input if flatten is not None else first.input
    if not is_feature_map(graph, seen):
        return "what it reads is a sequence or a vector, no map of positions"
    pooled = (1,) * len(pool.input.spatial or ()) if pool else ()
    spatial = flatten.input.spatial if flatten else pooled
    sizes = tuple(extent for extent in spatial or () if isinstance(extent, int))
    if not spatial or len(sizes) != len(spatial) or not first.in_features or first.in_features % prod(sizes):
        return "the extents of the map ahead of it are not known"
    dense, between = [first], list[Layer]()
    waiting = list[Layer]()
    for layer in rest:
        if isinstance(layer, Dense) and layer.input.rank == 2:
            dense.append(layer)
            between += waiting
            waiting = []
        elif not layer.is_blind_to_rank:
            break
        else:
            waiting.append(layer)
    return DenseHead(tuple(dense), tuple(between), flatten, pool, sizes)
