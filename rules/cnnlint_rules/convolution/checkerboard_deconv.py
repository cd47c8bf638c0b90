"""CV006: transposed convolutions whose kernels overlap unevenly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    ConvTranspose,
    Diagnostic,
    Finding,
    Good,
    LayerRule,
    NearMiss,
    Severity,
)


class CheckerboardDeconv(
    LayerRule[ConvTranspose], code="CV006", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A transposed convolution's stride does not divide its kernel, so that its outputs overlap in a checkerboard.

    ## Why
    A kernel of k laid down every s outputs covers some outputs ⌈k/s⌉ times and others ⌊k/s⌋ times. With 3 × 3 and
    stride 2 an output is the sum of 1, 2 or 4 products, by where it lies: a pattern of 2 × 2 pixels, four times as
    strong at one place as beside it, which training has to cancel and rarely does. It is seen in generated images as a
    checkerboard, most in large areas of one color, and in the gradients of strided convolutions as well.

    ## Instead
    A kernel that is a multiple of the stride, 4 × 4 or 2 × 2 at stride 2, so that each output is covered as often. Or
    scale the map up first and convolve after that: nearest-neighbor resizing and a 3 × 3 convolution.

    ## When not
    A convolution of stride 1 right after it can smooth the pattern, and scores of a segmentation suffer less than
    images do. A kernel that equals the stride has no overlap at all and is never reported.

    ## References
    - Odena, Dumoulin and Olah, "Deconvolution and Checkerboard Artifacts", Distill 2016.
    - Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017.
    """

    def check(self, layer: ConvTranspose, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how often outputs are covered."""
        if not (layer.kernel_size and len(layer.strides) == len(layer.dilation) == len(layer.kernel_size)):
            return
        least, most = 1, 1
        for axis in zip(layer.kernel_size, layer.strides, layer.dilation, strict=True):
            covered = _covered(*axis)
            least, most = least * min(covered), most * max(covered)
        size, step = (" × ".join(map(str, extents)) for extents in (layer.kernel_size, layer.strides))
        if least == most:
            if any(stride > 1 for stride in layer.strides):
                yield self.skip(layer, reason=f"a kernel of {size} that moves by {step} covers all outputs alike")
            return
        rank = len(layer.kernel_size)
        even = tuple(
            max(-(-taps // stride), 1) * stride for taps, stride in zip(layer.kernel_size, layer.strides, strict=True)
        )
        padding = tuple((taps - stride) // 2 for taps, stride in zip(even, layer.strides, strict=True))
        told = f"from {least} to {most}" if least else f"up to {most}, and some none at all"
        yield self.finding(
            layer,
            message=f"A kernel of {size} that moves by {step} overlaps unevenly: by where it lies, an output is the sum"
            f" of {told} products of an input channel.",
            evidence={"least_products": least, "most_products": most},
            advice=Advice(
                text=f"Use a kernel that the stride divides, {' × '.join(map(str, even))}, or resize and convolve",
                keras=f"keras.layers.Conv{rank}DTranspose({layer.filters}, {even}, strides={layer.strides},"
                ' padding="same")',
                pytorch=f"nn.ConvTranspose{rank}d({layer.in_channels}, {layer.filters}, {even}, stride={layer.strides},"
                f" padding={padding})",
            ),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many transposed convolutions overlap unevenly, and how strongly at most."""
        most = max(place.evidence["most_products"] for place in places)
        return self.finding(
            message=f"The kernels of {len(places):,} transposed convolutions overlap unevenly: by where it lies, an"
            f" output is the sum of up to {most} products of an input channel, its neighbor of fewer.",
            evidence={"most_products": most},
            advice=Advice(
                text="Use kernels that the strides divide, 4 × 4 at stride 2, or resize and convolve",
                keras='keras.layers.Conv2DTranspose(filters, 4, strides=2, padding="same")',
                pytorch="nn.ConvTranspose2d(channels, filters, 4, stride=2, padding=1)",
            ),
        )

    examples = (
        Bad("INPUT 8x16x16 -> DECONV 16 3x3 stride 2 -> RELU -> CONV 3 3x3 -> TANH", at=("deconv1",)),
        Bad("INPUT 8x16x16 -> DECONV 16 5x5 stride 2 -> RELU -> CONV 3 3x3 -> TANH", at=("deconv1",)),
        Good("INPUT 8x16x16 -> DECONV 16 4x4 stride 2 -> RELU -> CONV 3 3x3 -> TANH"),
        Good("INPUT 8x16x16 -> DECONV 16 2x2 stride 2 -> RELU -> CONV 3 3x3 -> TANH"),
        Good("INPUT 8x16x16 -> UPSAMPLE 2 -> CONV 16 3x3 -> RELU -> CONV 3 3x3 -> TANH"),
    )


def _covered(taps: int, stride: int, dilation: int) -> list[int]:
    """Return how many taps reach an output, for each of the `stride` places that it may lie at."""
    counts = [0] * min(stride, 4096)
    for tap in range(min(taps, 4096)):
        counts[tap * dilation % stride % len(counts)] += 1
    return counts
