"""The passes that make a graph canonical, in order."""

from __future__ import annotations

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.passes import (
    affine,
    bias,
    chunks,
    gates,
    groups,
    norms,
    pads,
    pooled,
    repeats,
    scalars,
    signals,
)


def canonicalize(builder: GraphBuilder) -> None:
    """Fuse what exporters take apart, so that one network gives one graph."""
    chunks.fuse_chunks(builder)
    signals.drop_unit_axes(builder)
    bias.fuse_bias(builder)
    gates.fuse_activations(builder)
    norms.fuse_norms(builder)
    groups.fuse_groups(builder)
    affine.fuse_affine(builder)
    pads.fuse_pads(builder)
    repeats.fuse_repeats(builder)
    pooled.fuse_pooled(builder)
    scalars.drop_scalars(builder)
