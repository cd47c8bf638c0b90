"""EX002: dropout that still drops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Dropout,
    Finding,
    Good,
    LayerRule,
    NearMiss,
    Severity,
)


class DropoutInTrainingMode(
    LayerRule[Dropout], code="EX002", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"
):
    """A dropout is in training mode, so that the network drops values at inference too.

    ## Why
    Each run drops other values and scales up the rest: the same input gives another output each time, and none is what
    the network was validated with. It comes from an export in training mode
    (`torch.onnx.export(..., training=TrainingMode.TRAINING)`) or, in Keras, from a layer that is called with
    `training=True`. In such a file batch normalizations mostly use the statistics of the batch as well
    (norm-in-training-mode).

    ## Instead
    Call `model.eval()` and export with the default, `training=TrainingMode.EVAL`. In Keras, leave `training` to
    the caller.

    ## When not
    Monte Carlo dropout, where the spread of several runs estimates uncertainty: ignore the rule and give that as the
    reason.

    ## References
    - Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", JMLR 2014, section 4.
    - Gal and Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016.
    - ONNX, operator Dropout, input `training_mode`.
    """

    def check(self, layer: Dropout, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield a dropout that is in training mode, with its rate."""
        if not layer.training:
            return
        rate = "an unknown share" if layer.rate is None else f"{layer.rate:.0%}"
        yield self.finding(
            layer,
            message=f"{layer.name} is in training mode and sets {rate} of the values of {layer.input.channels}"
            " channels to 0 at each inference.",
            evidence={"rate": layer.rate or 0.0},
            advice=_ADVICE,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many there are and what they drop."""
        rates = sorted({float(place.evidence["rate"]) for place in places})
        shares = f"{rates[0]:.0%}" if len(rates) == 1 else f"{rates[0]:.0%} to {rates[-1]:.0%}"
        return self.finding(
            message=f"{len(places)} dropouts are in training mode and set {shares} of their values to 0 at each"
            " inference.",
            evidence={"dropouts": len(places), "rate": rates[-1]},
            advice=_ADVICE,
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 8, 4, 4] x) => (float[N, 8, 4, 4] y) <float rate = {0.25}, bool training = {1}>
            {
                a = Relu (x)
                b = Dropout (a, rate, training)
                y = Relu (b)
            }
            """,
            at=("b",),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> DROPOUT 0.5 -> FC 10 -> SOFTMAX"),
    )


_ADVICE = Advice(
    text="Export in inference mode",
    keras="x = keras.layers.Dropout(rate)(x)  # without training=True",
    pytorch="torch.onnx.export(model.eval(), example, path)",
)
