"""FC005: too many hidden dense layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    Diagnostic,
    Good,
    ModelRule,
    NearMiss,
    Severity,
    hidden_dense,
)


class DeepDenseHead(ModelRule, code="FC005", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"):
    """Three or more hidden dense layers stand between the convolutions and the output.

    ## Why
    The pattern of convolutional classifiers is INPUT → [[CONV → RELU]*N → POOL?]*M → [FC → RELU]*K → FC with K < 3.
    AlexNet and VGG16 have two hidden dense layers, and these hold 89 and 86% of their parameters; GoogLeNet, ResNet
    and nearly all that came after have none, and are more accurate. Convolutions make the features; what is left
    to the head is a linear decision, and each further dense layer adds n × m weights that see no structure.

    ## Instead
    One hidden dense layer, or none: global average pooling and the output layer. If the head has to be deep for
    the task to be learned, the features are not good enough yet: spend the parameters on convolutions.

    ## When not
    Heads that join an image with other inputs, and projection heads of contrastive learning (SimCLR has one hidden
    layer, others up to two), may well be deeper.

    ## References
    - Stanford CS231n, "Convolutional Neural Networks", section on layer patterns.
    - He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    - Lin, Chen and Yan, "Network In Network", ICLR 2014.
    """

    max_hidden: Annotated[int, Meta(description="As many hidden dense layers of a head as are fine.", ge=0)] = 2

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the number of hidden dense layers of each head and what they hold."""
        if next(context.graph.of_kind(Conv), None) is None:
            yield self.skip(reason="the network has no convolution whose head could be deep")
            return
        for head in context.heads:
            hidden = hidden_dense(context.graph, head)
            if head.scorer is None or not hidden:
                continue
            if len(hidden) <= self.max_hidden:
                reason = f"{len(hidden)} hidden dense layers, of at most max-hidden = {self.max_hidden}"
                yield self.skip(*hidden, reason=reason)
                continue
            held, total = [layer.parameters for layer in hidden], context.parameters
            if total is None:
                yield self.skip(*hidden, reason=context.unknown_weights)
                continue
            parameters = sum(number or 0 for number in held)
            share = parameters / total if total else 0.0
            yield self.finding(
                *hidden,
                message=f"{len(hidden)} hidden dense layers ahead of {head.scorer.name} hold {parameters:,} of"
                f" {total:,} parameters ({share:.0%}); {self.max_hidden} are as many as a"
                " convolutional network needs.",
                evidence={
                    "hidden_layers": len(hidden),
                    "max_hidden_layers": self.max_hidden,
                    "parameters": parameters,
                    "share": share,
                },
                advice=Advice(
                    text=f"Leave out {', '.join(layer.name for layer in hidden[: len(hidden) - self.max_hidden])}"
                    " (or all of them, after global average pooling), then retrain"
                ),
                subject=head.output.name,
            )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 128 -> RELU -> FC 128 -> RELU -> FC 64 -> RELU -> FC 10",
            at=("fc1", "fc2", "fc3"),
        ),
        Good("INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 128 -> RELU -> FC 64 -> RELU -> FC 10"),
        Bad(
            "INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 128 -> RELU -> FC 64 -> RELU -> FC 10",
            at=("fc1", "fc2"),
            max_hidden=1,
        ),
    )
