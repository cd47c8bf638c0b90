"""SH002: an image whose channels seem to stand where rows or columns are expected."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Good,
    LayerRule,
    NearMiss,
    Severity,
)

COLORS = (1, 3, 4)
"""Channels that images have: gray, RGB, RGB with transparency."""


class SuspiciousDataFormat(
    LayerRule[Conv], code="SH002", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """The first convolution takes an image's rows or columns for channels, and its channels for an axis of space.

    ## Why
    An image of 3 × 224 × 224 (channels first) given to a layer that expects the channels last is an image of three
    rows, 224 columns and 224 channels. It runs: with padding, or a kernel of at most three rows. But the kernel slides
    over colors, each column of pixels is a channel with weights of its own, and nothing is shared between columns.
    Keras expects 224 × 224 × 3 unless told `data_format="channels_first"`, PyTorch 3 × 224 × 224, and the wrong one of
    both is asked about again and again.

    ## Instead
    Give the axes in the order that the framework expects, `Input((224, 224, 3))`; transpose the data with
    `numpy.moveaxis(x, 1, -1)`; or set `data_format="channels_first"`.

    ## When not
    Signals of several sensors may have few rows and many channels. The rule speaks only of two-dimensional convolutions
    of more than one row that are the first layer, where one axis of space has 1, 3 or 4 entries and the other is of the
    same order as the channels: 1 × 20 × 56, not 1 × 1000 × 8. A normalization along the wrong axis is BN006.

    ## References
    - Keras, "Image data format", https://keras.io/api/utils/config_utils/.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    """

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield an image whose axes seem to be in the wrong order."""
        channels = layer.in_channels
        if len(layer.kernel_size) != 2 or channels is None or channels <= max(COLORS):
            return
        if context.image is None or context.image != layer.input.spatial or context.depths[layer.name] != 1:
            return
        few = [axis for axis, extent in enumerate(context.image) if extent in COLORS]
        if len(few) != 1:
            return
        colors, other = context.image[few[0]], context.image[1 - few[0]]
        if not other / 4 <= channels <= other * 4:
            yield self.skip(layer, reason=f"{channels} channels of {other} entries are those of a signal")
            return
        if layer.kernel_size[few[0]] == 1:
            yield self.skip(layer, reason="its kernel does not slide along the axis of few entries")
            return
        rows, columns = context.image
        last = context.graph.source.layout == "channels_last"
        given = f"{rows} × {columns} × {channels}" if last else f"{channels} × {rows} × {columns}"
        meant = (other, channels) if few[0] == 0 else (channels, other)
        wanted = f"{meant[0]} × {meant[1]} × {colors}" if last else f"{colors} × {meant[0]} × {meant[1]}"
        yield self.finding(
            layer,
            message=f"The image of {given} is taken for {rows} rows, {columns} columns and {channels} channels; one of"
            f" {colors} channels would be {wanted}.",
            evidence={"rows": rows, "columns": columns, "channels": channels},
            advice=Advice(
                text="Give the axes in the order that the framework expects",
                keras=f"keras.Input(({meant[0]}, {meant[1]}, {colors}))  # numpy.moveaxis(x, 1, -1)",
                pytorch="x = x.permute(0, 3, 1, 2)",
            ),
        )

    examples = (
        Bad("INPUT 32x3x32 -> CONV 16 3x3 same -> RELU -> GAP -> FC 10", at=("conv1",)),
        Bad("INPUT 28x28x1 -> CONV 16 3x3 same -> RELU -> GAP -> FC 10", at=("conv1",)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 8x1x1000 -> CONV 16 1x9 same -> RELU -> GAP -> FC 10"),
        Good("INPUT 64x8x8 -> CONV 16 3x3 same -> RELU -> GAP -> FC 10"),
    )
