"""PL001: pooling windows that leave out the border."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    AvgPool,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Finding,
    Good,
    LayerRule,
    MaxPool,
    NearMiss,
    Pad,
    Pads,
    Severity,
    preceding,
)

AXES = {1: ("columns",), 2: ("rows", "columns"), 3: ("slices", "rows", "columns")}


class StrideMisfit(
    LayerRule[MaxPool | AvgPool],
    code="PL001",
    severity=Severity.WARNING,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("pooling-drops-border",),
):
    """A pooling's windows do not tile its map, so that rows or columns at the far end are never seen.

    ## Why
    Without padding, windows of k that move by s over n elements number ⌊(n − k)/s⌋ + 1 and end at element
    (⌊(n − k)/s⌋)s + k; what lies beyond is thrown away, and with it the work of the convolutions that made it.
    Pooling 2 × 2 over 7 × 7 sees 6 × 6: 13 of 49 values (27%) never reach the output, always those at the bottom and
    the right, so the network is blind there. On large maps it is a row of hundreds: that is reported as information.

    ## Instead
    Pad the pooling (`padding="same"`, or `ceil_mode=True`), pad the convolution ahead of it, or choose an input size
    that the strides divide: 224 = 7 × 2⁵ is popular for that reason.

    ## When not
    Where the border holds nothing (centered objects, padded images).

    ## References
    - Stanford CS231n, "Convolutional Neural Networks", on constraints on strides and layer sizing.
    - Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016, relationship 7.
    """

    warn_share: Annotated[
        float,
        Meta(description="Share of the map, 0 to 1, from which on it is a warning; below, information.", ge=0, le=1),
    ] = 0.05

    def check(self, layer: MaxPool | AvgPool, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the rows and columns that no window covers."""
        extents = [extent for extent in layer.input.spatial or () if isinstance(extent, int)]
        windows = layer.windows
        if windows is None or len(extents) != len(windows):
            yield self.skip(layer, reason="the size of its map is unknown")
            return
        if any(window.output(extent) == 0 for window, extent in zip(windows, extents, strict=True)):
            yield self.skip(layer, reason="its window is larger than its map")
            return
        if any(window.effective_kernel < window.stride for window in windows):
            yield self.skip(layer, reason="its windows leave gaps everywhere: it subsamples on purpose")
            return
        added = _padding_ahead(layer, context)
        extents = [extent - before - after for extent, (before, after) in zip(extents, added, strict=True)]
        unseen = [
            max(window.unseen(extent + before + after) - after, 0)
            for window, extent, (before, after) in zip(windows, extents, added, strict=True)
        ]
        if not any(unseen):
            return
        seen = prod(extent - lost for extent, lost in zip(extents, unseen, strict=True))
        share = 1 - seen / prod(extents)
        names = AXES.get(len(extents), tuple(f"axis {axis} entries" for axis in range(len(extents))))
        lost = " and ".join(
            f"the last {count} of {extent} {name}" if count > 1 else f"the last of {extent} {name}"
            for count, extent, name in zip(unseen, extents, names, strict=True)
            if count
        )
        size = " × ".join(str(extent) for extent in layer.pool_size)
        step = " × ".join(str(extent) for extent in layer.strides)
        rank = len(extents)
        kind = "MaxPool" if isinstance(layer, MaxPool) else "AvgPool"
        keras = "MaxPooling" if isinstance(layer, MaxPool) else "AveragePooling"
        yield self.finding(
            layer,
            message=f"Windows of {size} that move by {step} never see {lost}: {share:.1%} of the map.",
            evidence={
                **{f"unseen_{name.replace(' ', '_')}": count for name, count in zip(names, unseen, strict=True)},
                **{name.replace(" ", "_"): extent for name, extent in zip(names, extents, strict=True)},
                "share": share,
            },
            advice=Advice(
                text="Pad the pooling, or choose an input size that the strides divide",
                keras=f'keras.layers.{keras}{rank}D({layer.pool_size}, strides={layer.strides}, padding="same")',
                pytorch=f"nn.{kind}{rank}d({layer.pool_size}, stride={layer.strides}, ceil_mode=True)",
            ),
            severity=None if share >= self.warn_share else Severity.INFO,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many poolings lose rows or columns, and the largest share that one loses."""
        share = max(place.evidence["share"] for place in places)
        return self.finding(
            message=f"The windows of {len(places):,} poolings do not tile their maps: rows or columns at the far end"
            f" are never seen, at most {share:.1%} of a map.",
            evidence={"share": share},
            advice=Advice(text="Pad the poolings, or choose an input size that the strides divide"),
        )

    examples = (
        Bad("INPUT 3x14x14 -> CONV 16 3x3 same -> RELU -> POOL 2 -> POOL 2 -> GAP -> FC 10", at=("pool2",)),
        Bad("INPUT 3x224x224 -> CONV 16 2x2 valid -> RELU -> POOL 2 -> GAP -> FC 10", at=("pool1",)),
        Good("INPUT 3x16x16 -> CONV 16 3x3 same -> RELU -> POOL 2 -> POOL 2 -> GAP -> FC 10"),
        Good("INPUT 3x16x16 -> CONV 16 3x3 same -> RELU -> PAD 1 -> POOL 3 stride 2 -> GAP -> FC 10"),
        Good("INPUT 3x15x15 -> CONV 16 3x3 same -> RELU -> POOL 3 stride 2 -> GAP -> FC 10"),
    )


def _padding_ahead(layer: MaxPool | AvgPool, context: Context) -> Pads:
    """Return what a layer of its own pads ahead of `layer`, per spatial axis: padding that is not seen is no loss."""
    pad = preceding(context.graph, layer, lambda layer: layer.is_identity_at_inference)
    if isinstance(pad, Pad):
        return pad.amounts[-len(layer.pool_size) :]
    return ((0, 0),) * len(layer.pool_size)
