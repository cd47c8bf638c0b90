"""PL003: a pooling that throws too much away at once."""

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
    Diagnostic,
    Finding,
    Good,
    LayerRule,
    MaxPool,
    NearMiss,
    Severity,
)


class PoolWindowLarge(
    LayerRule[MaxPool], code="PL003", severity=Severity.INFO, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A max pooling takes the largest value of a window of more than 3 × 3.

    ## Why
    A pooling of k × k with stride k keeps one value of k²: 1 of 4 for 2 × 2, 1 of 16 for 4 × 4, 1 of 25 for 5 × 5, and
    where in the window it was is lost. Between two poolings of 2 × 2 a convolution can look at what is left; one of 4 ×
    4 throws the same away with nothing learned in between. CS231n names two poolings that are in use, 2 × 2 with stride
    2 and 3 × 3 with stride 2, and calls larger windows too lossy.

    ## Instead
    Two poolings of 2 × 2 with a convolution between them, or a convolution of stride 2.

    ## When not
    A window over the whole map is global pooling, and one that moves by 1 keeps the size (spatial pyramid pooling takes
    5, 9 and 13 so): both are left alone. Along a signal of one axis a pooling of 4 keeps 1 of 4, as 2 × 2 does, so
    there the rule counts the values of a window and not its length: up to `max-window` squared are fine, and so is 1 ×
    4 on a map.

    ## References
    - Stanford CS231n, "Convolutional Neural Networks", section "Pooling Layer".
    - Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NeurIPS 2012,
      section 3.4.
    """

    max_window: Annotated[int, Meta(description="The largest extent of a square window that is fine.", ge=1)] = 3

    def check(self, layer: MaxPool, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a window that is too large, and what it keeps."""
        rank = len(layer.pool_size)
        if prod(layer.pool_size) <= self.max_window ** max(rank, 2):
            return
        size, step = (" × ".join(map(str, extents)) for extents in (layer.pool_size, layer.strides))
        positions = layer.output.spatial
        if positions is not None and all(extent == 1 for extent in positions):
            yield self.skip(layer, reason="its one window covers the whole map: global pooling")
            return
        if all(stride == 1 for stride in layer.strides):
            yield self.skip(layer, reason="it moves by 1 and keeps the size of its map")
            return
        kept = 1 / prod(layer.strides)
        half = (2,) * rank
        yield self.finding(
            layer,
            message=f"A max pooling takes the largest of {prod(layer.pool_size)} values ({size}) and moves by {step}:"
            f" one value of {prod(layer.strides)} is left at once, with nothing learned in between.",
            evidence={"window_values": prod(layer.pool_size), "kept_share": kept},
            advice=Advice(
                text=f"Pool by {' × '.join(map(str, half))} twice, with a convolution between",
                keras=f"x = keras.layers.MaxPooling{rank}D(2)(x)\n"
                f"x = keras.layers.Conv{rank}D({layer.input.channels}, 3, ...)(x)\n"
                f"x = keras.layers.MaxPooling{rank}D(2)(x)",
                pytorch=f"nn.Sequential(nn.MaxPool{rank}d(2), nn.Conv{rank}d({layer.input.channels},"
                f" {layer.input.channels}, 3, padding=1), nn.ReLU(), nn.MaxPool{rank}d(2))",
            ),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many windows are too large, and what is left of a map after all of them."""
        most = max(place.evidence["window_values"] for place in places)
        return self.finding(
            message=f"{len(places):,} max poolings take the largest value of large windows, of {most} values at most.",
            evidence={"window_values": most},
            advice=Advice(text="Pool by 2 × 2, more often, with convolutions between"),
        )

    examples = (
        Bad(
            "INPUT 3x64x64 -> CONV 16 3x3 same -> RELU -> POOL 4 -> CONV 32 3x3 -> RELU -> GAP -> FC 10", at=("pool1",)
        ),
        Bad("INPUT 3x65x65 -> CONV 16 3x3 same -> RELU -> POOL 5 stride 4 -> GAP -> FC 10", at=("pool1",)),
        Good(
            "INPUT 3x64x64 -> CONV 16 3x3 same -> RELU -> POOL 3 stride 2 same -> CONV 32 3x3 -> RELU -> GAP -> FC 10"
        ),
        Good("INPUT 3x64x64 -> CONV 16 3x3 same -> RELU -> POOL 5 stride 1 same -> GAP -> FC 10"),
        Good("INPUT 3x8x8 -> CONV 16 3x3 same -> RELU -> POOL 8 -> FLATTEN -> FC 10"),
        Good("INPUT 8x160 -> CONV 16 3 same -> RELU -> POOL 4 -> CONV 32 3 -> RELU -> GAP -> FC 10"),
    )
