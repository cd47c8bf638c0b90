"""The passes that make a draft canonical, in order."""

from __future__ import annotations

from cnnlint.frontends.raising.draft import Draft
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


def canonicalize(draft: Draft) -> None:
    """Fuse what exporters take apart, so that one network gives one graph."""
    chunks.fuse_chunks(draft)
    signals.drop_unit_axes(draft)
    bias.fuse_bias(draft)
    gates.fuse_activations(draft)
    norms.fuse_norms(draft)
    groups.fuse_groups(draft)
    affine.fuse_affine(draft)
    pads.fuse_pads(draft)
    repeats.fuse_repeats(draft)
    pooled.fuse_pooled(draft)
    scalars.drop_scalars(draft)
