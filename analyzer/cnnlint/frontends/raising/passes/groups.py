"""A normalisation of maps whose channels a Reshape put into groups is a group normalisation."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.passes.norms import absorb_affine
from cnnlint.graph.dims import product
from cnnlint.graph.layers import GroupNorm, InstanceNorm, Reshape


def fuse_groups(builder: GraphBuilder) -> None:
    """Fuse Reshape, InstanceNorm and Reshape, and the scale and shift per channel that PyTorch puts behind them."""
    for layer in builder.of_kind(InstanceNorm):
        before, after = builder.producer(layer.input), builder.sole_consumer(layer.output)
        if not isinstance(before, Reshape) or not isinstance(after, Reshape):
            continue
        groups = _groups(before)
        if groups is None or builder.sole_consumer(layer.input) is None or after.output.shape != before.input.shape:
            continue
        norm = replace(layer, inputs=before.inputs, outputs=())
        if groups != before.input.channels:
            # One value per group is what an exporter gives an operator that must have some; a layer's are per channel.
            weights = tuple(weight for weight in layer.weights if weight.size != groups)
            norm = GroupNorm(
                name=layer.name, inputs=before.inputs, groups=groups, epsilon=layer.epsilon, weights=weights
            )
        absorb_affine(builder, builder.fuse((before, layer, after), norm))


def _groups(layer: Reshape) -> int | None:
    """Return how many groups of channels `layer` makes of a map: (N, C, H, W) to (N, groups, ...)."""
    before, after = layer.input.shape, layer.output.shape
    if before is None or after is None or len(before) < 3 or len(after) < 3 or before[0] != after[0]:
        return None
    channels, groups = before[1], after[1]
    if not isinstance(channels, int) or not isinstance(groups, int) or groups < 1 or channels % groups:
        return None
    return groups if product(before[1:]) == product(after[1:]) else None
