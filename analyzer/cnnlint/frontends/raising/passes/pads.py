"""Zeros put around a map right before a convolution are its padding."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.draft import Draft
from cnnlint.graph.layers import Conv, Pad


def fuse_pads(draft: Draft) -> None:
    """Fuse a Pad of zeros on spatial axes with the convolution that alone reads it."""
    for layer in draft:
        if not isinstance(layer, Pad) or layer.mode != "constant" or layer.value != 0:
            continue
        conv = draft.sole_consumer(layer.output)
        if not isinstance(conv, Conv) or (pads := conv.pads) is None:
            continue
        if any(amount != (0, 0) for amount in layer.amounts[:2]) or min(min(pair) for pair in layer.amounts) < 0:
            continue
        total = tuple(
            (before + more_before, after + more_after)
            for (before, after), (more_before, more_after) in zip(pads, layer.amounts[2:], strict=True)
        )
        draft.fuse((layer, conv), replace(conv, inputs=layer.inputs, padding=total, outputs=()))
