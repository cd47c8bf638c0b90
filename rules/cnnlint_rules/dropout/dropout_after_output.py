"""DO004: dropout on the network's output."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    KERNEL_LAYERS,
    Activation,
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Dropout,
    Good,
    Graph,
    Head,
    Layer,
    Loss,
    ModelRule,
    NearMiss,
    Severity,
    Training,
    is_nonlinear,
)


class DropoutAfterOutput(
    ModelRule, code="DO004", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A dropout comes after the last layer with weights, and drops the network's answers themselves.

    ## Why
    What it drops are scores: in each step of training a share p of the classes has a score of 0, whatever the network
    computed, and the others are divided by 1 - p. After a softmax it is worse: where the right class is dropped, its
    probability is 0 and the cross-entropy is clipped, 16 in Keras, with no gradient to learn from; and the others no
    longer sum to 1. The loss has a floor that no training gets below.

    ## Instead
    Ahead of the last dense layer, where it drops features.

    ## When not
    A network without a loss in its file whose output is a hidden layer's (after a relu, or a map) may be there for its
    features; nothing is said then.

    ## References
    - Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks
      from Overfitting", JMLR 15, 2014, which drops inputs and hidden units.
    - Keras, https://keras.io/api/losses/probabilistic_losses/
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the dropouts between an output and the layer that scores it."""
        for head in context.heads:
            dropped, functions, scorer = _after_scorer(context.graph, head)
            if not dropped or scorer is None:
                continue
            dropout = dropped[0]
            gives_answers = head.is_vector and all(
                function.is_softmax or function.bounds == (0.0, 1.0) for function in functions
            )
            if head.loss is None and not gives_answers:
                yield self.skip(dropout, scorer, reason="the output may be a layer's features: the file names no loss")
                continue
            units = head.units if isinstance(head.units, int) else 0
            of = f"the {units:,} outputs" if units else "the outputs"
            yield self.finding(
                dropout,
                scorer,
                message=f"{dropout.name} sets {dropout.rate or 0:.0%} of {of} of {scorer.name} to 0 in training,"
                " whatever the network computed.",
                evidence={"rate": round(dropout.rate or 0.0, 6), "units": units},
                advice=Advice(
                    text=f"Put {dropout.name} ahead of {scorer.name}",
                    keras=f"layers.Dropout({dropout.rate:g})\nlayers.Dense({units or 10})",
                    pytorch=f"nn.Dropout({dropout.rate:g})\nnn.Linear(features, {units or 10})",
                ),
            )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> DROPOUT 0.5 -> SOFTMAX",
            at=("dropout1", "fc1"),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX -> DROPOUT 0.2",
            at=("dropout1", "fc1"),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> RELU -> DROPOUT 0.2",
            at=("dropout1", "fc1"),
            training=Training((Loss("mean_squared_error"),)),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> DROPOUT 0.5 -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 128 -> RELU -> DROPOUT 0.5"),
    )


def _after_scorer(graph: Graph, head: Head) -> tuple[list[Dropout], list[Activation], Layer | None]:
    """Return the dropouts and functions after the layer that scores `head`, the last one first, and that layer."""
    dropped, functions = list[Dropout](), list[Activation]()
    layer = graph.producer(head.output)
    while layer is not None and len(layer.inputs) == 1:
        if isinstance(layer, Dropout):
            if layer.rate and not layer.per_sample:
                dropped.append(layer)
        elif isinstance(layer, Activation) and is_nonlinear(layer):
            functions.append(layer)
        elif not layer.is_view:
            break
        layer = graph.producer(layer.input)
    return dropped, functions, layer if isinstance(layer, KERNEL_LAYERS) else None
