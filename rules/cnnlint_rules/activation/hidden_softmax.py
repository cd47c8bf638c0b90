"""AC003: a softmax on a hidden layer."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Activation,
    Advice,
    AvgPool,
    Bad,
    Confidence,
    Context,
    Conv,
    Dense,
    Diagnostic,
    GlobalPool,
    Good,
    Layer,
    LayerRule,
    MaxPool,
    NearMiss,
    Severity,
    following,
    reads_axis_of,
    scored_by,
)


class HiddenSoftmax(
    LayerRule[Activation],
    code="AC003",
    severity=Severity.WARNING,
    confidence=Confidence.HEURISTIC,
    since="0.1.0",
    replaces=("FC004", "output-activation"),
):
    """A hidden layer ends in a softmax, so that its features share a sum of 1.

    ## Why
    A softmax makes features compete: one can only grow as the others shrink, and N of them are 1/N on average, 0.016
    for 64. The next layer reads small numbers that depend on one another, and where one feature is far ahead, the
    gradients of all are close to zero.

    ## Instead
    A ReLU on hidden layers, and the softmax for the output.

    ## When not
    A softmax over the positions of attention or over scores that a product of two activations gives, over bins whose
    expected value is taken next, or one that gates another branch, is left alone. A mixture of experts or a codebook
    may want one that a kernel reads: ignore the layer there.

    ## References
    - Goodfellow, Bengio and Courville, "Deep Learning", 2016, sections 6.2.2 and 6.3.
    - Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
    """

    def check(self, layer: Activation, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a softmax that a learned kernel reads along the axis that it sums over."""
        if not layer.is_softmax or context.head_of(layer) is not None:
            return
        target = following(context.graph, layer, _pools_or_views)
        if not isinstance(target, Conv | Dense):
            yield self.skip(layer, reason="no learned kernel reads it: a gate, attention or an output")
            return
        if (product := scored_by(context.graph, layer)) is not None:
            yield self.skip(layer, reason=f"{product.name} compares activations: the weights of an attention")
            return
        if reads_axis_of(context.graph, layer, target) is False:
            yield self.skip(layer, reason=f"it sums to one over positions, and {target.name} reads along another axis")
            return
        features = layer.classes
        if target.out_channels == 1 or not isinstance(features, int):
            yield self.skip(layer, reason=f"{target.name} takes its expected value, or its features are unknown")
            return
        yield self.finding(
            layer,
            target,
            message=f"A softmax on a hidden layer makes the {features:,} features that {target.name} reads share a sum"
            " of 1.",
            evidence={"features": features},
            advice=Advice(text="Use a ReLU on hidden layers and keep the softmax for the output"),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> SOFTMAX -> GAP -> FC 10 -> SOFTMAX", at=("softmax1", "fc1")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 64 -> SOFTMAX -> FC 10", at=("softmax1", "fc2")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> SOFTMAX -> POOL 2 -> CONV 32 3x3 -> RELU", at=("softmax1", "conv2")),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 16x8x8 -> GATE[CONV 16 1x1 -> SOFTMAX] -> GAP -> FC 10"),
    )


def _pools_or_views(layer: Layer) -> bool:
    return isinstance(layer, GlobalPool | MaxPool | AvgPool) or layer.is_view
