"""The passes that make a draft canonical, in order."""

from __future__ import annotations

from cnnlint.frontends.raising.draft import Draft
from cnnlint.frontends.raising.passes import affine, bias, gates, norms, pads, pooled, scalars


def canonicalize(draft: Draft) -> None:
    """Fuse what exporters take apart, so that one network gives one graph."""
    bias.fuse_bias(draft)
    gates.fuse_activations(draft)
    norms.fuse_norms(draft)
    affine.fuse_affine(draft)
    pads.fuse_pads(draft)
    pooled.fuse_pooled(draft)
    scalars.drop_scalars(draft)
