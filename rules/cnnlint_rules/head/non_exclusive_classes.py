"""HD004: several outputs that are each decided on their own."""

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
    is_binary,
)


class NonExclusiveClasses(
    ModelRule, code="HD004", severity=Severity.INFO, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A binary cross-entropy on several outputs, which decides on each of them alone.

    ## Why
    That is right where several labels can hold at once, and wrong where exactly one of N classes does: the network is
    then not told that a class excludes the others. Its N probabilities need not sum to 1, a picture may be none of the
    classes or three of them, and with N - 1 of N labels being 0 the loss is small for a network that always says no:
    at 10 classes an output of 0.1 everywhere costs 0.33 instead of 2.3. It is among the faults that are met most in
    questions about classifiers that do not learn.

    ## Instead
    For classes that exclude each other a softmax with categorical cross-entropy. A file does not say which of the two
    the labels are, so this is information.

    ## When not
    Several labels at once: attributes of a face, findings in a radiograph, tags. Ignore it there. One unit is not
    looked at, nor is a map with a decision for each position; sigmoids trained by binary cross-entropy for each class
    are also a recipe for ImageNet in its own right (Wightman et al.).

    ## References
    - Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 6.2.2.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022; their rule calls it a fault in any case.
    - Wightman, Touvron and Jégou, "ResNet strikes back: An improved training procedure in timm", 2021.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the outputs whose units a binary cross-entropy scores one by one."""
        for head in context.heads:
            layer = head.activation or head.scorer
            if head.loss is None or not is_binary(head.loss) or layer is None:
                continue
            expected = ("linear",) if head.loss.from_logits else ("sigmoid", "hard_sigmoid")
            function = head.activation.function if head.activation else "linear"
            if function not in expected or not isinstance(head.units, int) or head.units < 2:
                continue
            if not head.is_vector:
                yield self.skip(layer, reason="it decides for each position of a map")
                continue
            yield self.finding(
                layer,
                message=f"The loss {head.loss.name} decides on each of {head.units:,} outputs alone: right where"
                " several labels can hold at once, wrong where exactly one class does.",
                evidence={"units": head.units},
                advice=Advice(
                    text="If the classes exclude each other, use a softmax with categorical cross-entropy",
                    keras=f'keras.layers.Dense({head.units}, activation="softmax")\n'
                    'model.compile(loss="categorical_crossentropy")',
                    pytorch="nn.CrossEntropyLoss()",
                ),
            )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SIGMOID",
            at=("sigmoid1",),
            training=Training((Loss("binary_crossentropy", from_logits=False),)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10",
            at=("fc1",),
            training=Training((Loss("binary_crossentropy", from_logits=True),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training((Loss("categorical_crossentropy", from_logits=False),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SIGMOID",
            training=Training((Loss("binary_crossentropy", from_logits=False),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> CONV 4 1x1 -> SIGMOID",
            training=Training((Loss("binary_crossentropy", from_logits=False),)),
        ),
    )
