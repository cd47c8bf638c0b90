"""WT005: weights that half precision cannot hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    KERNEL_LAYERS,
    Advice,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Diagnostic,
    Finding,
    Good,
    Layer,
    ModelRule,
    NearMiss,
    Severity,
)

LARGEST = 65_504.0
"""The largest finite fp16."""

VANISHES = 2.0**-25
"""Half of the smallest fp16, 2⁻²⁴: what is not above it is rounded to zero."""


class BeyondFp16(
    ModelRule,
    code="WT005",
    severity=Severity.INFO,
    confidence=Confidence.EXACT,
    reads_values=True,
    since="0.1.0",
):
    """Weights lie outside the range of fp16, so that a conversion to half precision makes them infinite or zero.

    ## Why
    fp16 has five bits of exponent: its largest number is 65,504, its smallest 2⁻²⁴ ≈ 6e-8. A larger weight becomes
    infinite, and the first zero that it meets makes NaN of it; converters clip it in silence. Single weights that
    become zero do no harm, and every trained network has some; where the largest weight of most filters becomes zero,
    the layer as a whole is lost, although a normalization after it may have made up for so small weights. The rule
    looks at kernels, biases, γ and β; variances are left out, which runtimes fold before they convert.

    ## Instead
    Fold the batch normalization into the kernel before the conversion, which brings scales of both kinds back to about
    one. Move a scale between two layers: multiply one kernel by s and divide the next by s, which a ReLU between them
    lets through. Divide inputs by 255 rather than let the first layers learn it. Or keep the layer in float32, or take
    bfloat16, which has the exponents of float32.

    ## When not
    A network that is never run in half precision.

    ## References
    - IEEE 754-2019, binary16.
    - Micikevicius et al., "Mixed Precision Training", ICLR 2018.
    - Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019: moving scales
      from layer to layer.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the weights of each layer that fp16 cannot hold."""
        import numpy as np

        values, seen = context.weight_values, set[str]()
        for layer in context.graph.of_kind(*KERNEL_LAYERS, BatchNorm):
            for weight in layer.weights:
                found = values.of(weight)
                if found is None or found.first or weight.key in seen or weight.role.startswith("moving"):
                    continue
                seen.add(weight.key)
                sizes = found.largest
                if sizes.max() > LARGEST:
                    yield self._diagnosed(layer, weight.role, float(sizes.max()), "infinite")
                nonzero = sizes[sizes > 0]
                if found.by_channel and len(nonzero):
                    median = float(np.sort(nonzero)[len(nonzero) // 2])
                    if median <= VANISHES:
                        yield self._diagnosed(layer, weight.role, median, "zero")

    def _diagnosed(self, layer: Layer, role: str, size: float, becomes: str) -> Diagnostic:
        what, bound = f"The {role.replace('_', ' ')} of {layer.name} holds", "the largest fp16 is 65,504"
        if becomes == "zero":
            what, bound = (
                f"The largest weight is in half of the filters of {layer.name} at most",
                "the smallest fp16 is 6e-8",
            )
        return self.finding(
            layer,
            message=f"{what} {size:.3g}, which becomes {becomes} in half precision: {bound}.",
            evidence={"magnitude": size},
            advice=_ADVICE,
            subject=f"{role} {becomes}",
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many weights fp16 cannot hold."""
        sizes = [place.evidence["magnitude"] for place in places]
        return self.finding(
            message=f"{len(places):,} weights lie outside the range of fp16, 6e-8 to 65,504: they reach from"
            f" {min(sizes):.3g} to {max(sizes):.3g}.",
            evidence={"magnitude": max(sizes), "smallest_magnitude": min(sizes)},
            advice=_ADVICE,
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,1,8,8] x) => (float[N,2,8,8] y)
            <float[2,1,1,1] kernel = {1.0, -0.5}, float[2] bias = {0.0, 70000.0}>
            {
                y = Conv(x, kernel, bias)
            }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,1,8,8] x) => (float[N,2,8,8] y)
            <float[2,1,1,1] kernel = {2e-9, -1e-9}>
            {
                y = Conv(x, kernel)
            }
            """,
            at=("y",),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


_ADVICE = Advice(
    text="Fold normalizations before the conversion to fp16, and where that is not enough keep these layers in float32",
    keras='keras.layers.Conv2D(..., dtype="float32")',
    pytorch='with torch.autocast("cuda", dtype=torch.bfloat16): ...  # the exponents of float32',
)
