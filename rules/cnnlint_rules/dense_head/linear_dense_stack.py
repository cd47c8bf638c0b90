"""FC003: dense layers with no non-linearity between."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Dense,
    Diagnostic,
    Editor,
    Good,
    Layer,
    Many,
    Match,
    NearMiss,
    Op,
    PatternRule,
    Savings,
    Severity,
    merge_dense,
)


class LinearDenseStack(
    PatternRule, code="FC003", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"
):
    """A dense layer follows another with no non-linearity between, so that one matrix would do.

    ## Why
    W₂(W₁x + b₁) + b₂ = (W₂W₁)x + (W₂b₁ + b₂): two linear maps compose to one. A stack n → m → k holds
    nm + mk weights, its product nk. Dropout is the identity at inference, and batch normalization a scale and a
    shift, so neither makes the stack more than linear. Most often the activation was simply forgotten: Keras's
    `Dense(64)` and PyTorch's `nn.Linear` have none.

    ## Instead
    Put an activation between the two. If the network is trained and good as it is, multiply the matrices: the
    outputs stay what they are.

    ## When not
    A narrow middle is a low-rank factorization and saves parameters when m(n + k) < nk; the rule leaves those alone
    (Sainath et al. factor the output layer of a speech network this way and shed 30 to 50% of its parameters).
    A linear stack may also train faster than its product, although it can express no more (Arora et al.): then
    keep it in training and multiply before deployment.

    ## References
    - Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
      networks", ICLR 2014.
    - Sainath et al., "Low-rank matrix factorization for deep neural network training with high-dimensional output
      targets", ICASSP 2013.
    - Arora, Cohen and Hazan, "On the Optimization of Deep Networks: Implicit Acceleration by Overparameterization",
      ICML 2018.
    """

    first, second = Op(Dense), Op(Dense)
    between = Many(Layer, where=lambda layer: layer.is_affine_per_channel)
    pattern = first >> between >> second

    def check(self, match: Match, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the parameters of both and of their product."""
        first, second = match[self.first], match[self.second]
        features = first.in_features
        if features is None or first.axis != second.axis:
            yield self.skip(first, second, reason="the two do not multiply along the same known axis")
            return
        middle, units = first.units, second.units
        both = features * middle + middle * units
        product = features * units
        if both < product:
            yield self.skip(
                first,
                second,
                reason=f"a low-rank factorization: {features} → {middle} → {units} takes {both:,} weights,"
                f" the product {product:,}",
            )
            return
        biases = units if first.use_bias or second.use_bias else 0
        held = first.parameters, second.parameters
        if held[0] is None or held[1] is None:
            yield self.skip(first, second, reason=context.unknown_weights)
            return
        now = held[0] + held[1]
        advice = Advice(
            text=f"Put an activation between {first.name} and {second.name}, or multiply their matrices",
            keras=f'keras.layers.Dense({middle}, activation="relu")',
            pytorch=f"nn.Sequential(nn.Linear({features}, {middle}), nn.ReLU(), nn.Linear({middle}, {units}))",
        )
        macs = (context.layer_macs(first) or 0) + (context.layer_macs(second) or 0)
        yield self.finding(
            first,
            second,
            message=f"No non-linearity stands between {first.name} and {second.name}: {features} → {middle} → {units}"
            f" holds {now:,} parameters, and the one matrix that it amounts to {product + biases:,}.",
            evidence={
                "parameters": now,
                "parameters_after": product + biases,
                "input_features": features,
                "middle_units": middle,
                "units": units,
            },
            advice=advice,
            savings=Savings(parameters=now - product - biases, macs=macs * (both - product) // both),
            rewritable=all(layer.is_identity_at_inference for layer in match.all(self.between)),
        )

    def rewrite(self, match: Match, editor: Editor) -> None:
        """Multiply the two matrices."""
        merge_dense(match[self.first], match[self.second], editor)

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 64 -> FC 10 -> SOFTMAX",
            at=("fc1", "fc2"),
            fixed="INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX",
        ),
        Bad("INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 64 -> DROPOUT -> FC 10", at=("fc1", "fc2")),
        Good("INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 64 -> RELU -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 512 3x3 -> RELU -> GAP -> FC 32 -> FC 1000 -> SOFTMAX"),
    )
