"""CV005: windows that move further than they reach."""

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
    Crop,
    Diagnostic,
    Finding,
    Good,
    Layer,
    LayerRule,
    MaxPool,
    NearMiss,
    Pad,
    Severity,
    Window,
    preceding,
)


class StrideSkipsPixels(
    LayerRule[Conv | MaxPool | AvgPool],
    code="CV005",
    severity=Severity.WARNING,
    confidence=Confidence.EXACT,
    since="0.1.0",
):
    """A stride is larger than its kernel, so that values between the windows are computed and never read.

    ## Why
    A 1 × 1 convolution of stride 2 reads one value of four. The other three were computed by the layer ahead, and no
    weight ever sees them: three quarters of that layer's work is thrown away, and a small pattern is found or missed by
    where it happens to lie. He et al. name it in ResNet's bottleneck block, where the first 1 × 1 convolution and the
    shortcut both have the stride: moving the stride to the 3 × 3 one (ResNet-B) raises ResNet-50's accuracy from 76.21
    to 76.66%; averaging ahead of the shortcut's 1 × 1, with a stem of 3 × 3 kernels, brings 77.16% (ResNet-D).

    ## Instead
    Give the stride to a kernel that is at least as large, or average ahead of the 1 × 1. Where the network stays as it
    is, the values that nobody reads need not be computed: give the stride to the layer that makes them.

    ## When not
    The shortcut of a residual block usually skips values that the other branch reads: nothing is lost, and the rule
    stays silent. Where both branches skip the same ones, as in the first ResNets, it is reported as information, since
    the networks work well as they are.

    ## References
    - He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks", CVPR 2019, section 4.
    - He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """

    def check(self, layer: Conv | MaxPool | AvgPool, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the share of the map that no reader sees."""
        kernel = layer.kernel_size if isinstance(layer, Conv) else layer.pool_size
        if all(taps >= step for taps, step in zip(kernel, layer.strides, strict=True)):
            return
        gaps = _gaps(layer)
        if gaps is None or all(gap == 1 for gap in gaps):
            return
        graph = context.graph
        shifted = preceding(graph, layer, lambda layer: isinstance(layer, Pad | Crop))
        if shifted is not None and shifted is not graph.producer(layer.input) and len(graph.successors(shifted)) > 1:
            yield self.skip(layer, reason="another branch reads the same map, shifted")
            return
        readers = graph.consumers(layer.input)
        if graph.is_output(layer.input) or any(not _skips(reader, layer) for reader in readers):
            yield self.skip(layer, reason="another branch reads the values that it skips")
            return
        if readers[0] is not layer:
            return  # said of the first of the branches
        share = 1 - prod(gaps)
        size, step = _by(kernel), _by(layer.strides)
        maker = graph.producer(layer.input)
        macs = context.layer_macs(maker) if isinstance(maker, Conv) else None
        told = f"it reads {prod(gaps):.0%} of its map and never sees the other {share:.0%}"
        if len(readers) > 1:
            told = f"{len(readers)} branches read {prod(gaps):.0%} of the map and never see the other {share:.0%}"
        rank = len(kernel)
        yield self.finding(
            *readers,
            message=f"A window of {size} that moves by {step} leaves gaps: {told}.",
            evidence={"unread_share": share, "branches": len(readers), **({"macs_of_maker": macs} if macs else {})},
            advice=Advice(
                text="Give the stride to a kernel that is at least as large, or average ahead of it",
                keras=f"x = keras.layers.AveragePooling{rank}D({layer.strides})(x)\n"
                f"x = keras.layers.Conv{rank}D({getattr(layer, 'filters', 'filters')}, {kernel})(x)",
                pytorch=f"nn.Sequential(nn.AvgPool{rank}d({layer.strides}),"
                f" nn.Conv{rank}d({layer.input.channels}, {getattr(layer, 'filters', 'filters')}, {kernel}))",
            ),
            severity=Severity.INFO if len(readers) > 1 else None,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return at how many places values are never read."""
        share = max(place.evidence["unread_share"] for place in places)
        return self.finding(
            message=f"At {len(places):,} places a stride is larger than its kernel: up to {share:.0%} of a map is"
            " computed and never read.",
            evidence={"unread_share": share},
            advice=Advice(
                text="Give the strides to kernels that are at least as large (ResNet: to the 3 × 3 of the block), and"
                " average ahead of a shortcut's 1 × 1",
                keras="shortcut = keras.layers.AveragePooling2D(2)(x)\n"
                "shortcut = keras.layers.Conv2D(filters, 1)(shortcut)",
                pytorch="nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, filters, 1))",
            ),
            severity=places[0].severity,
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> CONV 32 1x1 stride 2 -> RELU -> GAP -> FC 10", at=("conv2",)),
        Bad(
            "INPUT 3x32x32 -> CONV 64 3x3 same -> RELU -> RES[CONV 32 1x1 stride 2 -> RELU -> CONV 64 3x3 same |"
            " CONV 64 1x1 stride 2] -> RELU -> GAP -> FC 10",
            at=("conv2", "conv4"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> CONV 32 3x3 stride 2 same -> RELU -> GAP -> FC 10"),
        Good(
            "INPUT 3x32x32 -> CONV 64 3x3 same -> RELU -> RES[CONV 64 3x3 stride 2 -> RELU -> CONV 64 3x3 same |"
            " CONV 64 1x1 stride 2] -> RELU -> GAP -> FC 10"
        ),
    )


def _gaps(layer: Conv | MaxPool | AvgPool) -> tuple[float, ...] | None:
    """Return the share of elements along each axis that some window reads; None if the windows are unknown."""
    windows, extents = layer.windows, layer.input.spatial
    if windows is None or extents is None:
        return None
    return tuple(_read(window, extent) for window, extent in zip(windows, extents, strict=True))


def _read(window: Window, extent: object) -> float:
    if window.kernel >= window.stride or extent == 1:
        return 1
    return len({tap * window.dilation % window.stride for tap in range(window.kernel)}) / window.stride


def _skips(reader: Layer, layer: Conv | MaxPool | AvgPool) -> bool:
    """Return whether `reader` reads the same values as `layer` and no others."""
    if not isinstance(reader, Conv | MaxPool | AvgPool):
        return False
    return _taps(reader) == _taps(layer)


def _taps(layer: Conv | MaxPool | AvgPool) -> object:
    size = layer.kernel_size if isinstance(layer, Conv) else layer.pool_size
    return size, layer.strides, layer.dilation, layer.pads


def _by(extents: tuple[int, ...]) -> str:
    return " × ".join(str(extent) for extent in extents)
