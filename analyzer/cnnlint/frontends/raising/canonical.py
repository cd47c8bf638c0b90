"""The passes that make a graph canonical: what exporters take apart is put together, so that one network gives one."""

from __future__ import annotations

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.passes.activations import fuse_activations
from cnnlint.frontends.raising.passes.normalization import drop_scalars, fuse_affine, fuse_bias, fuse_groups, fuse_norms
from cnnlint.frontends.raising.passes.windows import drop_unit_axes, fuse_chunks, fuse_pads, fuse_pooled, fuse_repeats


def canonicalize(builder: GraphBuilder) -> None:
    """Put together what exporters take apart; each pass stands where it does for the reason beside it."""
    # Parts of a tensor are told by where they begin and end in it: before a pass gives it another maker.
    fuse_chunks(builder)
    # A bias, a padding or a pooling is that of the one-dimensional window, which the Reshapes around it hide.
    drop_unit_axes(builder)
    # A constant added after a kernel is its bias, and neither a part of a normalization nor of a folded one.
    fuse_bias(builder)
    # The search for a normalization takes in all arithmetic on elements: what is an activation must not look like it.
    fuse_activations(builder)
    # With biases and activations gone, the arithmetic around a mean is a normalization's, with its scale and shift.
    fuse_norms(builder)
    # A group norm is an instance norm, spelled out or not, between two Reshapes.
    fuse_groups(builder)
    # Of the scales and shifts, norms have taken theirs: those left are folded norms, or prepare the input.
    fuse_affine(builder)
    # Windows have their last number of axes; what reads a Pad now is all that will.
    fuse_pads(builder)
    # Norms of groups have taken their Reshapes: one around a Tile repeats entries.
    fuse_repeats(builder)
    # A mean of a whole map may be a normalization's; one that is left pools.
    fuse_pooled(builder)
    # Bare numbers tell all passes above what the arithmetic is.
    drop_scalars(builder)
