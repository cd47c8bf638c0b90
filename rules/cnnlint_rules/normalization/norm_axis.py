"""BN006: a normalisation along the wrong axis."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.context import Context
from cnnlint.finding import Advice, Confidence, NearMiss, Severity
from cnnlint.graph.layers import BatchNorm, Conv, ConvTranspose
from cnnlint.graph.queries import is_between_kernels, preceding
from cnnlint.rule import Good, LayerRule, Remark

AXES = {3: ("batch", "channels", "length"), 4: ("batch", "channels", "height", "width")}


class NormAxis(LayerRule[BatchNorm], code="BN006", severity=Severity.WARNING, confidence=Confidence.HEURISTIC):
    """A batch normalisation keeps rows or columns of a map apart, and not its channels.

    ## Why
    A convolution has the same kernel at every position, so all positions of a channel follow one distribution, and
    the normalisation of a convolutional network keeps one mean and variance for each channel (Ioffe and Szegedy,
    section 3.2). Along another axis it mixes unlike channels, has a scale for every row of the image, ties the
    network to that image size, and can no longer be folded into the convolution. It comes from data formats that do
    not match: `BatchNormalization(axis=1)`, right for channels first, on a map with its channels last.

    ## Instead
    `axis=-1`, the default, for channels last; `axis=1` for channels first.

    ## When not
    On spectrograms, a normalisation per frequency band (an axis of the map) is sometimes wanted.

    ## References
    - Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
      Shift", ICML 2015, section 3.2.
    - Keras documentation, BatchNormalization: "if data_format is channels_first, use axis=1".
    """

    kinds = (BatchNorm,)

    def check(self, layer: BatchNorm, context: Context) -> Iterator[Remark | NearMiss]:
        """Yield the axis that is kept apart and its extent."""
        shape = layer.input.shape
        if shape is None or len(shape) < 3:
            return
        axis = layer.axis % len(shape)
        if axis == 1:
            return
        source = preceding(context.graph, layer, is_between_kernels)
        if not isinstance(source, Conv | ConvTranspose) and len(shape) == 3:
            yield self.skip(layer, reason="no convolution makes its input: the last axis holds the features of tokens")
            return
        names = AXES.get(len(shape), ("batch", "channels", *(f"spatial axis {n}" for n in range(1, len(shape) - 1))))
        extent, channels = shape[axis], shape[1]
        evidence = {"axis": axis}
        evidence |= {key: dim for key, dim in (("extent", extent), ("channels", channels)) if isinstance(dim, int)}
        yield self.finding(
            layer,
            message=f"This normalisation keeps the {extent} entries of the {names[axis]} apart and mixes the"
            f" {channels} channels.",
            evidence=evidence,
            advice=Advice(
                text="Normalise along the axis of the channels",
                keras=f"keras.layers.BatchNormalization(axis={self._axis(context)})",
                pytorch=f"nn.BatchNorm2d({channels})",
            ),
        )

    def _axis(self, context: Context) -> int:
        return -1 if context.graph.source.layout == "channels_last" else 1

    examples = (Good("INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),)
