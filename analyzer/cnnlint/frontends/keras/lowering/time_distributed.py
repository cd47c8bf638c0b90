"""TimeDistributed: steps of a sequence become entries of the batch, and back."""

from __future__ import annotations

from collections.abc import Callable

from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.network import MERGE, SPLIT
from cnnlint.frontends.raising.view import View
from cnnlint.graph.dims import product
from cnnlint.graph.layers import Reshape
from cnnlint.graph.tensor import Shape


def _merge(call: Call) -> View:
    shape = call.view.shape
    merged: Shape | None = None if shape is None else (product(shape[:2]), *shape[2:])
    source = call.draft.tensor(call.view)
    return call.add_oriented(
        lambda target: Reshape(inputs=(source,), target=target, **call.identity("merge")),
        merged,
        call.view.tensor.dtype,
    )


def _split(call: Call) -> View:
    """Split the batch of the first tensor as that of the second, the sequence, is."""
    made, sequence = call.views
    inner, outer = made.shape, sequence.shape
    target = None if inner is None or outer is None else (*outer[:2], *inner[1:])
    return call.add_oriented(
        lambda shape: Reshape(inputs=(made.tensor,), target=shape, **call.identity()), target, made.tensor.dtype
    )


LAYERS: dict[str, Callable[[Call], View]] = {MERGE: _merge, SPLIT: _split}
