"""RT005: a softmax output that is no distribution."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    SOFTMAX,
    Activation,
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    NearMiss,
    Probe,
    RuntimeCheckError,
    RuntimeRule,
    Severity,
    class_axis,
    worst_sum,
)


class SoftmaxSum(RuntimeRule, code="RT005", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A softmax output does not sum to one over its classes.

    ## Why
    A caller reads the output as probabilities and compares it with thresholds. Before opset 13, ONNX's Softmax ran
    over all axes from `axis` on, so that on a C × H × W map it shares one probability among all pixels. Low precision
    and quantization can leave sums that are visibly off as well.

    ## Instead
    For maps of scores, export with opset 13 or later and `axis` on the channels. Keep the softmax in float32.

    ## When not
    Where one distribution over all positions is meant, as in spatial attention.

    ## References
    - ONNX, "Operators", Softmax: versions 1 and 11 against version 13.
    """

    def check(self, probe: Probe, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each softmax output with the sum that is farthest from one."""
        try:
            run = probe.run()
        except RuntimeCheckError as error:
            yield self.skip(reason=f"there is no run to look at: {error.cause}")
            return
        makers = {part.output: layer for layer in probe.graph.of_kind(Activation) for part in layer.origin}
        for tail in (tail for tail in probe.tails if tail.operator in SOFTMAX):
            layer, value = makers.get(tail.probabilities), run.values.get(tail.probabilities)
            if value is None or (axis := class_axis(tail, value)) is None:
                yield self.skip(reason=f"the class axis of {tail.output} is not known")
                continue
            total, allowed = worst_sum(value, axis, logarithm=tail.logarithm)
            if total is not None and abs(total - 1) > allowed:
                yield self.finding(
                    *((layer,) if layer else ()),
                    message=f"The softmax output {tail.output} sums to {total:.4g} and not to 1 along axis {axis}"
                    f" ({run.conditions}).",
                    evidence={"sum": total, "axis": axis, "classes": value.shape[axis]},
                    advice=Advice(text="Give the Softmax the class axis alone, as opset 13 defines it"),
                    subject=tail.output,
                )

    examples = (
        Bad(
            """<ir_version: 6, opset_import: ["": 11]>
            old (float[N,3,4,4] x) => (float[N,3,4,4] y) { y = Softmax<axis = 1>(x) }""",
            at=("y",),
        ),
        Good(
            """<ir_version: 8, opset_import: ["": 15]>
            new (float[N,3,4,4] x) => (float[N,3,4,4] y) { y = Softmax<axis = 1>(x) }"""
        ),
    )
