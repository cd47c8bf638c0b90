"""WT003: filters of one layer that compute the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Dense,
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


class DuplicateFilter(
    ModelRule,
    code="WT003",
    severity=Severity.INFO,
    confidence=Confidence.EXACT,
    reads_values=True,
    since="0.1.0",
):
    """Filters of a layer have the same weights and the same bias, so that they compute the same map twice.

    ## Why
    Of two filters with equal values one is enough: the next layer, which sums over channels, does the same with one of
    them when the weights by which it reads both are added up. Training does not make equal filters out of different
    ones. They come from an initialization that made them equal, since equal filters whose outputs are weighted alike
    get the same gradients for ever; from a layer that was widened by copies (Net2Net); or from weights that were
    converted twice into one tensor.

    ## Instead
    Keep one of each group, and add up the slices of the next layer's kernel that read the others: the network computes
    the same. To train it further, initialize the copies anew, or add noise, as Net2Net does, so that they part.

    ## When not
    Where the copies are to part in the next training, as after Net2Net. Filters in different groups of a convolution
    read different channels and are not compared.

    ## References
    - Chen, Goodfellow and Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016, section 2.2.
    - Goodfellow, Bengio and Courville, "Deep Learning", MIT Press 2016, section 8.4: initialization must break the
      symmetry.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the filters of each layer that others repeat."""
        for each in filters(context):
            groups = [part for parts in self._groups(each, context) for part in parts]
            if groups:
                yield self._diagnosed(each, groups, context)

    @staticmethod
    def _groups(each: Filters, context: Context) -> Iterator[list[list[int]]]:
        """Yield each set of filters with equal kernels, parted by their bias and by the channels that they read."""
        layer, bias = each.layer, context.weight_values.of(each.layer.weight("bias"))
        vector = None if bias is None or bias.vector is None or len(bias.vector) != each.count else bias.vector
        width = each.count // (layer.groups if not isinstance(layer, Dense) else 1)
        if layer.weight("bias") is not None and vector is None:
            return
        for found in context.weight_values.identical_channels(each.kernel):
            parts = dict[tuple[int, float], list[int]]()
            for channel in found:
                key = channel // width, 0.0 if vector is None else float(vector[channel])
                parts.setdefault(key, []).append(channel)
            yield [part for part in parts.values() if len(part) > 1]

    def _diagnosed(self, each: Filters, groups: Sequence[Sequence[int]], context: Context) -> Diagnostic:
        layer, extra = each.layer, sum(len(group) - 1 for group in groups)
        held = each.held(extra, context)
        first = shown_channels(groups[0])
        more = f" and {len(groups) - 1:,} more groups" if len(groups) > 1 else ""
        return self.finding(
            layer,
            message=f"{extra:,} of {each.count:,} filters of {layer.name} repeat others weight by weight"
            f" ({first}{more}); they hold {shown_held(held)}.",
            evidence={"repeated": extra, "filters": each.count, "groups": len(groups), **held},
            advice=Advice(
                text="Keep one filter of each group, and add up the slices of the next layer's kernel that read them;"
                " or initialize the copies anew and train on",
                keras="_, first = np.unique(kernel.reshape(-1, kernel.shape[-1]), axis=1, return_index=True)",
                pytorch="kept, group = conv.weight.flatten(1).unique(dim=0, return_inverse=True)",
            ),
            savings=Savings(**held),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many filters repeat others in all."""
        evidence = added_up(places)
        return self.finding(
            message=f"{evidence['repeated']:,} of {evidence['filters']:,} filters in {len(places):,} layers repeat"
            f" others of their layer weight by weight; they hold {shown_held(evidence)}.",
            evidence=evidence,
            advice=Advice(
                text="Keep one filter of each group, and add up the slices of the next layer's kernel that read them;"
                " or initialize the copies anew and train on"
            ),
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,2,8,8] x) => (float[N,3,8,8] y)
            <float[3,2,1,1] kernel = {0.7, -0.2, 0.1, 0.3, 0.7, -0.2}>
            {
                y = Conv(x, kernel)
            }
            """,
            at=("y",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,2,8,8] x) => (float[N,3,8,8] y)
            <float[3,2,1,1] kernel = {0.7, -0.2, 0.1, 0.3, 0.7, -0.2}, float[3] bias = {0.0, 0.0, 1.0}>
            {
                y = Conv(x, kernel, bias)
            }
            """
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["": 17]>
            net (float[N,2,8,8] x) => (float[N,2,6,8] y)
            <float[2,1,3,1] blur = {0.25, 0.5, 0.25, 0.25, 0.5, 0.25}>
            {
                y = Conv <group = 2> (x, blur)
            }
            """
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )
