"""A pooled map whose spatial axes of extent 1 are dropped is a pooled vector."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.draft import Draft
from cnnlint.graph.layers import Flatten, GlobalPool, Reshape


def fuse_pooled(draft: Draft) -> None:
    """Fuse GlobalPool with the Flatten or Reshape behind it that only drops or restores axes of extent 1."""
    for layer in draft:
        if isinstance(layer, GlobalPool):
            pool: GlobalPool | None = layer
            while pool is not None:
                pool = _with_following(draft, pool)


def _with_following(draft: Draft, pool: GlobalPool) -> GlobalPool | None:
    following = draft.sole_consumer(pool.output)
    if not isinstance(following, Flatten | Reshape):
        return None
    before, after = pool.input.shape, following.output.shape
    if before is None or after is None or len(after) not in (2, len(before)):
        return None
    if after[:2] != before[:2] or any(dim != 1 for dim in after[2:]):
        return None
    fused = replace(pool, keepdims=len(after) > 2, outputs=())
    draft.fuse((pool, following), fused)
    made = draft.producer(following.output)
    return made if isinstance(made, GlobalPool) else None
