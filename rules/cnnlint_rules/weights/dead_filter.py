"""WT002: filters whose channel is the same for every input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from msgspec import Meta

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Filters,
    Finding,
    Good,
    ModelRule,
    NearMiss,
    Savings,
    Severity,
    added_up,
    filters,
    shown_channels,
    shown_held,
)


class DeadFilter(
    ModelRule,
    code="WT002",
    severity=Severity.INFO,
    confidence=Confidence.HEURISTIC,
    reads_values=True,
    since="0.1.0",
):
    """Filters of a layer give the same for every input: their weights are zero, or a ReLU lets nothing of them through.

    ## Why
    A filter of zeros gives its bias at every position. A channel to which a batch normalization gives the mean β and
    the standard deviation |γ| is zero after the ReLU until it rises above its mean by −β: with β ≤ −10 |γ| that takes a
    value ten standard deviations from the mean, which by Chebyshev's inequality is at most one in a hundred, and for
    the bell shapes of real maps none. A filter whose weights, the normalization folded in, are less than a rounding
    error of float32 (6e-8) beside the largest of its layer adds nothing that counts. Little or no gradient passes
    through any of these, so they stay dead: weight decay shrinks γ and the kernel further, and a learning rate that is
    too high pushed β far below zero. They cost parameters and multiply-accumulates like all others. Of the 4,416
    filters in ten layers of the text detector PP-OCRv6 small, as it is published for ONNX, 826 are dead; they hold 12%
    of its parameters. The rule is a warning where they hold a tenth of the network's.

    ## Instead
    Remove them, with the slices of the next layer's kernel that read them; a bias that remains goes into the next
    layer's bias (exactly so where that layer does not pad with zeros). The network computes the same as before, but for
    rounding. To keep them alive in the next training: a lower learning rate or a warm-up, leaky ReLU, no weight decay
    on γ and β.

    ## When not
    Filters that were pruned by zeros on purpose are removed by the tool that set them, at export. Fixed filters may be
    zero by definition: the imaginary part of a Fourier transform at its first frequency. A residual branch may begin
    with γ = 0 in its last normalization, ahead of the sum; no ReLU follows there, and the rule is silent. So it is
    where all filters of a layer are zero, which is [constant-kernel](WT007.md).

    ## References
    - Lu et al., "Dying ReLU and Initialization: Theory and Numerical Examples", 2019, arXiv:1903.06733.
    - Mehta, Paek and Rastegari, "On Implicit Filter Level Sparsity in Convolutional Neural Networks", CVPR 2019: what
      Adam with L2 regularization does to filters.
    - Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017: γ as what to prune
      by.
    """

    deviations: Annotated[
        float,
        Meta(description="Standard deviations by which β must lie below zero for a channel to count as dead.", ge=1),
    ] = 10
    warn_from: Annotated[
        float,
        Meta(description="Share of the network's parameters, 0 to 1, from which it is a warning.", ge=0, le=1),
    ] = 0.1

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the dead filters of each layer."""
        found, total = list[tuple[Filters, dict[str, tuple[int, ...]]]](), 0
        for each in filters(context):
            dead = {
                "all weights are zero": each.zero,
                f"a ReLU gives zero up to {self.deviations:g} deviations from the mean": each.silent(self.deviations),
                "the weights are below 6e-8 of the layer's largest": each.faded,
            }
            count = len(_all(dead))
            if len(each.zero) == each.count:
                yield self.skip(each.layer, reason="all of its filters are zero, which WT007 reports")
            elif count == each.count and each.gamma is not None and not each.gamma.any():
                yield self.skip(each.layer, reason="the norm after it has γ = 0 for all channels, as branches begin")
            elif count:
                found.append((each, dead))
                total += count * each.parameters
        severity = Severity.WARNING if total >= self.warn_from * (context.parameters or total) else None
        for each, dead in found:
            yield self._diagnosed(each, dead, severity, context)

    def _diagnosed(
        self, each: Filters, by_reason: Mapping[str, Sequence[int]], severity: Severity | None, context: Context
    ) -> Diagnostic:
        layer, count = each.layer, len(_all(by_reason))
        held = each.held(count, context)
        reasons = [(why, channels) for why, channels in by_reason.items() if channels]
        why = ", and ".join(f"{why} at {shown_channels(channels)}" for why, channels in reasons)
        return self.finding(
            layer,
            message=f"{count:,} of {each.count:,} filters of {layer.name} {'is' if count == 1 else 'are'} dead"
            f" ({count / each.count:.1%}): {why}. {'It holds' if count == 1 else 'They hold'}"
            f" {shown_held(held)}.",
            evidence={
                "dead": count,
                "zero": len(each.zero),
                "filters": each.count,
                "share": count / each.count,
                **held,
            },
            advice=Advice(
                text=f"Remove these filters of {layer.name}, and what reads them in the next layer:"
                f" {each.count - count:,} of its filters do the same",
                keras="kernel, bias = layer.get_weights()\n"
                "alive = np.abs(kernel).reshape(-1, kernel.shape[-1]).max(axis=0) > 0",
                pytorch="alive = conv.weight.abs().amax(dim=(1, 2, 3)) > 0\n"
                "conv.weight.data, conv.bias.data = conv.weight[alive], conv.bias[alive]",
            ),
            savings=Savings(**held),
            severity=severity,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many filters are dead in all, and what they hold."""
        evidence = added_up(places)
        dead, count = evidence["dead"], evidence["filters"]
        worst = max(places, key=lambda place: place.evidence["share"])
        return self.finding(
            message=f"{dead:,} of {count:,} filters in {len(places):,} layers are dead ({dead / count:.1%}), the"
            f" largest share in {worst.layers[0]} ({worst.evidence['dead']:,} of {worst.evidence['filters']:,}); they"
            f" hold {shown_held(evidence)}.",
            evidence=evidence | {"share": dead / count},
            advice=Advice(
                text="Remove these filters, and what reads them in the next layers; the network computes the same."
                " Places name the channels"
            ),
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,1,8,8] x) => (float[N,3,8,8] y)
            <float[3,1,1,1] kernel = {0.7, 0.0, -0.4}, float[3] bias = {0.0, 0.5, 0.1}>
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
            <float[2,1,1,1] kernel = {0.7, -0.4}, float[2] gamma = {1.0, 0.001}, float[2] beta = {0.1, -0.8},
             float[2] mean = {0.0, 0.0}, float[2] variance = {1.0, 1.0}>
            {
                maps = Conv(x, kernel)
                normed = BatchNormalization(maps, gamma, beta, mean, variance)
                y = Relu(normed)
            }
            """,
            at=("maps",),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


def _all(by_reason: Mapping[str, Sequence[int]]) -> set[int]:
    return {channel for channels in by_reason.values() for channel in channels}
