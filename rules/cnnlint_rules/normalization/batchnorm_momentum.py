"""BN008: a batch normalization whose moving statistics do not move, or do not last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Diagnostic,
    Finding,
    Good,
    LayerRule,
    NearMiss,
    Severity,
)


class BatchnormMomentum(
    LayerRule[BatchNorm], code="BN008", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"
):
    """A batch normalization's momentum is 1 or close to 0, so its moving statistics are none.

    ## Why
    At each batch the moving mean becomes momentum × itself + (1 - momentum) × the batch's mean, and the variance
    likewise; inference uses what they are in the end. At 1 they never leave their initial 0 and 1: the network is
    trained with normalization and used without, and its accuracy on the test set is that of guessing. At 0 they are
    the statistics of the last batch alone. PyTorch calls 1 - momentum so: its default of 0.1 is Keras's 0.9, and copied
    into Keras it makes the last batch count for 90%.

    ## Instead
    0.99 (Keras's default) or 0.9; in PyTorch 0.01 or 0.1. With few steps per epoch the lower one settles sooner.

    ## When not
    A frozen normalization does not move whatever its momentum. In a trained file the statistics may have been set by
    other means, as PyTorch's cumulative averages are (`momentum=None`); an ONNX file holds the momentum as a number
    that inference does not use.

    ## References
    - Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
      Shift", ICML 2015, section 3.1.
    - Keras, https://keras.io/api/layers/normalization_layers/batch_normalization/
    - PyTorch, https://docs.pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
    """

    min_momentum: Annotated[
        float, Meta(description="The least momentum of which nothing is said, as Keras has it.", ge=0, le=1)
    ] = 0.2

    def check(self, layer: BatchNorm, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a momentum of 1, of 0, or close to it."""
        momentum = layer.momentum
        if momentum is None or layer.folded or self.min_momentum <= momentum < 1:
            return
        source = context.graph.producer(layer.input)
        if source is not None and not source.inputs:
            yield self.skip(layer, reason="it normalizes weights, and has no moving statistics to speak of")
            return
        learned = [weight for weight in layer.weights if weight.role in ("gamma", "beta")]
        if learned and all(weight.trainable is False for weight in learned):
            yield self.skip(layer, reason="it is frozen: its statistics do not move whatever its momentum")
            return
        severity = None
        if momentum >= 1:
            severity = Severity.ERROR
            told = "its moving mean and variance stay the 0 and 1 that they began as, and inference uses those"
        elif momentum <= 0:
            told = "inference uses the statistics of the last batch alone"
        else:
            severity = Severity.INFO
            told = f"the last batch makes {1 - momentum:.0%} of the statistics that inference uses"
        yield self.finding(
            layer,
            message=f"{layer.name} has a momentum of {momentum:.3g}: {told}.",
            evidence={"momentum": round(momentum, 6)},
            advice=Advice(
                text="Use a momentum of 0.9 to 0.99 in Keras, which is 0.1 to 0.01 in PyTorch",
                keras="layers.BatchNormalization(momentum=0.99)",
                pytorch="nn.BatchNorm2d(channels, momentum=0.1)",
            ),
            severity=severity,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many normalizations have such a momentum."""
        least = min(place.evidence["momentum"] for place in places)
        most = max(place.evidence["momentum"] for place in places)
        span = f"{least:g}" if least == most else f"{least:g} to {most:g}"
        return self.finding(
            message=f"{len(places):,} normalizations have a momentum of {span}: their moving statistics are not those"
            " of the data.",
            evidence={"normalizations": len(places), "momentum": most},
            advice=Advice(
                text="Use a momentum of 0.9 to 0.99 in Keras, which is 0.1 to 0.01 in PyTorch",
                keras="layers.BatchNormalization(momentum=0.99)",
                pytorch="nn.BatchNorm2d(channels, momentum=0.1)",
            ),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> BN momentum 1 -> RELU -> GAP -> FC 10 -> SOFTMAX", at=("bn1",)),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> BN momentum 0 -> RELU -> GAP -> FC 10 -> SOFTMAX", at=("bn1",)),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> BN momentum 0.1 -> RELU -> GAP -> FC 10 -> SOFTMAX", at=("bn1",)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN momentum 0.9 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )
