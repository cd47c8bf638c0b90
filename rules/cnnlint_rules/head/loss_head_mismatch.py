"""HD003: a loss and a last activation that do not belong together."""

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


class LossHeadMismatch(
    ModelRule,
    code="HD003",
    severity=Severity.ERROR,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("FC004", "output-activation"),
):
    """The output passes through another function than the loss is made for.

    ## Why
    A cross-entropy that expects logits applies a softmax or a sigmoid of its own. On an output that has one already,
    no one of ten classes can get more than 0.23, and the loss cannot fall below 1.46. A categorical cross-entropy over
    a single unit has one class to choose from, and is 0 from the start.

    | Loss | `from_logits` | The output should pass through | Otherwise |
    | --- | --- | --- | --- |
    | (sparse) categorical cross-entropy | no | softmax, two units or more | error: one unit; warning: sigmoid |
    | binary cross-entropy | no | sigmoid | warning: softmax; information: softmax of two |
    | either | yes | nothing | error: softmax, sigmoid; warning: another function |
    | mean squared error, other regression | | nothing, or the targets' range | warning: softmax; information: relu |
    | Poisson | | a function that is never negative | error: any other |
    | hinge, squared hinge | | nothing, or tanh | warning: a function that is never negative |

    Where the network still learns, it is a warning: sigmoids under a categorical cross-entropy are divided by their
    sum, and are not the independent probabilities that they look like; a softmax under a binary cross-entropy lets only
    one of several labels be right; a softmax under a squared error gets next to no gradient where it is surely wrong.
    No function where probabilities are expected is HD002.

    ## Instead
    One row of the table. On logits the loss is numerically the better choice.

    ## When not
    Binary cross-entropy on a softmax of two units is the categorical one in other words, where labels are one-hot: it
    is information. The squared error of a softmax is the Brier score, which some want; sigmoid and tanh under a
    regression loss bound the output to the targets' range, as in autoencoders, and are not reported. Only files that
    say how the model was trained are looked at, which a Keras file does and an ONNX file does not; a loss of your own
    is not judged. Keras on TensorFlow takes the scores ahead of a softmax for itself where it sees one under
    `from_logits=True`, and warns; on JAX and PyTorch nothing does.

    ## References
    - Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 6.2.2.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022; their rule does not look at `from_logits`.
    - Ahmed, Imtiaz, Khairunnesa, Cruz and Rajan, "Design by Contract for Deep Learning APIs", ESEC/FSE 2023.
    - Keras, https://keras.io/api/losses/
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the outputs whose last function and loss contradict each other."""
        for head in context.heads:
            if head.loss is None:
                yield self.skip(reason=f"the file names no loss for the output {head.output.name}")
                continue
            found = head_mismatch(head)
            if found is None or found.fault.missing:
                continue
            yield self.finding(
                found.layer,
                message=f"The loss {found.loss} on an output of size {found.units:,} {found.fault.effect}.",
                evidence={"units": found.units, "from_logits": int(found.from_logits)},
                advice=Advice(text=found.fault.cure),
                severity=found.fault.severity,
            )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=("softmax1",),
            training=Training((Loss("sparse_categorical_crossentropy", from_logits=True),)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1",
            at=("fc1",),
            training=Training((Loss("categorical_crossentropy", from_logits=True),)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SIGMOID",
            at=("sigmoid1",),
            training=Training((Loss("categorical_crossentropy"),)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=("softmax1",),
            training=Training((Loss("mean_squared_error"),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> TANH",
            training=Training((Loss("mean_squared_error"),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training((Loss("sparse_categorical_crossentropy", from_logits=False),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SIGMOID",
            training=Training((Loss("binary_crossentropy"),)),
        ),
    )
