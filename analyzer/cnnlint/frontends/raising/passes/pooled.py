"""A pooled map whose spatial axes of extent 1 are dropped is a pooled vector."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.draft import Draft
from cnnlint.graph.layers import Flatten, GlobalPool, Reshape


def fuse_pooled(draft: Draft) -> None:
    """Fuse GlobalPool with the Flatten or Reshape behind it that only drops or restores axes of extent 1."""
    for layer in draft:
        if not isinstance(layer, GlobalPool):
            continue
        while isinstance(following := draft.sole_consumer(layer.output), Flatten | Reshape):
            before, after = layer.input.shape, following.output.shape
            if before is None or after is None or after[:2] != before[:2] or any(dim != 1 for dim in after[2:]):
                break
            if len(after) not in (2, len(before)):
                break
            layer = draft.fuse((layer, following), replace(layer, keepdims=len(after) > 2, outputs=()))
            if not isinstance(layer, GlobalPool):
                break
