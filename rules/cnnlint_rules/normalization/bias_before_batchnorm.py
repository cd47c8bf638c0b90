"""BN002: a bias that the normalization after it takes away again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Conv,
    ConvTranspose,
    Dense,
    Diagnostic,
    Editor,
    Finding,
    Good,
    Match,
    NearMiss,
    Op,
    PatternRule,
    Savings,
    Severity,
    cancel_bias,
)


class BiasBeforeBatchnorm(
    PatternRule,
    code="BN002",
    severity=Severity.INFO,
    confidence=Confidence.EXACT,
    since="0.1.0",
    replaces=("conv-bias-before-norm",),
):
    """A layer adds a bias per channel that the batch normalization right after it subtracts again.

    ## Why
    BN(Wx + b) = γ(Wx + b − E[Wx + b])/σ + β = γ(Wx − E[Wx])/σ + β: the bias shifts the mean by exactly what it adds,
    its gradient is zero, and the variance does not see it. What is left for a bias to do, β does. At inference the
    moving mean holds the same shift. The parameters are few (ResNet50 in Keras has 26,560 such biases in 53
    convolutions, 0.1% of its parameters), but so is the effort: one argument.

    ## Instead
    Leave the bias out: `use_bias=False`, `bias=False`. A trained network does not change when the bias is
    subtracted from the moving mean (μ ← μ − b) and dropped.

    ## When not
    With an activation or a pooling by maximum between the two the bias is not canceled; the rule wants the
    normalization right after it. Weights that must load into a published architecture keep its biases.

    ## References
    - Ioffe and Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
      Shift", ICML 2015, section 3.2: "the bias b can be ignored since its effect will be canceled by the subsequent
      mean subtraction".
    """

    layer, norm = Op(Conv, ConvTranspose, Dense, where=lambda layer: layer.use_bias), Op(BatchNorm)
    pattern = layer >> norm

    def check(self, match: Match, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how many biases are canceled."""
        layer, norm = match[self.layer], match[self.norm]
        if norm.folded:
            yield self.skip(
                layer, norm, reason=f"of {norm.name} only a scale and a shift are left: it subtracts no mean"
            )
            return
        if norm.channel_axis != layer.channel_axis:
            yield self.skip(
                layer, norm, reason=f"{norm.name} normalizes along another axis than the channels of the bias"
            )
            return
        bias, total = layer.weight("bias"), context.parameters
        if total is None:
            yield self.skip(layer, norm, reason=context.unknown_weights)
            return
        size = None if bias is None else bias.size
        if bias is None or size is None:
            yield self.skip(layer, norm, reason="the bias is not in the file")
            return
        yield self.finding(
            layer,
            norm,
            message=f"The {size:,} biases of {layer.name} are canceled by the mean that {norm.name} subtracts"
            " right after it.",
            evidence={"parameters": size, "share": size / total},
            advice=Advice(
                text=f"Leave the bias of {layer.name} out; if it is trained, subtract it from the moving mean of"
                f" {norm.name}",
                keras="use_bias=False",
                pytorch="bias=False",
            ),
            savings=Savings(parameters=size, bytes=bias.nbytes or 0),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many biases are canceled in all."""
        size, share = (
            sum(place.evidence["parameters"] for place in places),
            sum(place.evidence["share"] for place in places),
        )
        return self.finding(
            message=f"{len(places):,} layers add {size:,} biases that the normalizations right after them cancel:"
            f" {share:.2%} of the parameters.",
            evidence={"parameters": size, "share": share},
            advice=Advice(
                text="Leave these biases out; if they are trained, subtract them from the moving means of the"
                " normalizations",
                keras="use_bias=False",
                pytorch="bias=False",
            ),
        )

    def rewrite(self, match: Match, editor: Editor) -> None:
        """Drop the bias and subtract it from the moving mean."""
        cancel_bias(match[self.layer], match[self.norm], editor)

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10",
            at=("conv1", "bn1"),
            fixed="INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN -> RELU -> GAP -> FC 10",
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 nobias -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> BN -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> POOL 2 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )
