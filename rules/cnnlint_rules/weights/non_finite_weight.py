"""WT001: a weight that is not a number, or infinite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Finding,
    Good,
    Layer,
    ModelRule,
    NearMiss,
    Severity,
    Weight,
    WeightStatistics,
    added_up,
)


class NonFiniteWeight(
    ModelRule,
    code="WT001",
    severity=Severity.ERROR,
    confidence=Confidence.EXACT,
    reads_values=True,
    since="0.1.0",
):
    """A weight is NaN or infinite.

    ## Why
    One NaN in a kernel makes its whole channel NaN, and the next convolution or dense layer, which sums over channels,
    makes all channels NaN: after two layers nothing else is left, whatever the input. An infinite weight gives the same
    as soon as it meets a zero, as it does after every ReLU (∞ × 0 is NaN). Training that diverges ends this way: a step
    that is too long, a division by zero or a logarithm of zero in a loss, an overflow in half precision. What is saved
    afterward is lost, so the file is the place to notice. A ReLU can hide it: `max(0, NaN)` is 0 in some runtimes.

    ## Instead
    Go back to the last checkpoint that is finite, and stop at the first NaN the next time. Clip gradients, lower the
    learning rate or warm it up, scale the loss in half precision, and add an ε where a loss divides or takes a
    logarithm.

    ## When not
    Constants of −∞ that arithmetic adds, as attention masks are, are meant: of those only NaN is reported.

    ## References
    - Zhang et al., "An Empirical Study on TensorFlow Program Bugs", ISSTA 2018: NaN and loss that does not fall.
    - Wardat, Le and Rajan, "DeepLocalize: Fault Localization for Deep Neural Networks", ICSE 2021.
    - Micikevicius et al., "Mixed Precision Training", ICLR 2018, section 3.2: loss scaling.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how many values of each weight are not finite, and where the first is."""
        values, seen = context.weight_values, set[str]()
        for layer in context.graph.layers:
            for weight in layer.weights:
                found = values.of(weight)
                if found is None or weight.key in seen or not found.first:
                    continue
                seen.add(weight.key)
                if not found.nan and weight.role == "constant":
                    yield self.skip(layer, reason=f"its constant holds {found.infinite:,} infinities, as a mask does")
                    continue
                yield self._diagnosed(layer, weight, found)

    def _diagnosed(self, layer: Layer, weight: Weight, found: WeightStatistics) -> Diagnostic:
        counts = ((found.nan, f"{found.nan:,} NaN"), (found.infinite, f"{found.infinite:,} infinite"))
        both, size = " and ".join(words for count, words in counts if count), weight.size or 0
        return self.finding(
            layer,
            message=f"The {weight.role.replace('_', ' ')} of {layer.name} holds {both} among its {size:,} values,"
            f" the first at [{', '.join(map(str, found.first))}].",
            evidence={"nan": found.nan, "infinite": found.infinite, "values": size},
            advice=_ADVICE,
            subject=weight.role,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many values are not finite in all."""
        total = added_up(places)
        first = places[0].message.partition(" holds ")[0].removeprefix("The ")
        return self.finding(
            message=f"{len(places):,} weights hold {total['nan']:,} NaN and {total['infinite']:,} infinite values"
            f" among {total['values']:,}; in the order of the network the {first} is the first.",
            evidence={name: total[name] for name in ("nan", "infinite", "values")},
            advice=_ADVICE,
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,1,8,8] x) => (float[N,2,8,8] y)
            <float[2,1,1,1] kernel = {1.0, nan}, float[2] bias = {0.0, 0.5}>
            {
                y = Conv(x, kernel, bias)
            }
            """,
            at=("y",),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,2,4] x) => (float[N,2,4] y)
            <float[1,1,4] mask = {0.0, 0.0, -inf, -inf}>
            {
                y = Add(x, mask)
            }
            """
        ),
    )


_ADVICE = Advice(
    text="Go back to the last checkpoint without them, and stop at the first NaN when you train on",
    keras="model.fit(..., callbacks=[keras.callbacks.TerminateOnNaN()])  # optimizer: clipnorm=1.0",
    pytorch="torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)\n"
    "if not torch.isfinite(loss): raise RuntimeError(f'loss is {loss.item()}')",
)
