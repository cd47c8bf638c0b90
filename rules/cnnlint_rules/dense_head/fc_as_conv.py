"""FC002: dense layers that are convolutions."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from cnnlint import (
    Activation,
    Advice,
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
    Many,
    Match,
    NearMiss,
    Op,
    PatternRule,
    Severity,
    dense_head,
    dense_to_conv,
    larger_extents,
    spatial_on,
    weight_elements,
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
    """The dense layers of a head are convolutions, and as such run on larger images.

    ## Why
    A dense layer of U units on a flattened C × H × W map is a convolution of U filters with an H × W kernel that
    fits the map once; a dense layer on a vector is a 1 × 1 convolution. The weights are the same, in another order.
    A dense layer takes one image size. The convolution slides over whatever map it is given: on a larger image it
    gives a map of scores in one pass, where crops would repeat the shared work for each position.

    ## Instead
    Replace the dense layers by convolutions with the reshaped weights, and average the scores over the positions.
    `cnnlint` tries this on the model with onnxruntime and prints the largest error, when run time checks are on.

    ## When not
    Where every image has the size that the network was trained on, nothing is gained. On a flattened map parameters and
    multiply-accumulates are the same; ahead of a global pooling the convolution multiplies at each of the map's
    positions, which the dense layer after it does once.

    ## References
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
      section 3.2: testing on whole images by turning the dense layers into convolutions.
    - Sermanet et al., "OverFeat", ICLR 2014, section 3.5.
    - Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016: the dense layer after a
      global average pooling, put ahead of it, maps where a class is seen.
    - Stanford CS231n, "Convolutional Neural Networks", "Converting FC layers to CONV layers".
    """

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
        kernels = [head.extents, *((1,) * len(head.extents) for _ in head.dense[1:])]
        parameters = weight_elements(weight for dense in head.dense for weight in dense.weights)
        if parameters is None:
            yield self.skip(*head.dense, reason=context.unknown_weights)
            return
        converted = sum(_as_convolution(dense, kernel) for dense, kernel in zip(head.dense, kernels, strict=True))
        channels = (first.in_features or 0) // prod(head.extents)
        positions, gain = _positions(head, graph)
        rank = len(head.extents)
        kernel, shape = (head.extents[0] if rank == 1 else head.extents), ", ".join(map(str, head.extents))
        yield self.finding(
            *head.dense,
            message=f"{_described(head, kernels, channels)} with {_compared(converted, parameters)}{gain}.",
            evidence={
                "parameters": parameters,
                "parameters_as_convolution": converted,
                "kernel_area": prod(head.extents),
                "channels": channels,
                "units": head.dense[-1].units,
                **({"positions_on_larger_image": positions} if positions else {}),
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
        ),
        Good("INPUT 3x32x32 -> CONV 8 3x3 -> RELU -> CONV 10 1x1 -> GAP -> SOFTMAX"),
    )


def _as_convolution(dense: Dense, kernel: tuple[int, ...]) -> int:
    channels = (dense.in_features or 0) // prod(kernel)
    return dense.units * channels * prod(kernel) + (dense.units if dense.use_bias else 0)


def _compared(converted: int, parameters: int) -> str:
    if converted == parameters:
        return f"the same {parameters:,} parameters"
    return f"{converted:,} parameters for {parameters:,}"


def _positions(head: DenseHead, graph: Graph) -> tuple[int, str]:
    """Return how many places the head scores on a larger image, and that in words; 0 and "" if unknown."""
    seen = head.pool.input if head.pool is not None else head.flatten.input if head.flatten is not None else None
    now = graph.inputs[0].spatial if graph.inputs else None
    image = larger_extents(tuple(extent for extent in now or () if isinstance(extent, int)))
    if seen is None or not now or len(image) != len(now) or (head.pool is not None and not head.swaps_with_pool):
        return 0, ""
    extents = spatial_on(graph, seen, image)
    if extents is None:
        return 0, ""
    places = tuple(extent - kernel + 1 for extent, kernel in zip(extents, head.extents, strict=True))
    where = " ahead of the pooling" if head.pool is not None else ""
    it = "it gives" if len(head.dense) == 1 else "they give"
    if len(image) == 1:
        return places[0], f"; on a signal of {image[0]:,} {it} {places[0]:,} vectors of scores{where}"
    return prod(places), f"; on a {_by(image)} {INPUTS[len(image)][:-1]} {it} a {_by(places)} map of scores{where}"


def _described(head: DenseHead, kernels: list[tuple[int, ...]], channels: int) -> str:
    names, sizes = [dense.name for dense in head.dense], [_by(kernel) for kernel in kernels]
    units = [f"{dense.units:,}" for dense in head.dense]
    if len(names) == 1:
        return f"The dense layer {names[0]} is a {sizes[0]} convolution of {channels:,} to {units[0]} channels"
    rest = "".join(f", {size} to {count}" for size, count in zip(sizes[1:], units[1:], strict=True))
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"The dense layers {listed} are convolutions, {sizes[0]} of {channels:,} to {units[0]} channels{rest},"


def _by(extents: tuple[int, ...]) -> str:
    text = "×".join(map(str, extents))
    return f"{text}-wide" if len(extents) == 1 else text
