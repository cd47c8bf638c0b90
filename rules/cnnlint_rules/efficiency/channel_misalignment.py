"""EF001: a number of channels that hardware rounds up."""

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
    ConvTranspose,
    Diagnostic,
    Finding,
    Good,
    LayerRule,
    NearMiss,
    Severity,
)


class ChannelMisalignment(
    LayerRule[Conv | ConvTranspose], code="EF001", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"
):
    """A convolution has a number of filters that the units of its hardware do not divide.

    ## Why
    Matrix units work on blocks of channels: tensor cores on multiples of 8 in half precision and of 16 in int8, the
    DSPs of phones and many NPUs on 16 or 32. What is left over is padded with zeros, multiplied and thrown away: 33
    filters take as long as 40. `align` is what the hardware wants; the default, 8, is the smallest that gains anything
    on GPUs. MobileNet's reference code rounds every width to a multiple of 8 for this reason (`make_divisible`).

    ## Instead
    Round the width up to a multiple: the filters that are added cost nothing there. Without training anew the kernel
    can be padded with zero filters, and that of the next layer with zeros where it reads them.

    ## When not
    CPUs without matrix units; the last convolution, whose filters are classes or coordinates, gates, which work on a
    single position, and depthwise and grouped convolutions, which are not looked at. What the channels read is counted
    where they are made.

    ## References
    - PyTorch, "Performance Tuning Guide": use mixed precision, with sizes that are multiples of 8.
    - NVIDIA, "Convolutional Layers User's Guide", section on channels in and out.
    - Qualcomm, "Snapdragon Neural Processing Engine SDK", guidelines on layer sizes; TensorFlow models,
      `slim/nets/mobilenet/mobilenet.py`, `make_divisible`.
    """

    align: Annotated[int, Meta(description="What numbers of filters should be multiples of.", ge=2)] = 8

    def check(self, layer: Conv | ConvTranspose, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield by how much the filters are rounded up."""
        over = -layer.filters % self.align
        if not over:
            return
        if layer.groups > 1:
            yield self.skip(layer, reason=f"{layer.filters:,} filters, but in {layer.groups:,} groups")
            return
        if layer.output.spatial == (1,) * len(layer.kernel_size):
            yield self.skip(
                layer, reason=f"{layer.filters:,} filters, but at a single position, where they cost nothing"
            )
            return
        if any(head.scorer is layer for head in context.heads):
            yield self.skip(layer, reason=f"{layer.filters:,} filters, but they are the network's outputs")
            return
        rounded = layer.filters + over
        yield self.finding(
            layer,
            message=f"{layer.name} has {layer.filters:,} filters, which hardware that works on multiples of"
            f" {self.align} pads to {rounded:,}: {over / rounded:.0%} of its work is on zeros.",
            evidence={"filters": layer.filters, "rounded": rounded, "wasted": over / rounded},
            advice=Advice(
                text=f"Take {rounded:,} filters, which cost the same there",
                keras=f"keras.layers.Conv{len(layer.kernel_size)}D({rounded}, ...)",
                pytorch=f"nn.Conv{len(layer.kernel_size)}d({layer.in_channels}, {rounded}, ...)",
            ),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many convolutions have such a width, and the worst."""
        worst = max(places, key=lambda place: place.evidence["wasted"])
        return self.finding(
            message=f"{len(places):,} convolutions have numbers of filters that are no multiples of {self.align}, the"
            f" worst {worst.layers[0]} with {worst.evidence['filters']:,}: {worst.evidence['wasted']:.0%} of its work"
            " is on zeros where hardware pads them.",
            evidence={"convolutions": len(places), "wasted": worst.evidence["wasted"]},
            advice=Advice(text=f"Round these widths up to multiples of {self.align}"),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 33 3x3 same -> RELU -> CONV 64 3x3 same -> RELU -> GAP -> FC 10", at=("conv1",)),
        Good("INPUT 3x32x32 -> CONV 32 3x3 same -> RELU -> CONV 64 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 32 3x3 same -> RELU -> CONV 10 1x1 -> GAP -> SOFTMAX"),
        Bad(
            "INPUT 3x32x32 -> CONV 24 3x3 same -> RELU -> CONV 64 3x3 same -> RELU -> GAP -> FC 10",
            at=("conv1",),
            align=32,
        ),
    )
