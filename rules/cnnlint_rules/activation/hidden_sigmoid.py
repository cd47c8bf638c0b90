"""AC001: a saturating activation in a hidden layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from cnnlint import (
    KERNEL_LAYERS,
    Activation,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Diagnostic,
    Elementwise,
    Finding,
    GlobalPool,
    Good,
    Layer,
    LayerRule,
    MaxPool,
    NearMiss,
    Pad,
    Severity,
    following,
    preceding,
)

STEEPEST = {"sigmoid": 0.25, "hard_sigmoid": 0.2, "tanh": 1.0, "softsign": 1.0}
"""The largest slope of each function (Keras's and ONNX's hard_sigmoid have 1/6 or 0.2)."""


class HiddenSigmoid(
    LayerRule[Activation], code="AC001", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A hidden layer ends in a sigmoid, tanh or another function that saturates.

    ## Why
    Its slope goes to zero on both sides, so a unit that is far from zero gets no gradient and stops learning. A
    sigmoid's slope is 1/4 at its steepest: five such layers shrink a gradient by 4⁵ = 1024 at least, ten by a million.
    A sigmoid's outputs are also all positive, which pushes the next layer's weights in one direction at a time.
    With ReLU, Krizhevsky et al. reach 25% training error on CIFAR-10 six times as fast as with tanh.

    ## Instead
    ReLU, or swish and GELU where smoothness is wanted, with He's initialization.

    ## When not
    Gates (squeeze-and-excitation, attention, recurrent cells), swish, and outputs are what sigmoids are for; the
    rule leaves them alone. A bounded code on purpose, as in deep hashing or before a decoder, and historical
    networks such as LeNet-5. A tanh passes small sums on at a slope of 1, and some designs want it: ESPCN has tanh
    throughout, ViT and MaxViT ahead of their scores. So a sigmoid is a warning, and a tanh or a softsign information.

    ## References
    - Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    - Glorot, Bordes and Bengio, "Deep Sparse Rectifier Neural Networks", AISTATS 2011.
    - Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
      NeurIPS 2012, section 3.1.
    """

    def check(self, layer: Activation, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a saturating activation between two learned kernels."""
        if not layer.is_saturating:
            return
        graph = context.graph
        if graph.is_output(layer.output):
            yield self.skip(layer, reason="it ends the network")
            return
        if any(isinstance(reader, Elementwise) for reader in graph.successors(layer)):
            yield self.skip(layer, reason="it gates another branch")
            return
        source = preceding(graph, layer, _keeps_position)
        target = following(graph, layer, _keeps_position)
        if not isinstance(source, KERNEL_LAYERS) or not isinstance(target, KERNEL_LAYERS):
            yield self.skip(layer, reason="it does not stand between two learned kernels")
            return
        slope = STEEPEST.get(layer.function, 1.0)
        told = f"whose slope is at most {slope:g}, so each such layer shrinks the gradient {1 / slope:g} times or more"
        if slope == 1:
            told = "whose slope falls to 0 on both sides, so that large sums get no gradient"
        shape = layer.output.sample_shape or ()
        evidence: dict[str, int | float] = {"largest_slope": slope}
        if (elements := layer.output.sample_elements) is not None and shape:
            evidence["elements"] = elements
        yield self.finding(
            layer,
            message=f"Between {source.name} and {target.name} stands a {layer.function.replace('_', ' ')}, {told}.",
            evidence=evidence,
            advice=Advice(
                text="Use a ReLU on hidden layers",
                keras='keras.layers.Activation("relu")',
                pytorch="nn.ReLU()",
            ),
            severity=Severity.INFO if slope == 1 else None,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many layers saturate, and by how much the gradient shrinks through all of them."""
        slope = prod(place.evidence["largest_slope"] for place in places)
        told = f", which together shrink the gradient {1 / slope:,.0f} times or more" if slope < 1 else ""
        return self.finding(
            message=f"{len(places):,} hidden layers end in functions that saturate{told}.",
            evidence={"largest_slope": slope},
            advice=Advice(
                text="Use a ReLU on hidden layers",
                keras='keras.layers.Activation("relu")',
                pytorch="nn.ReLU()",
            ),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> SIGMOID -> CONV 32 3x3 -> RELU -> GAP -> FC 10", at=("sigmoid1",)),
        Bad("INPUT 1x28x28 -> CONV 6 5x5 -> TANH -> AVGPOOL 2 -> FLATTEN -> FC 10", at=("tanh1",)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> CONV 32 3x3 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SIGMOID"),
    )


def _keeps_position(layer: Layer) -> bool:
    return isinstance(layer, BatchNorm | MaxPool | AvgPool | GlobalPool | Pad) or layer.is_view
