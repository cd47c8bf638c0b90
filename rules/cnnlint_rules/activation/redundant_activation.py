"""AC002: an activation on what another one has just made, with nothing learned between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import e, exp

from cnnlint import (
    Activation,
    Advice,
    AvgPool,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Finding,
    GlobalPool,
    Good,
    Graph,
    Head,
    Layer,
    LayerRule,
    MaxPool,
    NearMiss,
    Severity,
    is_nonlinear,
    preceding,
    spare_activation,
)

SHARES = (0.0, 1.0)
"""The bounds of probabilities."""


class RedundantActivation(
    LayerRule[Activation],
    code="AC002",
    severity=Severity.ERROR,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("FC004", "output-activation"),
):
    """An activation takes what another one made, and changes nothing or spoils the output.

    ## Why
    At the output it spoils what the network can say. A softmax of N values between 0 and 1 gives at most
    e / (e + N - 1) to a class: 0.23 for 10 classes, 0.003 for 1000. So the network can never be sure, and its
    cross-entropy cannot fall below 1.46 for 10 classes. A sigmoid of a probability lies between 0.5 and 0.73, one of
    what a relu made is never below 0.5: the network never says no. A softmax of a relu's output has no gradient for
    classes whose score is negative.

    Elsewhere it does nothing: a relu of what is never negative, a leaky relu after a relu, whose slope below zero no
    value ever reaches; or a relu cuts off what the leaky relu ahead of it let through. Most often the layer before has
    an `activation=` of its own.

    | First, then | What comes of it | Severity |
    | --- | --- | --- |
    | softmax or sigmoid, then softmax or sigmoid at the output | bounded output | error |
    | relu or softplus, then sigmoid at the output | never below 0.5 | error |
    | relu or tanh, then softmax at the output | little gradient | warning; information if a pooling lies between |
    | relu, then leaky relu, elu or prelu; or the reverse | the slope does nothing | warning |
    | the same function twice, relu of what is not negative | nothing | information |

    ## Instead
    Leave one of the two out: at the output the first, so that the second takes the scores themselves.

    ## When not
    Poolings, flattening and dropout between the two change nothing of this and are looked through. With a layer that
    learns or a normalization between them, nothing is said. SqueezeNet and Network in Network have a relu on the map of
    class scores, then an average and a softmax; where the relu and the softmax are that far apart, it is information.
    Weights of an attention are no output. Two functions that do change something (tanh after relu) are AC004.

    ## References
    - Bridle, "Probabilistic interpretation of feedforward classification network outputs, with relationships to
      statistical pattern recognition", 1990.
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022, "redundant activation"; their rule takes any two functions, and looks
      through layers with kernels that it does not know.
    """

    def check(self, layer: Activation, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what `layer` does to the function ahead of it."""
        if not is_nonlinear(layer):
            return
        graph = context.graph
        first = preceding(graph, layer, lambda before: _pools(before) or before.is_view)
        if not isinstance(first, Activation) or not is_nonlinear(first):
            return
        head = context.head_of(layer)
        if head is not None and (layer.is_softmax or layer.bounds == SHARES):
            yield from self._at_output(layer, first, head, pooled=_pooled(graph, layer, first))
        elif (spare := spare_activation(graph, layer, first)) is not None:
            why, severity = _words(layer, first, spare)
            yield self.finding(
                layer,
                first,
                message=f"{first.name} ({first.function}) and {layer.name} ({layer.function}) follow one another: {why}"
                f"{_elements(layer)}.",
                evidence={"elements": layer.output.sample_elements or 0},
                advice=Advice(text=f"Leave out {spare.name}"),
                severity=severity,
            )
        else:
            yield self.skip(layer, first, reason=f"a {layer.function} of what a {first.function} made is another value")

    def _at_output(
        self, last: Activation, first: Activation, head: Head, *, pooled: bool
    ) -> Iterator[Diagnostic | NearMiss]:
        values = last.classes if last.is_softmax else head.units
        if not isinstance(values, int) or (last.is_softmax and values == 1):
            yield self.skip(last, first, reason="it is over a single unit, or over an unknown number of them")
            return
        severity = Severity.ERROR
        bound = 1.0
        if last.is_softmax and first.bounds == SHARES:
            bound = e / (e + values - 1)
            told = f"of {values} values between 0 and 1 never gives more than {bound:.2g} to a class"
        elif last.is_softmax and first.bounds == (-1, 1):
            bound, severity = e**2 / (e**2 + values - 1), Severity.INFO if pooled else Severity.WARNING
            told = f"of {values} values between -1 and 1 never gives more than {bound:.2g} to a class"
        elif last.is_softmax and first.bounds[0] == 0:
            severity = Severity.INFO if pooled else Severity.WARNING
            told = f"is given {values} scores of which none is negative: a class that is cut off at 0 gets no gradient"
        elif not last.is_softmax and first.bounds == SHARES:
            bound = 1 / (1 + exp(-1))
            told = f"of a probability lies between 0.5 and {bound:.2f}, so it never says no"
        elif not last.is_softmax and first.bounds[0] == 0:
            told = "of what is never negative is never below 0.5, so it never says no"
        elif not last.is_softmax and first.bounds == (-1, 1):
            bound, severity = 1 / (1 + exp(-1)), Severity.WARNING
            told = f"of values between -1 and 1 lies between {1 - bound:.2f} and {bound:.2f}"
        else:
            yield self.skip(last, first, reason=f"a {first.function} lets scores of any sign and size through")
            return
        yield self.finding(
            last,
            first,
            message=f"The output passes through a {first.function} and then a {last.function}, which {told}.",
            evidence={"units": values, "largest_output": bound},
            advice=Advice(
                text=f"Leave out {first.name}, so that {last.name} takes the scores themselves",
                keras=f'keras.layers.Dense({values}, activation="{last.function}")',
            ),
            severity=severity,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many activations can go."""
        elements = int(sum(place.evidence.get("elements", 0) for place in places))
        written = f"; they pass over {elements:,} values per sample" if elements else ""
        return self.finding(
            message=f"{len(places):,} activations take what another one has just made, with nothing learned"
            f" between{written}.",
            evidence={"activations": len(places), "elements": elements},
            advice=Advice(text="Keep one activation after each layer that learns, and the output's own"),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX -> SOFTMAX", at=("softmax2", "softmax1")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> SIGMOID -> SIGMOID", at=("sigmoid2", "sigmoid1")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> RELU -> SOFTMAX", at=("softmax1", "relu2")),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 1 -> RELU -> SIGMOID", at=("sigmoid1", "relu2")),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> LEAKYRELU 0.1 -> POOL 2 -> GAP -> FC 10 -> SOFTMAX",
            at=("leakyrelu1", "relu1"),
        ),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> POOL 2 -> RELU -> GAP -> FC 10 -> SOFTMAX", at=("relu2", "relu1")),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


def _pools(layer: Layer) -> bool:
    return isinstance(layer, MaxPool | AvgPool) or (isinstance(layer, GlobalPool) and layer.mode in ("avg", "max"))


def _pooled(graph: Graph, layer: Layer, first: Layer) -> bool:
    return preceding(graph, layer, lambda before: before.is_view) is not first


def _words(layer: Activation, first: Activation, spare: Activation) -> tuple[str, Severity]:
    """Return why one of two functions in a row does nothing, and how much that matters."""
    if spare is first:
        if first.function == "relu":
            return "the second cuts off below 0 as well as above its limit", Severity.INFO
        return "the second makes 0 of all that the slope of the first lets through", Severity.WARNING
    if layer.function in ("leaky_relu", "elu", "celu", "prelu"):
        return "the slope of the second below zero acts on no value", Severity.WARNING
    return "the second takes what it gives back as it is", Severity.INFO


def _elements(layer: Activation) -> str:
    elements = layer.output.sample_elements
    return "" if elements is None else f", in a pass over {elements:,} values"
