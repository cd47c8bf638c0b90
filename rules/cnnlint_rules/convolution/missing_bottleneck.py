"""CV003: a wide convolution without a 1 × 1 reduction ahead of it."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated

from msgspec import Meta

from cnnlint.context import Context
from cnnlint.finding import Advice, Confidence, NearMiss, Savings, Severity
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, AvgPool, BatchNorm, Conv, MaxPool, Pad
from cnnlint.graph.queries import is_inert, preceding
from cnnlint.quantity import brief
from cnnlint.rule import Bad, Good, LayerRule, Remark


class MissingBottleneck(LayerRule[Conv], code="CV003", severity=Severity.INFO, confidence=Confidence.HEURISTIC):
    """A costly k × k convolution reads many channels that a 1 × 1 convolution could reduce first.

    ## Why
    A k × k convolution from C to F channels holds k²CF weights and multiplies them at every position. Reduced to
    C/r channels by a 1 × 1 convolution first, the two hold C²/r + k²CF/r: for 3 × 3 from 512 to 512 and r = 4
    these are 655,360 instead of 2,359,296. The channels of a wide map are correlated, so most of what they say
    survives: GoogLeNet could afford its 5 × 5 branches this way, and ResNet50 is deeper than ResNet34 at about the same
    cost (3.8 against 3.6 billion multiply-accumulates).

    ## Instead
    1 × 1 convolution to C/r channels, activation, k × k convolution (and, in a residual block, 1 × 1 back to C).
    A depthwise k × k with a 1 × 1 behind it goes further.

    ## When not
    Accuracy per layer is higher without. On accelerators that are bound by memory, a plain 3 × 3 convolution may be as
    quick as the pair, as the intermediate map has to be written and read (Ma et al., ShuffleNet V2).

    ## References
    - Lin, Chen and Yan, "Network In Network", ICLR 2014.
    - Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 4.
    - He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.1 and table 1.
    - Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018.
    """

    min_channels: Annotated[int, Meta(description="Input channels from which on a convolution is wide.", ge=2)] = 256
    min_share: Annotated[
        float,
        Meta(description="The least share of the network's multiply-accumulates that is reported, 0 to 1.", ge=0, le=1),
    ] = 0.05
    reduction: Annotated[int, Meta(description="By what the channels are divided in the numbers shown.", ge=2)] = 4

    kinds = (Conv,)

    def check(self, layer: Conv, context: Context) -> Iterator[Remark | NearMiss]:
        """Yield the weights and multiply-accumulates of `layer` as it is and behind a reduction."""
        channels, macs = layer.in_channels, context.layer_macs(layer)
        if layer.is_pointwise or layer.groups > 1 or channels is None or channels < self.min_channels:
            return
        before = preceding(context.graph, layer, _keeps_channels)
        if isinstance(before, Conv) and before.is_pointwise and (before.in_channels or 0) > before.filters:
            yield self.skip(layer, reason=f"{before.name} reduces {before.in_channels} channels to {before.filters}")
            return
        positions = prod(extent for extent in layer.input.spatial or () if isinstance(extent, int))
        if not macs or not context.macs or not positions:
            yield self.skip(layer, reason="its multiply-accumulates or the network's are unknown")
            return
        if layer.input.spatial == layer.kernel_size:
            yield self.skip(layer, reason="it covers the whole map: a dense layer in other words")
            return
        share = macs / context.macs
        if share < self.min_share:
            reason = f"{share:.1%} of the multiply-accumulates, less than min-share = {self.min_share:.0%}"
            yield self.skip(layer, reason=reason)
            return
        reduced = channels // self.reduction
        now = prod(layer.kernel_size) * channels * layer.filters
        after = channels * reduced + prod(layer.kernel_size) * reduced * layer.filters
        macs_after = channels * reduced * positions + macs * reduced // channels
        if after >= now or macs_after >= macs:
            yield self.skip(layer, reason=f"the reduction would not pay: {after:,} weights, now {now:,}")
            return
        size, rank = " × ".join(str(extent) for extent in layer.kernel_size), len(layer.kernel_size)
        yield self.finding(
            layer,
            message=f"A {size} convolution reads {channels:,} channels with {now:,} weights and {brief(macs)} MACs"
            f" ({share:.0%} of the network's); behind a 1 × 1 reduction to {reduced:,} the two take {after:,} and"
            f" {brief(macs_after)}.",
            evidence={
                "weights": now,
                "weights_after": after,
                "macs": macs,
                "macs_after": macs_after,
                "channels": channels,
                "reduced_channels": reduced,
                "share": share,
            },
            advice=Advice(
                text=f"Reduce to {reduced} channels by a 1 × 1 convolution and an activation first, then retrain",
                keras=f'x = keras.layers.Conv{rank}D({reduced}, 1, activation="relu")(x)',
                pytorch=f"nn.Sequential(nn.Conv{rank}d({channels}, {reduced}, 1), nn.ReLU())",
            ),
            savings=Savings(parameters=now - after, macs=macs - macs_after),
        )

    examples = (
        Bad("INPUT 256x28x28 -> CONV 256 3x3 same -> RELU -> GAP -> FC 10", at=("conv1",)),
        Good("INPUT 256x28x28 -> CONV 64 1x1 -> RELU -> CONV 256 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 64x28x28 -> CONV 64 3x3 same -> RELU -> GAP -> FC 10"),
    )


def _keeps_channels(layer: Layer) -> bool:
    return isinstance(layer, Activation | BatchNorm | Pad | MaxPool | AvgPool) or is_inert(layer)
