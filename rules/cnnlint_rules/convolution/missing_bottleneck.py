"""CV003: a wide convolution without a 1 × 1 reduction ahead of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    Finding,
    Good,
    Layer,
    MaxPool,
    ModelRule,
    NearMiss,
    Pad,
    Savings,
    Severity,
    added_up,
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

    All such convolutions of a network are one finding.

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
        """Yield each wide convolution with its weights and multiply-accumulates as it is and after a reduction."""
        for layer in context.graph.of_kind(Conv):
            looked = self._look(layer, context)
            if isinstance(looked, Reducible):
                yield self._told(looked, context.macs or 0)
            elif looked:
                yield self.skip(layer, reason=looked)

    def _told(self, found: Reducible, of_network: int) -> Diagnostic:
        share = found.macs / of_network
        size = " × ".join(str(extent) for extent in found.layer.kernel_size)
        rank = len(found.layer.kernel_size)
        return self.finding(
            found.layer,
            message=f"A {size} convolution reads {found.channels:,} channels with {found.weights:,} weights and"
            f" {brief(found.macs)} MACs ({share:.0%} of the network's); after a 1 × 1 reduction to {found.reduced:,}"
            f" the two take {found.weights_after:,} and {brief(found.macs_after)}.",
            evidence={
                "weights": found.weights,
                "weights_after": found.weights_after,
                "macs": found.macs,
                "macs_after": found.macs_after,
                "channels": found.channels,
                "reduced_channels": found.reduced,
                "share": share,
            },
            advice=Advice(
                text=f"Reduce what {found.layer.name} reads to {found.reduced} channels by a 1 × 1 convolution and an"
                " activation, then retrain",
                keras=f'x = keras.layers.Conv{rank}D({found.reduced}, 1, activation="relu")(x)',
                pytorch=f"nn.Sequential(nn.Conv{rank}d({found.channels}, {found.reduced}, 1), nn.ReLU())",
            ),
            savings=Savings(parameters=found.weights - found.weights_after, macs=found.macs - found.macs_after),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say what all wide convolutions take, and would take after reductions."""
        sums = added_up(places)
        weights, weights_after, macs, macs_after = (
            sums[name] for name in ("weights", "weights_after", "macs", "macs_after")
        )
        share = sum(place.evidence["share"] for place in places)
        fewest = int(min(place.evidence["channels"] for place in places))
        return self.finding(
            message=f"{len(places):,} convolutions read {fewest:,} channels or more with {weights:,} weights and"
            f" {brief(macs)} MACs ({share:.0%} of the network's); after 1 × 1 reductions to 1/{self.reduction} of the"
            f" channels they take {weights_after:,} and {brief(macs_after)}.",
            evidence={
                "weights": weights,
                "weights_after": weights_after,
                "macs": macs,
                "macs_after": macs_after,
                "share": share,
            },
            advice=Advice(
                text=f"Reduce what each reads to 1/{self.reduction} of the channels by a 1 × 1 convolution and an"
                " activation, then retrain"
            ),
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
            at=("conv1", "conv2"),
        ),
        Good("INPUT 64x28x28 -> CONV 64 3x3 same -> RELU -> GAP -> FC 10"),
    )


def _keeps_channels(layer: Layer) -> bool:
    return isinstance(layer, Activation | BatchNorm | Pad | MaxPool | AvgPool) or layer.is_identity_at_inference
