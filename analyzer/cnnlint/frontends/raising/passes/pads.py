"""Zeros put around a map right before a convolution are its padding."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.graph.layers import Conv, Pad


def fuse_pads(builder: GraphBuilder) -> None:
    """Fuse a Pad of zeros on spatial axes with the convolutions that read it, if nothing else does."""
    for layer in builder.of_kind(Pad):
        if layer.mode != "constant" or layer.value != 0 or len(layer.inputs) > 1:
            continue
        if any(amount != (0, 0) for amount in layer.amounts[:2]) or min(min(pair) for pair in layer.amounts) < 0:
            continue
        consumers = builder.consumers(layer.output)
        convs = [padded for conv in consumers if (padded := _padded(layer, conv)) is not None]
        if builder.is_output(layer.output) or not convs or len(convs) < len(consumers):
            continue
        for conv, padded in list(zip(consumers, convs, strict=True))[1:]:
            builder.substitute(conv, padded)
        builder.fuse((layer, consumers[0]), replace(convs[0], outputs=()))


def _padded(pad: Pad, conv: object) -> Conv | None:
    """Return the convolution that does the padding itself; None where there is none."""
    if not isinstance(conv, Conv) or conv.pads is None or pad.output in conv.inputs[1:]:
        return None
    total = tuple(
        (before + more_before, after + more_after)
        for (before, after), (more_before, more_after) in zip(conv.pads, pad.amounts[2:], strict=True)
    )
    return replace(conv, inputs=(pad.input, *conv.inputs[1:]), padding=total)
