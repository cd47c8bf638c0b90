"""BN004: a deep network without any normalization."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Activation,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Dropout,
    Good,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    ModelRule,
    NearMiss,
    Severity,
)

NORMS = (BatchNorm, GroupNorm, InstanceNorm, LayerNorm)


class DeepWithoutNorm(
    ModelRule, code="BN004", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A deep classifier has no normalization at all.

    ## Why
    The variance of activations and gradients is multiplied at every layer; beyond a dozen layers small errors of
    the initialization make both vanish or explode. VGG's authors trained their 11-layer network first and
    initialized the 13- to 19-layer ones from it; He et al. show a 30-layer network that does not start to learn with
    Glorot's initialization. Normalization removes the problem and gains accuracy: torchvision's VGG16 reaches 71.59 %
    top-1 on ImageNet and 73.36% with it, VGG19 72.38 and 74.22%. At inference it folds into the convolutions
    and costs nothing.

    ## Instead
    A batch normalization after every convolution (without bias); group normalization where batches are small.

    ## When not
    Networks that regulate their variance otherwise: SELU (the rule knows it), Fixup, weight standardization. Networks
    that output an image do better without it (Lim et al. drop it for super-resolution); the rule looks at classifiers
    and regressors of whole images only. Exporters and optimizers fold normalization away for inference and drop
    dropout with it: an ONNX file without dropout is given the benefit of the doubt, and one with it, trained
    already, gets the finding as information.

    ## References
    - Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
      section 3.1.
    - He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2.
    - Ioffe and Szegedy, "Batch Normalization", ICML 2015.
    - Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017.
    - Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPR Workshops 2017.
    """

    min_depth: Annotated[
        int,
        Meta(
            description="Convolutions and dense layers on the longest path from which a normalization is expected.",
            ge=1,
        ),
    ] = 12

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the depth of a network without normalization."""
        graph = context.graph
        convolutions = sum(1 for _ in graph.of_kind(Conv))
        depths = [depth for depth in context.depths.values() if depth is not None]
        if len(depths) < len(context.depths):
            yield self.skip(reason="how deep the network is, and whether it is normalized, is not known")
            return
        depth = max(depths, default=0)
        if convolutions == 0 or depth < self.min_depth:
            yield self.skip(reason=f"{depth} layers with kernels on the longest path, fewer than {self.min_depth}")
            return
        if (norm := next(graph.of_kind(*NORMS), None)) is not None:
            yield self.skip(norm, reason="the network has normalization")
            return
        trainable = graph.source.format in ("keras", "h5")
        if not trainable and next(graph.of_kind(Dropout), None) is None:
            yield self.skip(reason="its normalization may have been folded away with its dropout, for inference")
            return
        if any(layer.function == "selu" for layer in graph.of_kind(Activation)):
            yield self.skip(reason="SELU keeps the variance by itself")
            return
        if not any(head.is_vector for head in context.heads):
            yield self.skip(reason="the network outputs a map, where normalization can do harm")
            return
        yield self.finding(
            message=f"The longest path has {depth} layers with kernels, and none of the"
            f" network's {convolutions} convolutions is normalized.",
            evidence={"depth": depth, "convolutions": convolutions, "min_depth": self.min_depth},
            advice=Advice(
                text="Put a batch normalization after every convolution and drop the convolution's bias, then retrain",
                keras='x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)\n'
                'x = keras.layers.BatchNormalization()(x)\nx = keras.layers.Activation("relu")(x)',
            ),
            severity=None if trainable else Severity.INFO,
        )

    examples = (
        Bad("INPUT 3x32x32 -> [CONV 16 3x3 same -> RELU]*12 -> GAP -> DROPOUT 0.5 -> FC 10 -> SOFTMAX", at=()),
        Good("INPUT 3x32x32 -> [CONV 16 3x3 same nobias -> BN -> RELU]*12 -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> [CONV 16 3x3 same -> RELU]*4 -> GAP -> FC 10 -> SOFTMAX"),
    )
