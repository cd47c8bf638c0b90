"""AR005: convolutions of one block that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Finding,
    Good,
    ModelRule,
    NearMiss,
    Severity,
    blocks,
    convolutions_and_pools,
)


class HeterogeneousConvBlock(
    ModelRule, code="AR005", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"
):
    """Convolutions in a row at one size of the map differ in kernel or number of filters.

    ## Why
    Deep networks are built of blocks of equal layers: VGG has two to four convolutions of 3 × 3 and one number of
    filters between poolings, ResNet repeats one block. There are then few numbers to choose, each is tried many times,
    and depth can be scaled by one of them. Nikanjam and Khomh call blocks whose layers differ heterogeneous: their
    sizes are choices that nobody has compared, and one narrow layer limits all after it.

    ## Instead
    One kernel size and one number of filters in each block, twice as many in the next.

    ## When not
    Bottlenecks (1 × 1 beside 3 × 3), factorized kernels, branches, and depthwise or grouped convolutions are blocks of
    another kind, and left alone. So are networks of fewer than `min-layers` convolutions and poolings: AlexNet is one.
    It is an opinion and runs with `--pedantic` only; NeuraLint has this rule switched off.

    ## References
    - Nikanjam and Khomh, "Design Smells in Deep Learning Programs: An Empirical Study", ICSME 2021.
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
    """

    min_layers: Annotated[int, Meta(description="The fewest convolutions and poolings that are judged.", ge=2)] = 10

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the blocks whose convolutions differ."""
        graph = context.graph
        if (number := convolutions_and_pools(graph)) < self.min_layers:
            yield self.skip(reason=f"{number} convolutions and poolings, fewer than min-layers = {self.min_layers}")
            return
        scorers = {head.scorer.name for head in context.heads if head.scorer is not None}
        for block in blocks(graph):
            layers = [conv for conv in block.convolutions if conv.groups == 1 and min(conv.kernel_size) > 1]
            layers = [conv for conv in layers if conv.name not in scorers]
            sizes, filters = {conv.kernel_size for conv in layers}, {conv.filters for conv in layers}
            if len(sizes) < 2 and len(filters) < 2:
                continue
            told = list[str]()
            if len(sizes) > 1:
                told.append("kernels of " + ", ".join(_by(conv) for conv in layers))
            if len(filters) > 1:
                told.append(", ".join(str(conv.filters) for conv in layers) + " filters")
            yield self.finding(
                *layers,
                message=f"The {len(layers)} convolutions from {layers[0].name} to {layers[-1].name} work on one map"
                f" with {' and '.join(told)}.",
                evidence={"layers": len(layers), "kernel_sizes": len(sizes), "numbers_of_filters": len(filters)},
                advice=Advice(text="Give all convolutions of a block one kernel size and one number of filters"),
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many blocks are heterogeneous."""
        return self.finding(
            message=f"The convolutions of {len(places):,} blocks differ in kernel or filters within the block.",
            evidence={"layers": sum(place.evidence["layers"] for place in places)},
            advice=Advice(text="Give all convolutions of a block one kernel size and one number of filters"),
        )

    examples = (
        Bad(
            "INPUT 3x64x64 -> [CONV 32 3x3 -> RELU -> CONV 32 3x3 -> RELU -> POOL 2]*3 ->"
            " CONV 64 3x3 -> RELU -> CONV 64 5x5 -> RELU -> POOL 2 -> GAP -> FC 10",
            at=("conv7", "conv8"),
        ),
        Good("INPUT 3x64x64 -> [[CONV 32 3x3 -> RELU]*2 -> POOL 2]*4 -> GAP -> FC 10"),
        Good("INPUT 3x64x64 -> CONV 32 3x3 -> RELU -> CONV 64 5x5 -> RELU -> POOL 2 -> GAP -> FC 10"),
    )


def _by(layer: Conv) -> str:
    return " × ".join(map(str, layer.kernel_size))
