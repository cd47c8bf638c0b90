"""RT003: NaN or infinity in an output."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
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
    first_layer,
    non_finite,
)


class NonFiniteOutput(RuntimeRule, code="RT003", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """An output holds NaN or infinity for ordinary inputs.

    ## Why
    A weight that became NaN in training, a variance of zero, a logarithm or a root of a negative number, a float16
    that overflows: from there on every value is lost, and a softmax spreads it over all classes. The inputs are
    standard normal, which is what a normalized image looks like.

    ## Instead
    Start at the layer that the finding names: its inputs are finite and its output is not. Look at its weights, at
    its epsilon, and at the range of its type.

    ## When not
    Networks that mark absent results by infinity or NaN mean it.

    ## References
    - Micikevicius et al., "Mixed Precision Training", ICLR 2018, on the range of float16.
    """

    def check(self, probe: Probe, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the outputs with values that are not finite, and the first layer that makes one."""
        try:
            run = probe.run()
        except RuntimeCheckError as error:
            yield self.skip(reason=f"there is no run to look at: {error.cause}")
            return
        counts = {value.name: non_finite(run.values[value.name]) for value in probe.outputs}
        for name, count in counts.items():
            if not count:
                continue
            layer = first_layer(probe, lambda values, tensor: non_finite(values[tensor]) > 0)
            start = f"; {layer.name} ({layer.kind}) is the first layer with such a value" if layer else ""
            size = run.values[name].size
            yield self.finding(
                *((layer,) if layer else ()),
                message=f"{count:,} of {size:,} values of output {name} are NaN or infinite ({run.conditions}){start}.",
                evidence={"non_finite": count, "values": size},
                advice=Advice(text="Look at the weights, the epsilon and the type of the layer where it starts"),
                subject=name,
            )

    examples = (
        Bad(
            """<ir_version: 8, opset_import: ["": 15]>
            logarithm (float[N,3,4,4] x) => (float[N,3,4,4] y) { r = Relu(x)  y = Log(r) }""",
            at=("y",),
        ),
        Good(
            """<ir_version: 8, opset_import: ["": 15]>
            softplus (float[N,3,4,4] x) => (float[N,3,4,4] y) { y = Softplus(x) }"""
        ),
    )
