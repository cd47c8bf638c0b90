"""CV004: kernels without a center, padded on one side more than on the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


class EvenKernelSamePadding(
    LayerRule[Conv], code="CV004", severity=Severity.INFO, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A kernel of even extent keeps its map's size by padding one side more than the other, and shifts the map.

    ## Why
    An odd kernel has a center: (k − 1)/2 zeros on both sides keep the size. An even one has none, so that one row and
    column more is padded after than before (TensorFlow's "same"), and each output lies half an element away from what
    it saw. The shifts add up, each times the stride so far: five 4 × 4 convolutions ahead of which the map was halved
    0, 1, 2, 3 and 4 times move it by 0.5 + 1 + 2 + 4 + 8 = 15.5 pixels. Features drift to one corner, and the zeros of
    the border come in from one side only. Wu et al. name it the shift problem, and find that it and not the even size
    is why 2 × 2 and 4 × 4 kernels do worse than 3 × 3.

    ## Instead
    An odd kernel of about the size: 3 × 3 in place of 2 × 2 or 4 × 4. Where the even kernel must stay, no padding
    ("valid"), or padding on alternating sides. Zeros around a trained even kernel make it an odd one that computes the
    same; it costs more and the shift stays.

    ## When not
    A kernel that moves by its own extent cuts the map into patches and needs no center (ConvNeXt's and ViT's stems), a
    4 × 4 kernel of stride 2 is padded alike on both sides, and causal convolutions are shifted on purpose: all of these
    are left alone, and poolings too. An odd kernel of stride 2 on an even map is padded unequally as well (MobileNet in
    Keras), by one element, as no odd kernel of stride 1 is; that is usual and not reported.

    ## References
    - Wu et al., "Convolution with even-sized kernels and symmetric padding", NeurIPS 2019.
    - Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, section 2.3.
    """

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield by how much an even kernel shifts its map."""
        if all(taps % 2 for taps in layer.kernel_size) or (windows := layer.windows) is None:
            return
        uneven = [window.kernel % 2 == 0 and window.before != window.after for window in windows]
        if not any(uneven):
            return
        if all(window.kernel == window.stride for window in windows):
            yield self.skip(layer, reason="it cuts the map into patches")
            return
        if any(
            window.effective_kernel - 1 in (window.before, window.after) and window.kernel > 2 for window in windows
        ):
            yield self.skip(layer, reason="all of its padding is on one side: it is causal")
            return
        axis = uneven.index(True)
        shift = abs(windows[axis].after - windows[axis].before) / 2
        size = " × ".join(str(taps) for taps in layer.kernel_size)
        odd = tuple(taps + 1 - taps % 2 for taps in layer.kernel_size)
        jump = _jump(layer, context, axis)
        pixels = shift * jump
        yield self.finding(
            layer,
            message=f"A {size} kernel has no center: padded by {windows[axis].before} before and"
            f" {windows[axis].after} after, it shifts its map by {shift:g} elements"
            f"{f', {pixels:g} pixels of the input' if jump > 1 else ''}.",
            evidence={
                "shift": shift,
                "shift_in_pixels": pixels,
                "before": windows[axis].before,
                "after": windows[axis].after,
            },
            advice=Advice(
                text=f"Use a kernel of odd extent, {' × '.join(str(taps) for taps in odd)}",
                keras=f'keras.layers.Conv{len(odd)}D({layer.filters}, {odd}, padding="same")',
                pytorch=f"nn.Conv{len(odd)}d({layer.in_channels}, {layer.filters}, {odd},"
                f" padding={tuple(taps // 2 for taps in odd)})",
            ),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return by how much all even kernels shift the map."""
        pixels = sum(place.evidence["shift_in_pixels"] for place in places)
        return self.finding(
            message=f"{len(places):,} convolutions have kernels without a center, padded on one side more than on the"
            f" other; along one path their shifts come to at most {pixels:g}"
            f" pixel{'' if pixels == 1 else 's'} of the input.",
            evidence={"shift_in_pixels": pixels},
            advice=Advice(
                text="Use kernels of odd extent, 3 × 3 in place of 2 × 2 or 4 × 4",
                keras='keras.layers.Conv2D(filters, 3, padding="same")',
                pytorch="nn.Conv2d(channels, filters, 3, padding=1)",
            ),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 2x2 same -> RELU -> POOL 2 -> GAP -> FC 10", at=("conv1",)),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> POOL 2 -> CONV 32 4x4 same -> RELU -> GAP -> FC 10", at=("conv2",)
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> POOL 2 -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 2x2 valid -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 96 4x4 stride 4 same -> GELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 4x4 stride 2 same -> RELU -> GAP -> FC 10"),
    )


def _jump(layer: Conv, context: Context, axis: int) -> float:
    """Return the input elements between neighbors of the map that `layer` reads; 1 where that is not known."""
    extent, image = (layer.input.spatial or (None,))[axis], context.graph.inputs[0].spatial
    whole = image[axis] if image and axis < len(image) else None
    if not isinstance(extent, int) or not isinstance(whole, int) or not extent:
        return 1
    return max(round(whole / extent), 1)
