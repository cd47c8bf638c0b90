"""HD002: an output without the function that its loss expects."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    Loss,
    ModelRule,
    NearMiss,
    Severity,
    Training,
    head_mismatch,
)


class MissingOutputActivation(
    ModelRule,
    code="HD002",
    severity=Severity.ERROR,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("FC004", "output-activation"),
):
    """The loss expects probabilities, and the output passes through no softmax or sigmoid.

    ## Why
    Keras's cross-entropies take probabilities unless they are told `from_logits=True`, and take the logarithm of
    whatever they get. Scores are no probabilities: Keras clips all that is not between 10⁻⁷ and 1 − 10⁻⁷ (after it has
    divided them by their sum, if the loss is categorical), and where it clips, the gradient is zero. Such a model
    trains badly or not at all, and no error is raised.

    ## Instead
    Set `from_logits=True` (the softmax inside the loss is numerically the better one), or end the head in a softmax
    for one class of many, in a sigmoid for one unit or for several labels at once. Never both.

    ## When not
    Only files that say how the model was trained are looked at: compiled Keras models. A loss of your own is not
    judged, and neither is a head whose last layer is not known.

    ## References
    - Schoop, Huang and Hartmann, "UMLAUT: Debugging Deep Learning Programs using Program Structure and Model
      Behavior", CHI 2021.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    - Keras, https://keras.io/api/losses/probabilistic_losses/
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the outputs that their losses take for probabilities and that are none."""
        for head in context.heads:
            if head.loss is None:
                yield self.skip(reason=f"the file names no loss for the output {head.output.name}")
                continue
            found = head_mismatch(head)
            if found is None or not found.fault.missing:
                continue
            yield self.finding(
                found.layer,
                message=f"The loss {found.loss} on an output of size {found.units:,} {found.fault.effect}.",
                evidence={"units": found.units, "from_logits": int(found.from_logits)},
                advice=Advice(text=found.fault.cure),
            )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10",
            at=("fc1",),
            training=Training((Loss("sparse_categorical_crossentropy", from_logits=False),)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1",
            at=("fc1",),
            training=Training((Loss("binary_crossentropy"),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training((Loss("sparse_categorical_crossentropy", from_logits=False),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10",
            training=Training((Loss("sparse_categorical_crossentropy", from_logits=True),)),
        ),
    )
