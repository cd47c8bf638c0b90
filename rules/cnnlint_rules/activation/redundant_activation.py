"""AC002: an activation on what is a probability already."""

from __future__ import annotations

from collections.abc import Iterator
from math import e

from cnnlint import Advice, Bad, Confidence, Context, Diagnostic, Good, ModelRule, NearMiss, Severity


class RedundantActivation(
    ModelRule,
    code="AC002",
    severity=Severity.ERROR,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("FC004", "output-activation"),
):
    """The output passes through a softmax or sigmoid twice.

    ## Why
    A softmax of N values between 0 and 1 gives at most e / (e + N − 1) to a class: 0.23 for 10 classes, 0.003 for
    1000. So the network can never be sure, and its cross-entropy cannot fall below 1.46 for 10 classes. A sigmoid of a
    probability lies between 0.5 and 0.73: the network never says no. Most often the model has the function and the
    code that uses it adds another.

    ## Instead
    Leave one of the two out: the first, so that the second takes the scores themselves.

    ## When not
    Where one of them belongs to something else, as the weights of an attention do, it is not the last step ahead of an
    output, and the rule does not look at it.

    ## References
    - Bridle, "Probabilistic interpretation of feedforward classification network outputs, with relationships to
      statistical pattern recognition", 1990.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the outputs that are made probabilities twice."""
        for head in context.heads:
            if (pair := head.repeated) is None:
                continue
            last, first, values = pair
            if last.is_softmax:
                bound = e / (e + values - 1)
                told = f"of {values} values between 0 and 1 never gives more than {bound:.2g} to a class"
            else:
                bound = e / (e + 1)
                told = f"of a probability lies between 0.5 and {bound:.2f}, so it never says no"
            yield self.finding(
                last,
                first,
                message=f"The output passes through a {first.function} and then a {last.function}, which {told}.",
                evidence={"units": values, "largest_output": bound},
                advice=Advice(text=f"Leave out {first.name}, so that {last.name} takes the scores themselves"),
            )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX -> SOFTMAX", at=("softmax2", "softmax1")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SIGMOID -> SIGMOID", at=("sigmoid2", "sigmoid1")),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )
