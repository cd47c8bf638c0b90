"""CV008: more padding than a kernel can use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    AvgPool,
    Bad,
    Confidence,
    Context,
    Conv,
    Crop,
    Diagnostic,
    Finding,
    Good,
    LayerRule,
    MaxPool,
    NearMiss,
    Severity,
)


class OversizedPadding(
    LayerRule[Conv | MaxPool | AvgPool],
    code="CV008",
    severity=Severity.INFO,
    confidence=Confidence.HEURISTIC,
    since="0.1.0",
):
    """A window is padded by more than half its extent, so that its map grows by outputs that see mostly padding.

    ## Why
    (k − 1)/2 on both sides keep the size of a map; what is beyond makes it larger, by a ring of outputs for which more
    than half of the window is padding. With 2 around a 3 × 3 kernel a map of 7 × 7 becomes 9 × 9: 65% more outputs to
    compute, in this layer and each one after it, all of them about the border. With k or more on a side the outermost
    outputs see nothing but padding: they are the same for every image, the bias, and that is reported as a warning.
    PyTorch refuses such padding for poolings.

    ## Instead
    `padding="same"`, or k // 2 on both sides of an odd kernel.

    ## When not
    A causal convolution pads k − 1 on one side, and one that is cropped after it has padding to spare: both are left
    alone. FCN pads its first layer by 100 to fit images of any size; newer networks crop or resize instead.

    ## References
    - Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 2.2.
    - Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015.
    """

    def check(self, layer: Conv | MaxPool | AvgPool, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield padding that is larger than half the window on both sides together."""
        size = layer.kernel_size if isinstance(layer, Conv) else layer.pool_size
        if isinstance(layer.padding, str):
            return
        settings = enumerate(zip(layer.padding, size, layer.dilation, strict=True))
        axes = [axis for axis, (pads, taps, gap) in settings if sum(pads) > gap * (taps - 1)]
        if not axes or (windows := layer.windows) is None:
            return
        if isinstance(context.graph.sole_successor(layer), Crop):
            yield self.skip(layer, reason="its output is cropped")
            return
        worst = max(axes, key=lambda axis: windows[axis].before + windows[axis].after - windows[axis].effective_kernel)
        window, extent = windows[worst], (layer.input.spatial or (None,) * len(windows))[worst]
        made = window.output(extent)
        blank = sum(
            -(-(side - window.effective_kernel + 1) // window.stride)
            for side in (window.before, window.after)
            if side >= window.effective_kernel
        )
        grown = f"{extent} become {made}" if isinstance(extent, int) and window.stride == 1 else ""
        told = f": {grown}" if grown else ""
        if blank:
            told += f"{' and' if told else ':'} {blank} rows or columns of outputs see nothing but padding"
        right = (window.effective_kernel - 1) // 2
        rank = len(windows)
        kind = (
            f"Conv{rank}D"
            if isinstance(layer, Conv)
            else f"{'Max' if isinstance(layer, MaxPool) else 'Average'}Pooling{rank}D"
        )
        yield self.finding(
            layer,
            message=f"A window of {window.effective_kernel} is padded by {window.before} and {window.after}, where"
            f" {right} on both sides {'keep' if right != 1 else 'keeps'} the size{told}.",
            evidence={
                "before": window.before,
                "after": window.after,
                "window": window.effective_kernel,
                "blank_outputs": blank,
            },
            advice=Advice(
                text=f"Pad by {right} on both sides",
                keras=f'keras.layers.{kind}(..., padding="same")',
                pytorch=f"nn.{kind.replace('Pooling', 'Pool').replace('Average', 'Avg').replace('D', 'd')}(...,"
                f" padding={right})",
            ),
            severity=Severity.WARNING if blank else None,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many windows are padded too much."""
        blank = int(sum(place.evidence["blank_outputs"] for place in places))
        told = f"; {blank:,} rows or columns of outputs see nothing but padding" if blank else ""
        return self.finding(
            message=f"{len(places):,} windows are padded by more than half their extent, and their maps grow{told}.",
            evidence={"blank_outputs": blank},
            advice=Advice(
                text="Pad by half the kernel: k // 2 on both sides of an odd one",
                keras='keras.layers.Conv2D(filters, 3, padding="same")',
                pytorch="nn.Conv2d(channels, filters, 3, padding=1)",
            ),
            severity=places[0].severity,
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 pad 2 -> RELU -> GAP -> FC 10", at=("conv1",)),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> CONV 32 1x1 pad 1 -> RELU -> GAP -> FC 10", at=("conv2",)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 pad 1 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 7x7 stride 2 pad 3 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 dilation 2 pad 2 -> RELU -> GAP -> FC 10"),
    )
