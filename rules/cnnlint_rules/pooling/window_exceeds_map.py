"""PL002: a window that is larger than what it slides over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from cnnlint import (
    Advice,
    AvgPool,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Finding,
    Good,
    LayerRule,
    MaxPool,
    NearMiss,
    Savings,
    Severity,
    Window,
)


class WindowExceedsMap(
    LayerRule[Conv | MaxPool | AvgPool],
    code="PL002",
    severity=Severity.WARNING,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("feature-map-exhausted",),
):
    """A kernel or pooling window is larger than the map that it slides over.

    ## Why
    Strides have used the map up before the network ends. A 3 × 3 kernel on a 1 × 1 map meets nothing but padding with
    eight of its nine taps: they are multiplied by zero, get no gradient and never learn, 8/9 of the layer's
    parameters. Without padding the map has no window at all and the output is empty. It happens when a network made for
    224 × 224 is fed 32 × 32 images: ResNet's last stage works on 1 × 1 maps there, and cutting such a tail
    off costs no accuracy (Richter et al.).

    ## Instead
    Feed larger images, take strides out of the first layers (ResNets for CIFAR-10 start with a 3 × 3 of stride 1 and
    no pooling), or drop the layers that have nothing left to see.

    ## When not
    A kernel as large as its map is a dense layer by another name, and a pooling as large as its map is global
    pooling: both are fine and not reported. A detector's heads on its last, tiny maps share their design
    with the larger ones.

    ## References
    - Richter et al., "Should You Go Deeper? Optimizing Convolutional Neural Network Architectures without Training",
      ICMLA 2021.
    - He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
    """

    def check(self, layer: Conv | MaxPool | AvgPool, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the window, the map, and how many taps never meet it."""
        extents = [extent for extent in layer.input.spatial or () if isinstance(extent, int)]
        windows = layer.windows
        if windows is None or len(extents) != len(windows):
            yield self.skip(layer, reason="the size of its map is unknown")
            return
        axes = list(zip(windows, extents, strict=True))
        if all(window.effective_kernel <= extent for window, extent in axes):
            return
        reach, size = _by([window.effective_kernel for window in windows]), _by(extents)
        evidence = {
            **{f"window_{axis}": window.effective_kernel for axis, window in enumerate(windows)},
            **{f"map_{axis}": extent for axis, extent in enumerate(extents)},
        }
        positions = [count for window, extent in axes if isinstance(count := window.output(extent), int)]
        if 0 in positions:
            yield self.finding(
                layer,
                message=f"A window of {reach} does not fit on the {size} map at all: the output is empty.",
                evidence=evidence,
                advice=Advice(text="Feed larger images or leave the layer out"),
                severity=Severity.ERROR,
            )
            return
        if not isinstance(layer, Conv) and set(positions) == {1}:
            yield self.skip(layer, reason="its one window covers the whole map: global pooling")
            return
        met = [_meetings(window, extent) for window, extent in axes]
        taps = prod(window.kernel for window in windows)
        dead_taps = taps - prod(taps_met for taps_met, _ in met)
        padding = 1 - prod(meetings for _, meetings in met) / (taps * prod(positions))
        dead = self._dead_weights(layer, dead_taps)
        told = f", and {dead_taps} of its {taps} taps meet nothing else" if dead_taps else ""
        if dead:
            told += f": {dead:,} of its {dead // dead_taps * taps:,} weights are dead"
        yield self.finding(
            layer,
            message=f"A window of {reach} is larger than its map of {size}: {padding:.0%} of what it covers is padding"
            f"{told}.",
            evidence={
                **evidence,
                "taps": taps,
                "dead_taps": dead_taps,
                "dead_weights": dead,
                "padding_share": padding,
            },
            advice=Advice(text="Feed larger images, take a stride out of the layers ahead, or leave this layer out"),
            savings=Savings(parameters=dead) if dead else None,
            severity=None if dead_taps else Severity.INFO,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many windows are too large, and what of them is dead or padding at most."""
        padding = [place.evidence["padding_share"] for place in places if "padding_share" in place.evidence]
        dead = int(sum(place.evidence.get("dead_weights", 0) for place in places))
        if not padding:
            return self.finding(
                message=f"{len(places):,} windows do not fit on their maps at all: the outputs are empty.",
                evidence={"windows": len(places)},
                advice=Advice(text="Feed larger images or leave the layers out"),
            )
        told = f", and {dead:,} weights are dead" if dead else ""
        return self.finding(
            message=f"{len(places):,} windows are larger than their maps: up to {max(padding):.0%} of what they cover"
            f" is padding{told}.",
            evidence={"windows": len(places), "padding_share": max(padding), "dead_weights": dead},
            advice=Advice(text="Feed larger images, take a stride out of the layers ahead, or leave these layers out"),
        )

    def _dead_weights(self, layer: Conv | MaxPool | AvgPool, dead_taps: int) -> int:
        channels = layer.in_channels if isinstance(layer, Conv) else None
        if not isinstance(layer, Conv) or channels is None:
            return 0
        return dead_taps * (channels // layer.groups) * layer.filters

    examples = (
        Bad(
            "INPUT 3x8x8 -> CONV 16 3x3 same stride 2 -> RELU -> POOL 4 -> CONV 32 3x3 same -> RELU -> GAP -> FC 10",
            at=("conv2",),
        ),
        Good("INPUT 3x8x8 -> CONV 16 3x3 same -> RELU -> CONV 32 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x8x8 -> CONV 16 8x8 valid -> RELU -> FLATTEN -> FC 10"),
        Good("INPUT 3x8x8 -> CONV 16 3x3 same -> RELU -> POOL 8 -> CONV 32 1x1 -> RELU -> FLATTEN -> FC 10"),
    )


def _meetings(window: Window, extent: int) -> tuple[int, int]:
    """Return how many taps lie on the map at some position of the window, and how many do at all positions together.

    Tap t at position p lies at p · stride + t · dilation − before. That is below a bound for the pairs of numbers in a
    triangle, cut off where taps and positions end.
    """
    positions = window.output(extent)
    if not isinstance(positions, int):
        return 0, 0
    stride, dilation = window.stride, window.dilation
    ends = positions * stride, window.kernel * dilation

    def below(bound: int) -> int:
        triangles = [_pairs(bound - cut, stride, dilation) for cut in (0, *ends, sum(ends))]
        return triangles[0] - triangles[1] - triangles[2] + triangles[3]

    together = below(window.before + extent) - below(window.before)
    if extent <= stride:  # no tap meets the map twice
        return together, together
    first = max(-((ends[0] - stride - window.before) // dilation), 0)
    last = min((window.before + extent - 1) // dilation, window.kernel - 1)
    return max(last - first + 1, 0), together


def _pairs(bound: int, stride: int, dilation: int) -> int:
    """Return for how many p, t from 0 on p · stride + t · dilation lies below `bound`: by Euclid's algorithm.

    A sum of ⌊(slope · i + start) / divisor⌋ counts points below a line. What is whole in slope and start is summed by
    itself; the rest is the points beside the line, in a triangle whose axes are exchanged.
    """
    if bound <= 0:
        return 0
    count = -(-bound // dilation)
    divisor, slope, start = stride, dilation, bound - (count - 1) * dilation + stride - 1
    total = 0
    while True:
        total += count * (count - 1) // 2 * (slope // divisor) + count * (start // divisor)
        slope, start = slope % divisor, start % divisor
        top = slope * count + start
        if top < divisor:
            return total
        count, start = divmod(top, divisor)
        divisor, slope = slope, divisor


def _by(extents: list[int]) -> str:
    return " × ".join(str(extent) for extent in extents)
