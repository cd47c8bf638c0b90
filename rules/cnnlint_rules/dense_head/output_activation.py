"""FC004: an output that does not pass through the function that it should."""

from __future__ import annotations

from collections.abc import Iterator
from math import e

from cnnlint import (
    Activation,
    Advice,
    Bad,
    Confidence,
    Context,
    Conv,
    Dense,
    Diagnostic,
    Dim,
    GlobalPool,
    Good,
    Head,
    ModelRule,
    NearMiss,
    Severity,
    Training,
    following,
    loss_mismatch,
    loss_name,
    reads_axis_of,
    scored_by,
)

PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")


class OutputActivation(ModelRule, code="FC004", severity=Severity.ERROR, confidence=Confidence.EXACT):
    """The softmax of a classifier is missing, doubled, on a single unit, or on a hidden layer.

    ## Why
    A softmax over one unit is e^x / e^x = 1 whatever the input. A softmax of N probabilities gives at most
    e / (e + N − 1): 0.23 for 10 classes, 0.003 for 1000, so the loss cannot fall. A sigmoid of a probability lies
    between 0.5 and 0.73. A cross-entropy that expects probabilities takes the logarithm of whatever it is given, and
    one that expects logits applies a softmax of its own. On a hidden layer, features share a sum of 1.

    | loss | `from_logits` | output should pass through |
    | --- | --- | --- |
    | (sparse) categorical cross-entropy | no | softmax, two units or more |
    | binary cross-entropy | no | sigmoid |
    | either | yes | nothing |

    ## Instead
    A softmax in the head, or a loss that works on logits (numerically the better choice), never both. One unit takes
    a sigmoid with binary cross-entropy; independent labels take one sigmoid each.

    ## When not
    A softmax over the positions of attention or over scores that a product of two activations gives, over bins whose
    expected value is taken next, or one that gates another branch, is left alone. Binary cross-entropy on a softmax
    of two units is the categorical one in other words.

    ## References
    - Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    - Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 6.2.2.
    - Schoop et al., "UMLAUT: Debugging Deep Learning Programs using Program Structure and Model Behavior", CHI 2021.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what is wrong with each head, then each softmax on a hidden layer."""
        in_heads = set[str]()
        for head in context.heads:
            in_heads.update(activation.name for activation in head.activations)
            if (remark := self._constant(head) or self._doubled(head) or self._loss(head)) is not None:
                yield remark
        for activation in context.graph.of_kind(Activation):
            if activation.is_softmax and activation.name not in in_heads:
                yield from self._hidden(activation, context)

    def _constant(self, head: Head) -> Diagnostic | None:
        softmax = next((layer for layer in head.activations if layer.is_softmax), None)
        if softmax is None or _classes(softmax) != 1:
            return None
        value = 0.0 if softmax.function == "log_softmax" else 1.0
        return self.finding(
            softmax,
            message=f"A {softmax.function} over a single unit is {value} whatever the input: the output is constant.",
            evidence={"units": 1, "output": value},
            advice=Advice(
                text="Use a sigmoid for one unit, or as many units as there are classes",
                keras='keras.layers.Dense(1, activation="sigmoid")',
            ),
        )

    def _doubled(self, head: Head) -> Diagnostic | None:
        if len(head.activations) < 2:
            return None
        last, first = head.activations[0], head.activations[1]
        classes = _classes(last) if last.is_softmax else head.units
        if first.function not in PROBABILITIES or not isinstance(classes, int):
            return None
        if last.is_softmax:
            bound = e / (e + classes - 1)
            told = f"of {classes} values between 0 and 1 never gives more than {bound:.2g} to a class"
        elif last.function == "sigmoid":
            bound = e / (e + 1)
            told = f"of a probability lies between 0.5 and {bound:.2f}, so it never says no"
        else:
            return None
        return self.finding(
            last,
            first,
            message=f"The output passes through a {first.function} and then a {last.function}, which {told}.",
            evidence={"units": classes, "largest_output": bound},
            advice=Advice(text=f"Leave out {first.name}, so that {last.name} takes the scores themselves"),
        )

    def _loss(self, head: Head) -> Diagnostic | None:
        layer = head.activation or head.scorer
        if head.training is None or layer is None or not isinstance(head.units, int):
            return None
        function = head.activation.function if head.activation else "linear"
        mismatch = loss_mismatch(head.training, function, head.units)
        if mismatch is None:
            return None
        return self.finding(
            layer,
            message=f"The loss {loss_name(head.training)} on an output of size {head.units:,} {mismatch.effect}.",
            evidence={"units": head.units, "from_logits": int(bool(head.training.from_logits))},
            advice=Advice(text=mismatch.cure),
            severity=Severity.WARNING if mismatch.trains else None,
        )

    def _hidden(self, softmax: Activation, context: Context) -> Iterator[Diagnostic | NearMiss]:
        target = following(context.graph, softmax, lambda layer: isinstance(layer, GlobalPool) or layer.is_view)
        if not isinstance(target, Conv | Dense):
            yield self.skip(softmax, reason="no learned kernel reads it: a gate, attention or an output")
            return
        if (product := scored_by(context.graph, softmax)) is not None:
            yield self.skip(softmax, reason=f"{product.name} compares activations: the weights of an attention")
            return
        if reads_axis_of(context.graph, softmax, target) is False:
            yield self.skip(
                softmax, reason=f"it sums to one over positions, and {target.name} reads along another axis"
            )
            return
        outputs, features = target.out_channels, _classes(softmax)
        if outputs == 1 or not isinstance(features, int):
            yield self.skip(softmax, reason=f"{target.name} takes its expected value, or its features are unknown")
            return
        yield self.finding(
            softmax,
            target,
            message=f"A softmax on a hidden layer makes the {features:,} features that {target.name} reads share a sum"
            " of 1.",
            evidence={"features": features},
            advice=Advice(text="Use a ReLU on hidden layers and keep the softmax for the output"),
            severity=Severity.WARNING,
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SOFTMAX", at=("softmax1",)),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX -> SOFTMAX", at=("softmax2", "softmax1")),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10",
            at=("fc1",),
            training=(Training("sparse_categorical_crossentropy", from_logits=False),),
        ),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> SOFTMAX -> GAP -> FC 10 -> SOFTMAX", at=("softmax1", "fc1")),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SIGMOID"),
    )


def _classes(softmax: Activation) -> Dim:
    shape = softmax.output.shape
    return None if shape is None or softmax.axis is None else shape[softmax.axis]
