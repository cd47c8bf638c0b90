"""CV001: a kernel so large that a stack of 3 × 3 does the same for less."""

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


class PreferSmallKernelStack(
    LayerRule[Conv],
    code="CV001",
    severity=Severity.WARNING,
    confidence=Confidence.HEURISTIC,
    since="0.1.0",
    replaces=("large-kernel",),
):
    """A convolution has a large kernel where a stack of 3 × 3 ones sees as much with fewer parameters.

    ## Why
    n convolutions of 3 × 3 in a row see 2n + 1 pixels on each axis. From C to C channels they hold 9nC²
    weights where a k × k kernel holds k²C²: 18C² against 25C² for 5 × 5 (28% fewer), 27C² against 49C² for 7 × 7
    (45% fewer). They also have n non-linearities instead of one. Multiply-accumulates fall in the same proportion.
    Where the channels change a lot the sum can come out the other way: the rule counts with the layer's own
    numbers, with as many channels between as the wider end has, and reports only what pays.

    ## Instead
    ⌈(k − 1)/2⌉ convolutions of 3 × 3, each with its activation; a stride goes to the first. Or a depthwise k × k
    followed by a 1 × 1: (k² + C)C weights.

    ## When not
    The first convolution sees three channels only, so a 7 × 7 or 11 × 11 stem is cheap (`exempt-stem`). Depthwise and
    grouped large kernels (ConvNeXt's 7 × 7) and factorized ones (1 × 7, 7 × 1) are the remedy, not the smell.
    A kernel as large as its map is a dense layer by another name.

    ## References
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
      section 2.3.
    - Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016, section 3.1.
    - Liu et al., "A ConvNet for the 2020s", CVPR 2022.
    """

    min_kernel: Annotated[int, Meta(description="The smallest kernel extent that is checked.", ge=4)] = 5
    min_saving: Annotated[
        float, Meta(description="The least share of the layer's parameters that the stack saves, 0 to 1.", ge=0, le=1)
    ] = 0.2
    exempt_stem: Annotated[bool, Meta(description="Whether the first convolution may have a kernel of any size.")] = (
        True
    )

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the parameters of `layer` and of the stack."""
        taps = max(layer.kernel_size)
        if taps < self.min_kernel:
            return
        size = " × ".join(str(extent) for extent in layer.kernel_size)
        if reason := self._legitimate(layer, context):
            yield self.skip(layer, reason=f"{size}, but {reason}")
            return
        channels = layer.in_channels
        if channels is None:
            yield self.skip(layer, reason="its input channels are unknown")
            return
        depth = -(-(taps - 1) // 2)
        wide = max(channels, layer.filters)
        small = 3 ** len(layer.kernel_size)
        now = prod(layer.kernel_size) * channels * layer.filters
        stack = small * (channels * wide + (depth - 2) * wide * wide + wide * layer.filters)
        if now - stack < self.min_saving * now:
            reason = f"{depth} convolutions of 3 would hold {stack:,} weights, the one of {size} {now:,}"
            yield self.skip(layer, reason=reason)
            return
        rank = len(layer.kernel_size)
        by = "×".join("3" * rank)
        macs = context.layer_macs(layer)
        told = "" if macs is None else f" and takes {brief(macs)} MACs"
        yield self.finding(
            layer,
            message=f"A {size} kernel from {channels:,} to {layer.filters:,} channels holds {now:,} weights{told};"
            f" {depth} convolutions of {by} see as much with {stack:,} ({1 - stack / now:.0%} fewer).",
            evidence={
                "weights": now,
                "weights_after": stack,
                "kernel_extent": taps,
                "stack_depth": depth,
                "saved_share": 1 - stack / now,
            },
            advice=Advice(
                text=f"Stack {depth} convolutions of {by} with an activation after each, then retrain",
                keras=f"for _ in range({depth}):\n"
                f'    x = keras.layers.Conv{rank}D({wide}, 3, padding="same", activation="relu")(x)',
                pytorch=f"nn.Sequential(nn.Conv{rank}d({channels}, {wide}, 3, padding=1), nn.ReLU(), ...)"
                f"  # {depth} times",
            ),
            savings=Savings(parameters=now - stack, macs=(macs or 0) * (now - stack) // now),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return the weights of all large kernels and of the stacks."""
        now, stack = (sum(place.evidence[name] for place in places) for name in ("weights", "weights_after"))
        return self.finding(
            message=f"{len(places):,} convolutions have large kernels, which hold {now:,} weights; stacks of 3 × 3"
            f" convolutions see as much with {stack:,} ({1 - stack / now:.0%} fewer).",
            evidence={"weights": now, "weights_after": stack, "saved_share": 1 - stack / now},
            advice=Advice(
                text="Stack convolutions of 3 × 3, ⌈(k − 1)/2⌉ for a k × k one, with an activation after each, then"
                " retrain",
            ),
        )

    def _legitimate(self, layer: Conv, context: Context) -> str:
        if layer.groups > 1:
            return "its channels are grouped"
        if min(layer.kernel_size) < self.min_kernel:
            return "it is narrow on another axis: one part of a factorized kernel"
        if any(step > 1 for step in layer.dilation):
            return "it is dilated, so that it is larger than the number of its weights"
        if layer.strides == layer.kernel_size:
            return "it cuts the map into patches"
        if layer.input.spatial == layer.kernel_size:
            return "it covers the whole map: a dense layer by another name"
        if self.exempt_stem and context.depths[layer.name] == 1:
            return "it is the first convolution"
        return ""

    examples = (
        Bad("INPUT 3x64x64 -> CONV 64 3x3 same -> RELU -> CONV 64 7x7 same -> RELU -> GAP -> FC 10", at=("conv2",)),
        Good("INPUT 3x64x64 -> CONV 64 7x7 same -> RELU -> CONV 64 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x64x64 -> CONV 64 3x3 same -> RELU -> CONV 64 7x7 same groups 64 -> CONV 64 1x1 -> RELU -> GAP"),
        Good("INPUT 3x64x64 -> CONV 32 3x3 same -> RELU -> CONV 96 5x5 same -> RELU -> GAP -> FC 10"),
    )
