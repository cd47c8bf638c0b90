"""WT004: a moving variance that no activations have: negative, zero or denormal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import sqrt

from cnnlint import (
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Diagnostic,
    Finding,
    Good,
    LayerRule,
    NearMiss,
    Severity,
    added_up,
    shown_channels,
)

SMALLEST_NORMAL = 2.0**-126
"""The smallest float32 with all digits; below it numbers lose them one by one (IEEE 754)."""


class DegenerateVariance(
    LayerRule[BatchNorm],
    code="WT004",
    severity=Severity.INFO,
    confidence=Confidence.EXACT,
    reads_values=True,
    since="0.1.0",
):
    """A batch normalization holds moving variances that are negative, zero or denormal.

    ## Why
    At inference the layer multiplies each channel by γ / √(σ² + ε). A variance is a mean of squares: a negative one was
    written by something else than training (weights loaded in the wrong order, the mean and the variance swapped, a
    damaged file), and where σ² + ε is not above zero the output is NaN or infinite: an error; else a warning. A
    variance of zero, or below 2⁻¹²⁶ (denormal), says that the channel had one value throughout training: the filter
    ahead of it is dead. Whatever it gives at inference that differs from that value, by rounding, in half precision or
    in int8, is multiplied by γ/√ε: 316 γ for ε = 1e-5. Denormals are also computed slowly on many processors, and
    flushed to zero on others. Where all variances of a layer are zero the statistics were never collected, which is a
    warning.

    ## Instead
    Load the statistics in the framework's order (γ, β, mean, variance in Keras and ONNX; PyTorch names them). Run a few
    hundred batches in training mode to collect them anew. Remove channels that are dead.

    ## When not
    Single zero variances are common in pretrained networks with dead channels (MobileNet), and harmless as long as the
    network runs in float32; hence information.

    ## References
    - Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1.
    - Sheng et al., "A Quantization-Friendly Separable Convolution for MobileNets", EMC2 2018: channels of zero variance
      get a huge scale when the normalization is folded, and ruin the 8-bit model.
    """

    def check(self, layer: BatchNorm, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the channels whose variance is none."""
        found = context.weight_values.of(layer.weight("moving_variance"))
        if layer.training or found is None or found.vector is None or found.first:
            return
        variance, epsilon = [float(each) for each in found.vector], layer.epsilon or 0.0
        negative = [channel for channel, each in enumerate(variance) if each < 0]
        broken = [channel for channel, each in enumerate(variance) if each + epsilon <= 0]
        flat = [channel for channel, each in enumerate(variance) if 0 <= each < SMALLEST_NORMAL]
        all_flat = len(flat) == len(variance)
        if not negative and not broken and not flat:
            return
        evidence = {"negative": len(negative), "broken": len(broken), "flat": len(flat), "channels": len(variance)}
        if broken:
            message = (
                f"In {len(broken):,} of {len(variance):,} channels of {layer.name} the variance plus ε = {epsilon:g} is"
                f" not above zero, so that the output is NaN or infinite ({shown_channels(broken)})."
            )
            severity = Severity.ERROR
        elif negative:
            message = (
                f"{len(negative):,} of {len(variance):,} moving variances of {layer.name} are negative, down to"
                f" {min(variance):.3g} ({shown_channels(negative)}), which no training gives."
            )
            severity = Severity.WARNING
        else:
            gain = 1 / sqrt(epsilon + min(variance))
            which = "All" if all_flat else f"{len(flat):,} of"
            message = (
                f"{which} {len(variance):,} moving variances of {layer.name} are zero or denormal"
                f"{'' if all_flat else f' ({shown_channels(flat)})'}: whatever differs from the mean there is"
                f" multiplied by {gain:,.0f} γ."
            )
            severity = Severity.WARNING if all_flat else None
        yield self.finding(layer, message=message, evidence=evidence, severity=severity, advice=_ADVICE)

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many variances are none in all."""
        total = added_up(places)
        counts = (("broken", "not above −ε"), ("negative", "negative"), ("flat", "zero or denormal"))
        told = ", ".join(f"{total[name]:,} {words}" for name, words in counts if total[name])
        return self.finding(
            message=f"Of {total['channels']:,} moving variances in {len(places):,} normalizations there are {told}.",
            evidence={name: total[name] for name in ("negative", "broken", "flat", "channels")},
            advice=_ADVICE,
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,2,8,8] x) => (float[N,2,8,8] y)
            <float[2] gamma = {1.0, 1.0}, float[2] beta = {0.1, -0.8},
             float[2] mean = {0.0, 0.0}, float[2] variance = {1.0, 0.0}>
            {
                y = BatchNormalization(x, gamma, beta, mean, variance)
            }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,2,8,8] x) => (float[N,2,8,8] y)
            <float[2] gamma = {1.0, 1.0}, float[2] beta = {0.1, -0.8},
             float[2] mean = {0.0, 0.0}, float[2] variance = {1.0, -0.5}>
            {
                y = BatchNormalization(x, gamma, beta, mean, variance)
            }
            """,
            at=("y",),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


_ADVICE = Advice(
    text="Check that mean and variance were loaded in the right order; if so, collect the statistics anew, or remove"
    " the channels, which never vary",
    keras="for batch in data.take(300):\n    model(batch, training=True)  # updates the moving statistics",
    pytorch="model.train()\nwith torch.no_grad():\n    for batch in data: model(batch)  # updates the statistics",
)
