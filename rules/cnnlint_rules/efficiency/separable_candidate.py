"""EF002: a wide convolution that a depthwise and a pointwise one could replace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
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
    LayerRule,
    NearMiss,
    Savings,
    Severity,
    brief,
)


class SeparableCandidate(
    LayerRule[Conv], code="EF002", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"
):
    """A wide convolution mixes channels and positions in one, where a depthwise and a pointwise one cost a fraction.

    ## Why
    A k × k convolution from C to F channels holds k²CF weights. A depthwise k × k (each channel for itself) and a 1 × 1
    after it hold k²C + CF, which is 1/F + 1/k² of that: from 128 to 128 channels with 3 × 3 it is 0.12, for the weights
    as for the multiply-accumulates. MobileNet built of these loses 1.1 points of ImageNet accuracy against the same
    network of full convolutions (70.6% for 71.7%), with a seventh of the parameters and a ninth of the
    multiply-accumulates.

    ## Instead
    `SeparableConv2D`, or a depthwise convolution with the stride and a 1 × 1, each with its normalization, and retrain.

    ## When not
    Where accuracy counts more than cost. A depthwise convolution does so little work for each value that it reads that
    GPUs run it at a fraction of their speed: measure. Kernels as large as their map are dense layers.

    ## References
    - Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017,
      arXiv:1704.04861, section 3.1 and table 4.
    - Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017.
    - Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018.
    """

    min_channels: Annotated[
        int, Meta(description="Input and output channels from which on a convolution is wide.", ge=2)
    ] = 64

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what the two would cost."""
        channels = layer.in_channels
        if min(layer.kernel_size, default=1) == 1 or layer.groups > 1 or channels is None:
            return
        if min(channels, layer.filters) < self.min_channels:
            yield self.skip(layer, reason=f"it is narrow, {channels:,} to {layer.filters:,} channels")
            return
        if layer.input.spatial == layer.kernel_size:
            yield self.skip(layer, reason="it covers the whole map: a dense layer by another name")
            return
        taps = prod(layer.kernel_size)
        now, after = taps * channels * layer.filters, taps * channels + channels * layer.filters
        macs = context.layer_macs(layer) or 0
        rank, size = len(layer.kernel_size), " × ".join(map(str, layer.kernel_size))
        yield self.finding(
            layer,
            message=f"The {size} convolution {layer.name} from {channels:,} to {layer.filters:,} channels holds {now:,}"
            f" weights{f' and takes {brief(macs)} MACs' if macs else ''}; a depthwise and a 1 × 1 one hold {after:,}"
            f" ({after / now:.0%}).",
            evidence={"weights": now, "weights_after": after, "ratio": after / now, "macs": macs},
            advice=Advice(
                text="Split it into a depthwise and a pointwise convolution, then retrain",
                keras=f"keras.layers.SeparableConv{rank}D({layer.filters}, {layer.kernel_size}, ...)"
                if rank < 3
                else "",
                pytorch=f"nn.Sequential(nn.Conv{rank}d({channels}, {channels}, {layer.kernel_size}, groups={channels}, "
                f"bias=False),\n              nn.Conv{rank}d({channels}, {layer.filters}, 1))",
            ),
            savings=Savings(parameters=now - after, macs=macs * (now - after) // now),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return what all of them cost, and would cost."""
        now, after = (sum(place.evidence[name] for place in places) for name in ("weights", "weights_after"))
        return self.finding(
            message=f"{len(places):,} wide convolutions hold {now:,} weights; depthwise and 1 × 1 ones in their place"
            f" hold {after:,} ({after / now:.0%}).",
            evidence={"weights": now, "weights_after": after, "ratio": after / now},
            advice=Advice(text="Split them into depthwise and pointwise convolutions, then retrain"),
        )

    examples = (
        Bad("INPUT 64x32x32 -> CONV 128 3x3 same -> RELU -> GAP -> FC 10", at=("conv1",)),
        Good("INPUT 64x32x32 -> DWCONV 3x3 same -> CONV 128 1x1 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 128 3x3 same -> RELU -> GAP -> FC 10"),
    )
