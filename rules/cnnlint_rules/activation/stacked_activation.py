"""AC004: two different activations in a row."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from cnnlint import (
    Activation,
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Elementwise,
    Good,
    Graph,
    LayerRule,
    NearMiss,
    Severity,
    is_nonlinear,
    preceding,
    spare_activation,
)


class StackedActivation(
    LayerRule[Activation], code="AC004", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """Two different activations follow one another, with nothing learned between.

    ## Why
    A second function of the first one's output is a function that nobody chose. A tanh after a relu uses half of its
    range; a sigmoid after a tanh lies between 0.27 and 0.73; and the slopes multiply: two sigmoids pass on a sixteenth
    of the gradient at best. In most cases the layer before has an `activation=` of its own, and somebody added an
    `Activation` after it.

    ## Instead
    One of them, right after the layer that learns.

    ## When not
    A function of one's own may be written as two; ignore it there. What gates another branch, a hidden softmax (AC003)
    and pairs of which one does nothing or that spoil the output (AC002) are left to others, and two functions with a
    pooling, a normalization or a kernel between them are not reported.

    ## References
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022, "redundant activation".
    - Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
    """

    def check(self, layer: Activation, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield `layer` where it takes another function's output."""
        graph = context.graph
        first = preceding(graph, layer, lambda before: before.is_view)
        if not isinstance(first, Activation) or not is_nonlinear(layer) or not is_nonlinear(first):
            return
        if reason := _left_alone(graph, layer, first):
            yield self.skip(layer, first, reason=reason)
            return
        low, high = first.bounds
        seen = f"values from {low:g} to {high:g}" if isfinite(low + high) else f"what a {first.function} makes"
        elements = layer.output.sample_elements
        over = "" if elements is None else f" over {elements:,} values"
        yield self.finding(
            layer,
            first,
            message=f"Nothing is learned between {first.name} ({first.function}) and {layer.name} ({layer.function}),"
            f" which takes {seen}: 2 functions where 1 is meant{over}.",
            evidence={"activations": 2} if elements is None else {"activations": 2, "elements": elements},
            advice=Advice(text=f"Keep one of {first.name} and {layer.name}, right after the layer that learns"),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> TANH -> POOL 2 -> GAP -> FC 10 -> SOFTMAX", at=("tanh1", "relu1")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> TANH -> TANH -> GAP -> FC 10 -> SOFTMAX", at=("tanh2", "tanh1")),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> CONV 16 3x3 -> TANH -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 16x8x8 -> CONV 16 3x3 -> GATE[GAP keep -> RELU -> SIGMOID] -> GAP -> FC 10 -> SOFTMAX"),
    )


def _left_alone(graph: Graph, layer: Activation, first: Activation) -> str:
    """Return why nothing is said of the two; "" if there is no reason."""
    if spare_activation(graph, layer, first) is not None:
        return "one of the two does nothing: that is AC002"
    if layer.is_softmax or first.is_softmax:
        return "a softmax belongs to an output, an attention or AC003"
    if graph.is_output(layer.output) and layer.function in ("sigmoid", "hard_sigmoid"):
        return "it is the output's own function: AC002 looks at those"
    if graph.sole_successor(first) is None:
        return f"others read {first.name} too"
    if any(isinstance(reader, Elementwise) for reader in graph.successors(layer)):
        return "it is part of a gate or of a function that is written as several layers"
    return ""
