"""The passes that make a graph canonical: they fuse what exporters split, so equal networks give equal graphs."""

from __future__ import annotations

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.passes.activations import fuse_activations
from cnnlint.frontends.raising.passes.normalization import drop_scalars, fuse_affine, fuse_bias, fuse_groups, fuse_norms
from cnnlint.frontends.raising.passes.windows import drop_unit_axes, fuse_chunks, fuse_pads, fuse_pooled, fuse_repeats


def canonicalize(builder: GraphBuilder) -> None:
    """Fuse what exporters split; the comments give the reasons for the order of the passes."""
    # Chunks are recognized by their positions in a tensor: before a pass changes its producer.
    fuse_chunks(builder)
    # Biases, padding and pooling belong to the one-dimensional window, which the Reshapes around it hide.
    drop_unit_axes(builder)
    # A constant added after a kernel is its bias, and not part of a normalization.
    fuse_bias(builder)
    # The search for normalizations considers all elementwise arithmetic, so activations must be gone.
    fuse_activations(builder)
    # Without biases and activations, the arithmetic around a mean is a normalization, with its scale and shift.
    fuse_norms(builder)
    # A group norm is an instance norm between two Reshapes.
    fuse_groups(builder)
    # The remaining scales and shifts are folded norms, or rescale the input.
    fuse_affine(builder)
    # Windows have their final rank, and Pads their final readers.
    fuse_pads(builder)
    # Group norms have taken their Reshapes; those around a Tile repeat entries.
    fuse_repeats(builder)
    # The remaining means over whole maps are not part of normalizations.
    fuse_pooled(builder)
    # All passes above need the scalars to recognize arithmetic.
    drop_scalars(builder)
