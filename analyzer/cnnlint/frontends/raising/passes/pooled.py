"""A mean over one window as large as the map is a global pooling; without its axes of extent 1 it gives a vector."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.graph.layers import AvgPool, Flatten, GlobalPool, Reshape


def fuse_pooled(builder: GraphBuilder) -> None:
    """Fuse GlobalPool with the Flatten or Reshape behind it that only drops or restores axes of extent 1."""
    for layer in builder.of_kind(GlobalPool, AvgPool):
        pool = layer if isinstance(layer, GlobalPool) else _as_global(builder, layer)
        while pool is not None:
            pool = _with_following(builder, pool)


def _as_global(builder: GraphBuilder, layer: AvgPool) -> GlobalPool | None:
    """Put a GlobalPool in the place of a mean over the whole map; None if `layer` is none."""
    if layer.pool_size != layer.input.spatial:
        return None
    if layer.pads is None or any(pads != (0, 0) for pads in layer.pads):
        return None
    made = builder.substitute(layer, GlobalPool(name=layer.name, inputs=layer.inputs, mode="avg", keepdims=True))
    return made if isinstance(made, GlobalPool) else None


def _with_following(builder: GraphBuilder, pool: GlobalPool) -> GlobalPool | None:
    following = builder.sole_consumer(pool.output)
    if not isinstance(following, Flatten | Reshape):
        return None
    before, after = pool.input.shape, following.output.shape
    if before is None or after is None or len(after) not in (2, len(before)):
        return None
    if after[:2] != before[:2] or any(dim != 1 for dim in after[2:]):
        return None
    fused = replace(pool, keepdims=len(after) > 2, outputs=())
    builder.fuse((pool, following), fused)
    made = builder.producer(following.output)
    return made if isinstance(made, GlobalPool) else None
