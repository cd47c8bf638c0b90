"""BN006: a normalization along the wrong axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Activation,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Diagnostic,
    Dropout,
    Finding,
    Good,
    Graph,
    Layer,
    LayerRule,
    MaxPool,
    NearMiss,
    Pad,
    Severity,
    Transpose,
)

AXES = {3: ("samples", "channels", "positions"), 4: ("samples", "channels", "rows", "columns")}


class NormAxis(
    LayerRule[BatchNorm], code="BN006", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A batch normalization has statistics for each row or column of a map, and not for each channel.

    ## Why
    A convolution has the same kernel at every position, so all positions of a channel follow one distribution, and
    the normalization of a convolutional network keeps one mean and variance for each channel (Ioffe and Szegedy,
    section 3.2). Along another axis it mixes unlike channels, has a scale for every row of the image, ties the
    network to that image size, and can no longer be folded into the convolution. It comes from data formats that do
    not match: `BatchNormalization(axis=1)`, right for channels first, on a map with its channels last.

    ## Instead
    `axis=-1`, the default, for channels last; `axis=1` for channels first.

    ## When not
    On spectrograms, a normalization per frequency band (an axis of the map) is sometimes wanted.

    ## References
    - Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
      Shift", ICML 2015, section 3.2.
    - Keras documentation, BatchNormalization: "if data_format is channels_first, use axis=1".
    """

    def check(self, layer: BatchNorm, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the axis that keeps its own statistics and its extent."""
        source, axis = _origin(context.graph, layer)
        if axis == 1:
            return
        shape = layer.input.shape
        if shape is None:
            return
        if not isinstance(source, Conv | ConvTranspose):
            yield self.skip(layer, reason="no convolution makes its input, whose axes may mean anything")
            return
        names = AXES.get(len(shape), ("batch", "channels", *(f"spatial axis {n}" for n in range(1, len(shape) - 1))))
        extent, channels = shape[layer.axis], source.filters
        evidence = {"axis": axis, "channels": channels}
        evidence |= {"extent": extent} if isinstance(extent, int) else {}
        right = -1 if context.graph.source.layout == "channels_last" else 1
        yield self.finding(
            layer,
            source,
            message=f"This normalization has statistics for each of the {extent} {names[axis]} of the map of"
            f" {source.name}, and mixes its {channels} channels.",
            evidence=evidence,
            advice=Advice(
                text="Normalize along the axis of the channels, then retrain",
                keras=f"keras.layers.BatchNormalization(axis={right})",
                pytorch=f"nn.BatchNorm{len(shape) - 2}d({channels})",
            ),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many normalizations keep the wrong axis."""
        right = -1 if context.graph.source.layout == "channels_last" else 1
        return self.finding(
            message=f"{len(places):,} normalizations have statistics for each row or column of their maps, and mix the"
            " channels.",
            evidence={"normalizations": len(places)},
            advice=Advice(
                text="Normalize along the axis of the channels, then retrain",
                keras=f"keras.layers.BatchNormalization(axis={right})",
            ),
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[1, 3, 8, 8] x) => (float[1, 16, 6, 6] y) {
                kernel_shape = Constant <value_ints = [16, 3, 3, 3]> ()
                kernel = ConstantOfShape (kernel_shape)
                rows = Constant <value_ints = [6]> ()
                statistics = ConstantOfShape (rows)
                [conv1] convolved = Conv (x, kernel)
                channels_last = Transpose <perm = [0, 2, 3, 1]> (convolved)
                [bn1] normalized = BatchNormalization (channels_last, statistics, statistics, statistics, statistics)
                y = Transpose <perm = [0, 3, 1, 2]> (normalized)
            }
            """,
            at=("bn1", "conv1"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


def _origin(graph: Graph, norm: BatchNorm) -> tuple[Layer | None, int]:
    """Return what makes the map that `norm` normalizes, and which axis of that keeps its own statistics."""
    axis = norm.channel_axis
    layer = graph.producer(norm.input)
    while isinstance(layer, Transpose | Activation | MaxPool | AvgPool | Dropout | Pad):
        if isinstance(layer, Transpose):
            axis = layer.permutation[axis]
        layer = graph.producer(layer.input)
    return layer, axis
