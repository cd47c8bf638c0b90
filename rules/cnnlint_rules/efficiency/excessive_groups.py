"""EF004: a convolution in many groups (ShuffleNet V2, G2)."""

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
    LayerRule,
    NearMiss,
    Severity,
)


class ExcessiveGroups(
    LayerRule[Conv], code="EF004", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"
):
    """A convolution is split into many groups, which saves multiply-accumulates but little time.

    ## Why
    In g groups a convolution does 1/g of the multiply-accumulates and reads and writes the same maps, so that each
    value that is moved is used g times less. At equal multiply-accumulates, ShuffleNet V2 found convolutions of 8
    groups more than twice as slow as plain ones on a GPU: its guideline 2 (G2), whose threshold is ours. A depthwise
    convolution is the end of that road, made up for by kernels written for it; what lies between often has none.

    ## Instead
    Fewer groups with fewer channels, or a depthwise convolution and a 1 × 1, which cost about as much and mix all
    channels.

    ## When not
    ResNeXt's 32 groups and RegNet's buy accuracy with these multiply-accumulates. On CPUs the difference is smaller
    (30% for 8 groups).

    ## References
    - Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018, section 2, G2
      and table 2.
    - Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017.
    """

    max_groups: Annotated[int, Meta(description="The most groups that are accepted.", ge=1)] = 4

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the number of groups."""
        if layer.groups <= self.max_groups:
            return
        if layer.is_depthwise:
            yield self.skip(layer, reason="it is depthwise, for which there are kernels of its own")
            return
        size = " × ".join(map(str, layer.kernel_size))
        yield self.finding(
            layer,
            message=f"The {size} convolution {layer.name} is split into {layer.groups:,} groups of"
            f" {layer.filters // layer.groups:,} filters: it moves the same maps for 1/{layer.groups:,} of the work.",
            evidence={"groups": layer.groups, "filters": layer.filters},
            advice=_ADVICE,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many such convolutions there are."""
        groups = [int(place.evidence["groups"]) for place in places]
        between = f"{min(groups):,}" if min(groups) == max(groups) else f"{min(groups):,} to {max(groups):,}"
        return self.finding(
            message=f"{len(places):,} convolutions are split into {between} groups: they move the same maps for that"
            " part of the work.",
            evidence={"convolutions": len(places), "groups": max(groups)},
            advice=_ADVICE,
        )

    examples = (
        Bad("INPUT 64x28x28 -> CONV 64 3x3 same groups 8 -> RELU -> GAP -> FC 10", at=("conv1",)),
        Good("INPUT 64x28x28 -> CONV 64 3x3 same groups 4 -> RELU -> GAP -> FC 10"),
        Good("INPUT 64x28x28 -> DWCONV 3x3 same -> CONV 64 1x1 -> RELU -> GAP -> FC 10"),
    )


_ADVICE = Advice(
    text="Take fewer groups and fewer channels, or a depthwise convolution and a 1 × 1; measure on the target",
    keras="keras.layers.SeparableConv2D(filters, 3, padding='same')",
    pytorch="nn.Conv2d(c, c, 3, padding=1, groups=c, bias=False), nn.Conv2d(c, filters, 1)",
)
