"""SH003: an image whose last rows and columns no feature ever sees."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    AvgPool,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Good,
    Graph,
    MaxPool,
    ModelRule,
    NearMiss,
    Severity,
)

Windows = Conv | MaxPool | AvgPool


class InputNotDivisible(ModelRule, code="SH003", severity=Severity.INFO, confidence=Confidence.EXACT, since="0.1.0"):
    """The strides of convolutions do not divide the image, so that rows or columns at its far end are never seen.

    ## Why
    Windows of k that move by s over n elements, padded by p in all, leave (n + p − k) mod s of them out, always at the
    bottom and the right. One layer loses s − 1 at most, but an element of a map that was halved four times stands for
    16 pixels: a stride of 2 that leaves out one row of such a map throws 16 rows of the image away. The patches of a
    vision transformer are the plainest case: 16 × 16 on 230 pixels see 224.

    ## Instead
    An image whose extents fit (the finding names the nearest), or padding: `padding="same"`.

    ## When not
    Less than `min-share` of the image is not reported, nor what padding makes up for. Poolings that leave out rows are
    reported by PL001, each with its own map; this rule looks at convolutions, and at the image as a whole. Where the
    size is open nothing is said.

    ## References
    - Stanford CS231n, "Convolutional Neural Networks", on constraints on strides and layer sizing.
    - Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, relationship 6.
    """

    min_share: Annotated[
        float, Meta(description="The least share of the image, 0 to 1, that is reported.", ge=0, le=1)
    ] = 0.02

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what of the image is lost, and where."""
        graph, image = context.graph, context.image
        if not any(_loses(layer) for layer in graph.of_kind(Conv)):
            return
        if image is None:
            yield self.skip(reason="the size of the image is open, or there are several")
            return
        seen = _seen(graph, len(image))
        if seen is None:
            yield self.skip(reason="which pixels a layer reads is not known")
            return
        lost = [max(extent - reached, 0) for extent, reached in zip(image, seen, strict=True)]
        share = 1 - prod(extent - gone for extent, gone in zip(image, lost, strict=True)) / prod(image)
        if share < self.min_share:
            yield self.skip(reason=f"{share:.1%} of the image are not seen, less than min-share")
            return
        fits = tuple(extent - gone for extent, gone in zip(image, lost, strict=True))
        names = (
            ("rows", "columns") if len(image) == 2 else tuple(f"elements of axis {axis}" for axis in range(len(image)))
        )
        told = " and ".join(
            f"the last {gone} of {extent} {name}" for gone, extent, name in zip(lost, image, names, strict=True) if gone
        )
        layers = [layer for layer in graph.of_kind(Conv) if _loses(layer)]
        size = " × ".join(map(str, fits))
        yield self.finding(
            *layers,
            message=f"The strides do not divide the image: no feature sees {told} ({share:.1%} of the image); an image"
            f" of {size} gives the same.",
            evidence={
                "share": share,
                **{f"lost_{axis}": gone for axis, gone in enumerate(lost)},
                **{f"image_{axis}": extent for axis, extent in enumerate(image)},
            },
            advice=Advice(
                text=f"Feed images of {size}, which compute the same for less, or pad {layers[0].name}",
                keras='keras.layers.Conv2D(..., padding="same")',
                pytorch="nn.Conv2d(..., padding=k // 2)",
            ),
        )

    examples = (
        Bad("INPUT 3x230x230 -> CONV 192 16x16 stride 16 valid -> GELU -> GAP -> FC 10", at=("conv1",)),
        Bad(
            "INPUT 3x36x36 -> [CONV 16 2x2 stride 2 valid -> RELU]*3 -> GAP -> FC 10",
            at=("conv3",),
        ),
        Good("INPUT 3x224x224 -> CONV 192 16x16 stride 16 valid -> GELU -> GAP -> FC 10"),
        Good("INPUT 3x37x37 -> [CONV 16 3x3 stride 2 same -> RELU]*3 -> GAP -> FC 10"),
        Good("INPUT 3xHxW -> CONV 192 16x16 stride 16 valid -> GELU -> GAP -> FC 10"),
    )


def _loses(layer: Conv) -> bool:
    """Return whether the windows of a strided convolution leave out the end of its map."""
    if all(stride == 1 for stride in layer.strides) or (windows := layer.windows) is None:
        return False
    extents = layer.input.spatial or (None,) * len(windows)
    return any(
        isinstance(extent, int) and window.effective_kernel >= window.stride and window.unseen(extent)
        for window, extent in zip(windows, extents, strict=True)
    )


def _seen(graph: Graph, axes: int) -> tuple[int, ...] | None:
    """Return how many elements of the image, from the first on, some last feature sees, per axis.

    From the outputs back: of each map the elements that are read by what reads it, and all of what is read by a layer
    that is no window.
    """
    reached = dict[str, tuple[int, ...]]()
    for layer in reversed(graph.layers):
        spatial = layer.output.spatial if layer.outputs else None
        whole = tuple(extent for extent in spatial or () if isinstance(extent, int))
        given = [tensor.spatial for tensor in layer.inputs]
        mine = reached.get(layer.output.name, whole) if layer.outputs else ()
        if graph.is_output(layer.output):
            mine = whole
        for tensor, extents in zip(layer.inputs, given, strict=True):
            if extents is None or len(extents) != axes:
                continue
            if not all(isinstance(extent, int) for extent in extents):
                return None
            size = tuple(extent for extent in extents if isinstance(extent, int))
            before = size
            if len(mine) == axes:
                if isinstance(layer, Windows):
                    if (windows := layer.windows) is None:
                        return None
                    before = tuple(
                        min(max((count - 1) * window.stride + window.effective_kernel - window.before, 0), extent)
                        if count
                        else 0
                        for window, count, extent in zip(windows, mine, size, strict=True)
                    )
                elif size == whole:
                    before = mine
            known = reached.get(tensor.name, (0,) * axes)
            reached[tensor.name] = tuple(max(one, other) for one, other in zip(known, before, strict=True))
    images = [tensor for tensor in graph.inputs if tensor.spatial]
    return reached.get(images[0].name) if images else None
