"""WA001: activations on values that the pooling throws away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Activation,
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    Finding,
    Good,
    Match,
    MaxPool,
    NearMiss,
    Op,
    PatternRule,
    Severity,
    added_up,
    brief,
)

MONOTONE = frozenset(
    {"relu", "relu6", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softplus", "softsign", "selu", "log_sigmoid"}
)
"""Functions that never fall, whatever their settings."""

MONOTONE_IF_RISING = frozenset({"leaky_relu", "elu", "celu"})
"""Functions that never fall if their alpha is positive."""


class MaxpoolAfterRelu(PatternRule, code="WA001", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A max-pooling throws away most of the values that an activation ahead of it was computed for.

    ## Why
    A function that never falls leaves the largest value of each window the largest: max(f(x)) = f(max(x)), bit for bit.
    After the pooling there are fewer values to compute it for, a quarter with windows of 2 × 2 and a stride of 2.
    For ReLU that is one comparison a value, and what counts is the pass over the map. Where a runtime computes the
    activation together with the convolution ahead of it, as onnxruntime, TensorRT and TFLite do, that pass is free,
    and the exchange saves nothing: onnxruntime took 0.86 ms for 16 channels of 112 × 112 with the ReLU first and
    0.88 ms with the pooling first. It pays for functions that are costly (tanh, ELU), after layers that nothing is
    fused with (concatenations, sums), and on devices without such fusion; so the rule runs with `--pedantic`.

    ## Instead
    Exchange the two.

    ## When not
    As said, where the activation is fused into the convolution. It holds for no function that falls somewhere (GELU,
    swish, a leaky ReLU of negative slope), nor for average pooling, nor where something else reads the activation.

    ## References
    - CS231n, "Convolutional Neural Networks: Architectures": the usual order, CONV -> RELU -> POOL.
    """

    activation, pool = Op(Activation), Op(MaxPool)
    pattern = activation >> pool

    def check(self, match: Match, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how many values the function is computed for, and for how many it needs to be."""
        activation, pool = match[self.activation], match[self.pool]
        function, alpha = activation.function, activation.alpha
        rises = function in MONOTONE or (function in MONOTONE_IF_RISING and (alpha is None or alpha > 0))
        if not rises:
            yield self.skip(activation, pool, reason=f"{function} is not known to rise everywhere")
            return
        before, after = activation.output.sample_elements, pool.output.sample_elements
        if before is None or after is None:
            yield self.skip(activation, pool, reason="the size of the map is not known")
            return
        if after >= before:
            yield self.skip(activation, pool, reason=f"the pooling keeps {after:,} of {before:,} values")
            return
        yield self.finding(
            activation,
            pool,
            message=f"{function} is computed for {before:,} values, of which {pool.name} keeps {after:,}; after the"
            " pooling it gives the same.",
            evidence={"before": before, "after": after},
            advice=Advice(
                text=f"Exchange {activation.name} and {pool.name}",
                keras=f"x = keras.layers.MaxPooling2D({pool.pool_size[0]})(x)\n"
                f'x = keras.layers.Activation("{function}")(x)',
            ),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Add up the values."""
        total = added_up(places)
        before, after = total["before"], total["after"]
        return self.finding(
            message=f"{len(places)} activations are computed for {brief(before)} values, of which the max-poolings"
            f" after them keep {brief(after)}; after the poolings they give the same.",
            evidence={"before": before, "after": after},
            advice=Advice(text="Exchange each of these activations with the pooling after it"),
        )

    def rewrite(self, match: Match, editor: Editor) -> None:
        """Exchange the two nodes."""
        editor.exchange(editor.only(match[self.activation]), editor.only(match[self.pool]))

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> POOL 2 -> GAP -> FC 10",
            at=("relu1", "pool1"),
            fixed="INPUT 3x32x32 -> CONV 16 3x3 same -> POOL 2 -> RELU -> GAP -> FC 10",
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> POOL 2 -> RELU -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> RELU -> AVGPOOL 2 -> GAP -> FC 10"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 same -> GELU -> POOL 2 -> GAP -> FC 10"),
    )
