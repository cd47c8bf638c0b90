"""FC002: dense layers that are convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Activation,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    DenseHead,
    Diagnostic,
    Dropout,
    Editor,
    Good,
    Graph,
    HeadAsConvolutions,
    Many,
    Match,
    MaxPool,
    NearMiss,
    Op,
    PatternRule,
    Severity,
    as_convolutions,
    brief,
    dense_head,
    dense_to_conv,
    preceding,
)

INPUTS = {1: "signals", 2: "images", 3: "volumes"}
"""What networks over so many spatial axes are given."""


class FcAsConv(
    PatternRule,
    code="FC002",
    severity=Severity.INFO,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("dense-as-convolution",),
):
    """The dense layers on a flattened map are convolutions, and as such run on larger images.

    ## Why
    A dense layer of U units on a flattened C × H × W map is a convolution of U filters with an H × W kernel that
    fits the map once; a dense layer on a vector is a 1 × 1 convolution. The weights are the same, in another order.
    A dense layer takes one image size. The convolution slides over whatever map it is given: on a larger image it
    gives a map of scores in one pass, where crops would repeat the shared work for each position. VGG16 on an image of
    384 gives 6 × 6 positions in one pass of 49.6 billion multiply-accumulates; 36 crops of 224 take 557 billion.

    ## Instead
    `cnnlint fix --any-size` makes an ONNX model that takes images of any size and gives a map of scores, and with
    `--keep-rank` their mean; `cnnlint fix --select FC002` leaves the image axes as they are. By hand: replace the dense
    layers by convolutions with the reshaped weights, and average the scores over the positions.
    `cnnlint` tries this on the model with onnxruntime and prints the largest error, when run time checks are on.

    ## When not
    Where every image has the size that the network was trained on, nothing is gained. Where layers pad with zeros, a
    position of the map is not what the network gives on a crop, which is padded where the larger image goes on. After a
    global pooling a dense layer is a 1 × 1 convolution as well, but such a network takes images of any size already, so
    the rule says nothing (`cnnlint summary` does) unless `pooled-heads` is set. There the convolution goes ahead of the
    pooling and multiplies at each of the map's positions, which the dense layer after it does once; on a flattened map
    parameters and multiply-accumulates are the same.

    ## References
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
      section 3.2: testing on whole images by turning the dense layers into convolutions.
    - Sermanet et al., "OverFeat", ICLR 2014, section 3.5.
    - Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016: the dense layer after a
      global average pooling, put ahead of it, maps where a class is seen.
    - Stanford CS231n, "Convolutional Neural Networks", "Converting FC layers to CONV layers".
    """

    pooled_heads: Annotated[
        bool, Meta(description="Whether to report dense layers after a global pooling too, which take any image size.")
    ] = False

    rewrites_on_request = True
    first = Op(Dense)
    rest = Many(Dense, Activation, BatchNorm, Dropout)
    pattern = first >> rest

    def check(self, match: Match, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the kernels, the parameters on both sides, and the positions on a larger image."""
        first, graph = match[self.first], match.graph
        head = dense_head(graph, first, match.all(self.rest))
        if isinstance(head, str):
            if head:
                yield self.skip(first, reason=head)
            return
        if not any(found.scorer is head.dense[-1] for found in context.heads):
            yield self.skip(first, reason="no output of the network comes straight from it")
            return
        if next(graph.of_kind(Conv, ConvTranspose), None) is None:
            yield self.skip(first, reason="the network has no convolution that it could join")
            return
        found = as_convolutions(graph, head)
        if found is None:
            yield self.skip(*head.dense, reason=context.unknown_weights)
            return
        if not self.pooled_heads and (_is_pooled(head, graph) or (found.positions and prod(found.positions) == 1)):
            reason = (
                f"{found.words}; but it comes after a pooling, so that the network takes images of any size already"
            )
            yield self.skip(*head.dense, reason=reason)
            return
        rank, channels = len(head.extents), found.channels
        kernel, shape = (head.extents[0] if rank == 1 else head.extents), ", ".join(map(str, head.extents))
        yield self.finding(
            *head.dense,
            message=f"{found.words[:1].upper()}{found.words[1:]}{_gain(found)}.",
            evidence={
                "parameters": found.parameters,
                "parameters_as_convolution": found.converted,
                "kernel_area": prod(head.extents),
                "channels": channels,
                "units": head.dense[-1].units,
                **({"positions_on_larger_image": prod(found.positions)} if found.positions else {}),
                **(dict(zip(("macs_of_one_pass", "macs_of_crops"), found.macs, strict=True)) if found.macs else {}),
            },
            advice=Advice(
                text=f"To run the network on larger {INPUTS[rank]}, give their weights to convolutions",
                keras=f"conv = keras.layers.Conv{rank}D({first.units}, {kernel})\n"
                f"conv.set_weights([kernel.reshape({shape}, {channels}, {first.units}), bias])",
                pytorch=f"nn.Conv{rank}d({channels}, {first.units}, {kernel}) with"
                f" weight.view({first.units}, {channels}, {shape})",
            ),
        )

    def rewrite(self, match: Match, editor: Editor) -> None:
        """Put the convolutions in place."""
        head = dense_head(match.graph, match[self.first], match.all(self.rest))
        if isinstance(head, DenseHead):
            dense_to_conv(head, editor)

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> FLATTEN -> FC 16 -> RELU -> FC 10",
            at=("fc1", "fc2"),
            fixed="INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> POOL 2 -> CONV 16 16x16 valid -> RELU -> CONV 10 1x1 -> GAP",
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=("fc1",),
            fixed="INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> CONV 10 1x1 -> GAP -> SOFTMAX",
            pooled_heads=True,
        ),
        Good("INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> CONV 10 1x1 -> GAP -> SOFTMAX"),
    )


def _is_pooled(head: DenseHead, graph: Graph) -> bool:
    """Return whether a pooling over the whole map feeds the dense layers."""
    if head.pool is not None or head.flatten is None:
        return True
    before = preceding(graph, head.flatten, lambda layer: layer.is_identity_at_inference)
    return isinstance(before, MaxPool | AvgPool) and all(
        isinstance(extent, int) and taps >= extent
        for taps, extent in zip(before.pool_size, before.input.spatial or (None,), strict=False)
    )


def _gain(found: HeadAsConvolutions) -> str:
    """Return how many places the head scores on a larger image, as a clause; "" if unknown."""
    if not found.positions:
        return ""
    places = prod(found.positions)
    where = " ahead of the pooling" if found.head.pool is not None else ""
    it = "it gives" if len(found.head.dense) == 1 else "they give"
    if len(found.image) == 1:
        return f"; on a signal of {found.image[0]:,} {it} {places:,} vectors of scores{where}"
    image, scores = ("×".join(map(str, extents)) for extents in (found.image, found.positions))
    cost = ""
    if found.macs is not None:
        once, crops = map(brief, found.macs)
        cost = f" for {once} MACs, where {places:,} crops take {crops}"
    return f"; on a {image} {INPUTS[len(found.image)][:-1]} {it} {scores} scores{where}{cost}"
