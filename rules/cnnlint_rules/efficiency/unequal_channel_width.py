"""EF003: a 1 × 1 convolution between very different widths (ShuffleNet V2, G1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod, sqrt
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
    Severity,
)


class UnequalChannelWidth(
    LayerRule[Conv], code="EF003", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"
):
    """A 1 × 1 convolution leads from few channels to many or back, which moves more memory than its work needs.

    ## Why
    A 1 × 1 convolution from c₁ to c₂ channels on h × w positions does B = hwc₁c₂ multiply-accumulates and moves hw(c₁ +
    c₂) + c₁c₂ values, which is at least 2√(hwB) + B/hw: the least where both widths are equal. From 32 to 192 channels,
    as in an inverted residual block of MobileNetV2, the maps are 1.4 times as large as those of 78 to 78 with the same
    work. Where memory is the bound, and 1 × 1 convolutions of small networks are bound by it, time follows. This is
    guideline 1 (G1) of ShuffleNet V2; the threshold is ours.

    ## Instead
    Bring the two widths closer: fewer channels inside a block and more between blocks.

    ## When not
    An expansion by 4 or 6 is the design of ResNet's bottlenecks and MobileNetV2's blocks, and has paid for itself in
    accuracy. Gates such as squeeze-and-excitation work on a single position and are left out, as is the layer that
    makes the scores.

    ## References
    - Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018, section 2, G1,
      equation 1 and table 1.
    """

    max_ratio: Annotated[float, Meta(description="The largest ratio of the two widths that is accepted.", ge=1)] = 4

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the values that are moved, and the least for the same work."""
        channels, extents = layer.in_channels, layer.output.spatial or ()
        known = [extent for extent in extents if isinstance(extent, int)]
        positions = prod(known)
        if not layer.is_pointwise or layer.groups > 1 or not channels or len(known) < len(extents) or positions < 2:
            return
        ratio = max(channels, layer.filters) / min(channels, layer.filters)
        if ratio <= self.max_ratio:
            return
        if any(head.scorer is layer for head in context.heads):
            yield self.skip(layer, reason="it makes the scores")
            return
        work = positions * channels * layer.filters
        moved = positions * (channels + layer.filters) + channels * layer.filters
        least = 2 * sqrt(positions * work) + work / positions
        yield self.finding(
            layer,
            message=f"{layer.name} leads from {channels:,} to {layer.filters:,} channels, 1 to {ratio:.3g}, and moves"
            f" {moved / least:.2f} times the values that equal widths would for the same multiply-accumulates.",
            evidence={"in_channels": channels, "filters": layer.filters, "ratio": ratio, "moved": moved / least},
            advice=_ADVICE,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many such layers there are, and the worst."""
        worst = max(places, key=lambda place: place.evidence["moved"])
        return self.finding(
            message=f"{len(places):,} 1 × 1 convolutions lead between widths of more than 1 to {self.max_ratio:g};"
            f" {worst.layers[0]} moves {worst.evidence['moved']:.2f} times the values that equal widths would.",
            evidence={"convolutions": len(places), "moved": worst.evidence["moved"]},
            advice=_ADVICE,
        )

    examples = (
        Bad("INPUT 32x28x28 -> CONV 192 1x1 -> RELU -> CONV 64 3x3 same -> RELU -> GAP -> FC 10", at=("conv1",)),
        Good("INPUT 32x28x28 -> CONV 128 1x1 -> RELU -> CONV 64 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 64x28x28 -> CONV 64 3x3 same -> RELU -> CONV 10 1x1 -> GAP -> SOFTMAX"),
    )


_ADVICE = Advice(
    text="Bring the widths closer to each other",
    keras="x = keras.layers.Conv2D(expansion * filters, 1)(x)  # an expansion of 4 at most",
    pytorch="nn.Conv2d(channels, expansion * channels, 1)  # an expansion of 4 at most",
)
