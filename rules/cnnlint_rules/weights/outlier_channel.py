"""WT006: a channel so much larger than the others that it costs them their int8 steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log2
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Filters,
    Finding,
    Good,
    ModelRule,
    NearMiss,
    Severity,
    filters,
    shown_channels,
)


class OutlierChannel(
    ModelRule,
    code="WT006",
    severity=Severity.INFO,
    confidence=Confidence.HEURISTIC,
    reads_values=True,
    since="0.1.0",
):
    """A filter is so much larger than the others of its layer that an int8 scale for all leaves these a few steps.

    ## Why
    Quantization with one scale for a kernel (per tensor) takes the largest weight for 127 steps. A filter whose largest
    weight is a 16th of it gets 8 of them: 3 bits of 7, and 4 bits are lost. The rule compares the largest filter with
    the median one, after the batch normalization is folded in (γ/√(σ² + ε) times the filter), as quantizers do. In
    MobileNetV2, whose depthwise filters differ by more than a hundred times, int8 by tensor takes ImageNet accuracy
    from 71.7% to 0.1%; kernels equalized, with large biases absorbed, bring it back to 70.9%.

    ## Instead
    Quantize with one scale for each channel, which most runtimes can for convolutions. Where they cannot, equalize:
    scale each filter by 1/s and the next layer's slice that reads it by s, which a ReLU between them lets through; the
    network computes the same. A filter that is large because its variance is nearly zero is dead: remove it.

    ## When not
    A network that is not quantized, or by channel only.

    ## References
    - Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019, figure 2 and
      table 5.
    - Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", 2018, arXiv:1806.08342, table 3.
    - Sheng et al., "A Quantization-Friendly Separable Convolution for MobileNets", EMC2 2018.
    """

    min_bits: Annotated[
        float, Meta(description="The least number of bits, of the 7 of an int8, that the median filter loses.", gt=0)
    ] = 4
    min_filters: Annotated[int, Meta(description="The fewest filters of a layer that is checked.", ge=3)] = 8

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what the median filter of each layer loses."""
        import numpy as np

        for each in filters(context):
            sizes = each.magnitudes
            alive = sizes > 0
            alive[[*each.silent(deviations=10), *each.faded]] = False
            (channels,) = np.nonzero(alive)
            if len(channels) < self.min_filters:
                continue
            channels = channels[np.argsort(sizes[channels], kind="stable")[::-1]]
            ratios = sizes[channels] / sizes[channels[len(channels) // 2]]
            large = channels[np.log2(ratios) >= self.min_bits]
            if len(large):
                yield self._diagnosed(each, float(ratios[0]), large.tolist())

    def _diagnosed(self, each: Filters, ratio: float, large: Sequence[int]) -> Diagnostic:
        layer, bits = each.layer, min(log2(ratio), 7.0)
        folded = "" if each.gain is None or each.norm is None else f", with {each.norm.name} folded in,"
        return self.finding(
            layer,
            message=f"The largest filter of {layer.name} is{folded} {ratio:,.0f} times the median one"
            f" (of {each.count:,} filters {len(large):,} are beyond {2**self.min_bits:,.0f} times:"
            f" {shown_channels(large)}): with one int8 scale for all the median filter {_loses(bits)}.",
            evidence={"ratio": ratio, "bits": bits, "large": len(large), "filters": each.count},
            advice=_ADVICE,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return in how many layers that is so, and the worst."""
        worst = max(places, key=lambda place: place.evidence["ratio"])
        return self.finding(
            message=f"In {len(places):,} layers the largest filter is"
            f" {min(place.evidence['ratio'] for place in places):,.0f} times the median one or more, up to"
            f" {worst.evidence['ratio']:,.0f} times in {worst.layers[0]}: with one int8 scale for a kernel the median"
            f" filter {_loses(worst.evidence['bits'])} there.",
            evidence={"ratio": worst.evidence["ratio"], "bits": worst.evidence["bits"]},
            advice=_ADVICE,
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,1,8,8] x) => (float[N,8,8,8] y)
            <float[8,1,1,1] kernel = {0.1, -0.2, 0.1, 0.3, -0.1, 0.2, 12.0, 0.1}>
            {
                y = Conv(x, kernel)
            }
            """,
            at=("y",),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


_ADVICE = Advice(
    text="Quantize these kernels with one scale for each channel, or equalize them with the next layer first",
    keras="converter.optimizations = [tf.lite.Optimize.DEFAULT]  # TFLite quantizes convolutions by channel",
    pytorch="torch.ao.quantization.get_default_qconfig('x86')  # weights by channel; 'qnnpack' is by tensor",
)


def _loses(bits: float) -> str:
    return "is rounded to zero" if bits >= 7 else f"loses {bits:.1f} of 7 bits"
