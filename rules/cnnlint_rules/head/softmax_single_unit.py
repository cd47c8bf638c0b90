"""HD001: a softmax over one unit."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    Head,
    Loss,
    ModelRule,
    NearMiss,
    Severity,
    Training,
    is_regression,
)


class SoftmaxSingleUnit(
    ModelRule,
    code="HD001",
    severity=Severity.ERROR,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("FC004", "output-activation"),
):
    """The output is a softmax over a single unit, which is constant.

    ## Why
    A softmax over one unit is eˣ / eˣ = 1 whatever the input is, and its logarithm 0. So the network gives every input
    the same answer, and its gradient is zero: no weight ever changes, and a loss that does not move is all that there
    is to see.

    ## Instead
    One unit takes a sigmoid with binary cross-entropy; where it is to give a number, as a squared error asks for, no
    function at all. Or give two classes a unit each, a softmax over both, and
    categorical cross-entropy: the same model, written with one more row of weights.

    ## When not
    A softmax inside the network may have one element, as attention over a single token has; only outputs are looked at.

    ## References
    - Bridle, "Probabilistic interpretation of feedforward classification network outputs, with relationships to
      statistical pattern recognition", 1990.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the outputs that are constant for this reason."""
        for head in context.heads:
            if (softmax := head.lone_softmax) is None:
                continue
            value = 0.0 if softmax.function == "log_softmax" else 1.0
            yield self.finding(
                softmax,
                message=f"A {softmax.function} over a single unit is {value} whatever the input: the output is"
                " constant.",
                evidence={"units": 1, "output": value},
                advice=_advice(head),
            )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SOFTMAX",
            at=("softmax1",),
            training=Training((Loss("mean_squared_error"),)),
        ),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SOFTMAX", at=("softmax1",)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SIGMOID"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 2 -> SOFTMAX"),
    )


def _advice(head: Head) -> Advice:
    if head.loss is not None and is_regression(head.loss):
        return Advice(
            text=f"Leave the function out: {head.loss.name} compares numbers",
            keras="keras.layers.Dense(1)",
            pytorch="nn.Linear(features, 1)",
        )
    return Advice(
        text="Use a sigmoid for one unit, or as many units as there are classes",
        keras='keras.layers.Dense(1, activation="sigmoid")',
        pytorch="nn.Sequential(nn.Linear(features, 1), nn.Sigmoid())",
    )
