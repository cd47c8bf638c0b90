"""HD005: a metric that says nothing of the output that it is about."""

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
    Metric,
    ModelRule,
    NearMiss,
    Severity,
    Training,
    is_binary,
    is_categorical,
    is_regression,
)

ONE_HOT = frozenset({"categorical_accuracy", "top_k_categorical_accuracy", "categorical_crossentropy"})
NUMBERED = frozenset(
    {"sparse_categorical_accuracy", "sparse_top_k_categorical_accuracy", "sparse_categorical_crossentropy"}
)
THRESHOLDED = frozenset(
    {"binary_accuracy", "precision", "recall", "true_positives", "true_negatives", "false_positives", "false_negatives",
     "auc"}
)  # fmt: skip
BOUNDED = ("softmax", "sigmoid", "hard_sigmoid", "tanh")

Fault = tuple[str, str, Severity]
"""What is wrong, as a clause about the metric; what to do; how bad it is."""


class MetricMismatch(ModelRule, code="HD005", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """A metric measures something else than whether this output is right.

    ## Why
    The loss trains as it should, and the number that people look at is wrong:

    - the binary accuracy of a softmax over N classes asks for each class whether its share is above one half. A network
      that is never sure scores (N - 1) / N: 90% for 10 classes, 99% for 100;
    - on scores, as a loss with `from_logits=True` takes them, a threshold of 0.5 is a probability of 0.62, and ROC
      curves are drawn between 0 and 1 only;
    - the class `keras.metrics.Accuracy` counts outputs that equal their labels to the last bit, which probabilities
      never do; the name `"accuracy"` is another thing, and picks a metric by the shapes;
    - the largest of one value is always the first: categorical accuracy of a single unit is the share of label 0;
    - a metric of numbered labels beside a loss of one-hot labels reads one of the two wrongly;
    - the accuracy of a regression counts exact hits.

    ## Instead
    | Output | Metric |
    | --- | --- |
    | one unit, sigmoid | `"accuracy"` |
    | one unit, scores | `BinaryAccuracy(threshold=0.0)` |
    | N units for one class of N | `"accuracy"` |
    | N sigmoids for several labels | `BinaryAccuracy()`, `AUC(multi_label=True)` |
    | numbers | `"mae"`, `R2Score()` |

    ## When not
    Only files that say how the model was compiled are looked at. `"accuracy"` on several sigmoids compares the largest
    of them with the label: right for classes that exclude each other, and so information. Precision and recall of a
    softmax are left alone.

    ## References
    - Keras, https://keras.io/api/metrics/
    - Keras, `get_metric` in keras/src/trainers/compile_utils.py, which says what `"accuracy"` becomes.
    - TensorFlow, "Transfer learning and fine-tuning", whose first editions had `"accuracy"` on scores.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the metrics that do not fit their output."""
        for head in context.heads:
            layer = head.activation or head.averaged or head.scorer
            if head.loss is None or layer is None or not isinstance(head.units, int):
                continue
            for name, metric in {metric.name: metric for metric in head.metrics}.items():
                fault = _fault(metric, head, head.units)
                if fault is None:
                    continue
                effect, cure, severity = fault
                yield self.finding(
                    layer,
                    message=f"The metric {TOLD.get(name, name)} on an output of size {head.units:,} {effect}.",
                    evidence={"units": head.units},
                    advice=Advice(text=cure),
                    severity=severity,
                    subject=name,
                )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            at=("softmax1",),
            training=Training((Loss("categorical_crossentropy"),), metrics=(Metric("binary_accuracy"),)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1",
            at=("fc1",),
            training=Training((Loss("binary_crossentropy", from_logits=True),), metrics=(Metric("accuracy"),)),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1",
            at=("fc1",),
            training=Training((Loss("mean_squared_error"),), metrics=(Metric("accuracy"),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
            training=Training((Loss("categorical_crossentropy"),), metrics=(Metric("accuracy"),)),
        ),
        Good(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1",
            training=Training(
                (Loss("binary_crossentropy", from_logits=True),), metrics=(Metric("binary_accuracy", threshold=0.0),)
            ),
        ),
    )


TOLD = {"exact_accuracy": "keras.metrics.Accuracy"}


def _fault(metric: Metric, head: Head, units: int) -> Fault | None:
    if (loss := head.loss) is None:
        return None
    last = head.activation or head.averaged
    function = last.function if last else "linear"
    name = _chosen(metric, loss, units)
    warning = Severity.WARNING
    if name == "exact_accuracy":
        return "counts those that equal their labels to the last bit", 'Use the name "accuracy"', warning
    if is_regression(loss) and name.endswith("accuracy") and function not in BOUNDED:
        return f"counts hits, but the loss {loss.name} is one of numbers", 'Use "mae" or R2Score()', warning
    if units == 1 and name in ONE_HOT | NUMBERED and name.endswith("accuracy"):
        return "takes the largest of 1 value, which is always the first", "Use BinaryAccuracy()", warning
    if is_binary(loss) and function == "linear" and name in THRESHOLDED and not metric.from_logits:
        if name == "auc":
            return "draws its curve between 0 and 1, and the output is a score", "Use AUC(from_logits=True)", warning
        if metric.threshold in (None, 0.5):
            cure = "Set its threshold to 0, the score of a probability of one half"
            return "takes a score of 0.5 for a probability of 0.5; it is one of 0.62", cure, warning
    if name == "binary_accuracy" and units > 2 and (is_categorical(loss) or function == "softmax"):
        effect = f"asks for each class whether its share is above 0.5: never being sure scores {1 - 1 / units:.0%}"
        return effect, 'Use the name "accuracy", which Keras makes the categorical one', warning
    numbered = loss.name.startswith("sparse")
    if is_categorical(loss) and name in (ONE_HOT if numbered else NUMBERED):
        ours, theirs = ("one-hot", "numbers") if numbered else ("numbers", "one-hot")
        return f"takes labels for {ours}, and {loss.name} takes the same labels for {theirs}", 'Use "accuracy"', warning
    if metric.name == "accuracy" and is_binary(loss) and units > 1 and function in ("sigmoid", "linear"):
        effect = "compares the largest of them with the label, whatever the others say"
        return effect, "Where several labels can hold at once, use BinaryAccuracy()", Severity.INFO
    return None


def _chosen(metric: Metric, loss: Loss, units: int) -> str:
    """Return what Keras makes of the name "accuracy", by the shapes of outputs and labels."""
    if metric.name != "accuracy":
        return metric.name
    if units == 1:
        return "binary_accuracy"
    return "sparse_categorical_accuracy" if loss.name.startswith("sparse") else "categorical_accuracy"
