"""CV003: a wide convolution without a 1 × 1 reduction ahead of it."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated

from msgspec import Meta, Struct

from cnnlint import (
    Activation,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Good,
    Layer,
    MaxPool,
    ModelRule,
    NearMiss,
    Pad,
    Savings,
    Severity,
    brief,
    preceding,
)


class Reducible(Struct, frozen=True):
    """A wide convolution, and what it would cost after a reduction."""

    layer: Conv
    channels: int
    reduced: int
    weights: int
    weights_after: int
    macs: int
    macs_after: int


class MissingBottleneck(
    ModelRule, code="CV003", severity=Severity.INFO, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A costly k × k convolution reads many channels that a 1 × 1 convolution could reduce first.

    ## Why
    A k × k convolution from C to F channels holds k²CF weights and multiplies them at every position. Reduced to
    C/r channels by a 1 × 1 convolution first, the two hold C²/r + k²CF/r: for 3 × 3 from 512 to 512 and r = 4
    these are 655,360 instead of 2,359,296. The channels of a wide map are correlated, so most of the information
    survives: GoogLeNet could afford its 5 × 5 branches this way, and ResNet50 is deeper than ResNet34 at about the same
    cost (3.8 against 3.6 billion multiply-accumulates).

    ## Instead
    1 × 1 convolution to C/r channels, activation, k × k convolution (and, in a residual block, 1 × 1 back to C).
    A depthwise k × k followed by a 1 × 1 goes further.

    All such convolutions of a network fall under one finding, the top_contributors first.

    ## When not
    A convolution that is one of many alike is the network's design: VGG19 and ResNet18 consist of them, each a few
    percent, and the rule looks only at what stands out (`min-share`). Accuracy per layer is higher without. On
    memory-bound accelerators, a plain 3 × 3 convolution may be as fast as the pair, as the intermediate
    map has to be written and read (Ma et al., ShuffleNet V2).

    ## References
    - Lin, Chen and Yan, "Network In Network", ICLR 2014.
    - Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 4.
    - He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.1 and table 1.
    - Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018.
    """

    min_channels: Annotated[int, Meta(description="Input channels from which on a convolution is wide.", ge=2)] = 256
    min_share: Annotated[
        float,
        Meta(
            description="The least share of the network's multiply-accumulates that a reported layer has, 0 to 1.",
            ge=0,
            le=1,
        ),
    ] = 0.1
    reduction: Annotated[int, Meta(description="By what the channels are divided in the numbers shown.", ge=2)] = 4

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the weights and multiply-accumulates of all wide convolutions as they are and after reductions."""
        found = list[Reducible]()
        for layer in context.graph.of_kind(Conv):
            looked = self._look(layer, context)
            if isinstance(looked, Reducible):
                found.append(looked)
            elif looked:
                yield self.skip(layer, reason=looked)
        if not found or not context.macs:
            return
        found.sort(key=lambda each: -each.macs)
        weights, weights_after = sum(each.weights for each in found), sum(each.weights_after for each in found)
        macs, macs_after = sum(each.macs for each in found), sum(each.macs_after for each in found)
        share, first = macs / context.macs, found[0]
        cost = f"{weights:,} weights and {brief(macs)} MACs ({share:.0%} of the network's)"
        after = f"{weights_after:,} and {brief(macs_after)}"
        if len(found) == 1:
            size = " × ".join(str(extent) for extent in first.layer.kernel_size)
            message = (
                f"A {size} convolution reads {first.channels:,} channels with {cost}; after a 1 × 1 reduction to"
                f" {first.reduced:,} the two take {after}."
            )
        else:
            fewest = min(each.channels for each in found)
            message = (
                f"{len(found)} convolutions read {fewest:,} channels or more with {cost}; after 1 × 1 reductions to"
                f" 1/{self.reduction} of the channels they take {after}."
            )
        rank = len(first.layer.kernel_size)
        yield self.finding(
            *(each.layer for each in found),
            message=message,
            evidence={
                "convolutions": len(found),
                "weights": weights,
                "weights_after": weights_after,
                "macs": macs,
                "macs_after": macs_after,
                "channels": first.channels,
                "reduced_channels": first.reduced,
                "share": share,
            },
            advice=Advice(
                text=f"Reduce {first.layer.name} to {first.reduced} channels by a 1 × 1 convolution and an activation"
                " first, then retrain",
                keras=f'x = keras.layers.Conv{rank}D({first.reduced}, 1, activation="relu")(x)',
                pytorch=f"nn.Sequential(nn.Conv{rank}d({first.channels}, {first.reduced}, 1), nn.ReLU())",
            ),
            savings=Savings(parameters=weights - weights_after, macs=macs - macs_after),
        )

    def _look(self, layer: Conv, context: Context) -> Reducible | str:
        """Return what a reduction would do for `layer`; or why none is missing, "" where that is not worth saying."""
        channels, macs = layer.in_channels, context.layer_macs(layer)
        if layer.is_pointwise or layer.groups > 1 or channels is None or channels < self.min_channels:
            return ""
        before = preceding(context.graph, layer, _keeps_channels)
        if isinstance(before, Conv) and before.is_pointwise and (before.in_channels or 0) > before.filters:
            return f"{before.name} reduces {before.in_channels} channels to {before.filters}"
        positions = prod(extent for extent in layer.input.spatial or () if isinstance(extent, int))
        if not macs or not context.macs or not positions:
            return "its multiply-accumulates or the network's are unknown"
        if layer.input.spatial == layer.kernel_size:
            return "it covers the whole map: a dense layer by another name"
        share = macs / context.macs
        if share < self.min_share:
            return f"{share:.1%} of the multiply-accumulates, less than min-share = {self.min_share:.0%}"
        reduced = channels // self.reduction
        now = prod(layer.kernel_size) * channels * layer.filters
        after = channels * reduced + prod(layer.kernel_size) * reduced * layer.filters
        macs_after = channels * reduced * positions + macs * reduced // channels
        if after >= now or macs_after >= macs:
            return f"the reduction would not pay: {after:,} weights, now {now:,}"
        return Reducible(layer, channels, reduced, now, after, macs, macs_after)

    examples = (
        Bad("INPUT 256x28x28 -> CONV 256 3x3 same -> RELU -> GAP -> FC 10", at=("conv1",)),
        Good("INPUT 256x28x28 -> CONV 64 1x1 -> RELU -> CONV 256 3x3 same -> RELU -> GAP -> FC 10"),
        Bad(
            "INPUT 256x28x28 -> CONV 256 3x3 same -> RELU -> CONV 512 3x3 same -> RELU -> GAP -> FC 10",
            at=("conv2", "conv1"),
        ),
        Good("INPUT 64x28x28 -> CONV 64 3x3 same -> RELU -> GAP -> FC 10"),
    )


def _keeps_channels(layer: Layer) -> bool:
    return isinstance(layer, Activation | BatchNorm | Pad | MaxPool | AvgPool) or layer.is_identity_at_inference
