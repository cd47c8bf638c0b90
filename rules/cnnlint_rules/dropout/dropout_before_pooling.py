"""DO002: dropout ahead of a maximum pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from cnnlint import (
    Activation,
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Dropout,
    Finding,
    GlobalPool,
    Good,
    Layer,
    Match,
    MaxPool,
    Maybe,
    NearMiss,
    Op,
    PatternRule,
    Severity,
)


def _takes_maximum(layer: Layer) -> bool:
    return not isinstance(layer, GlobalPool) or layer.mode == "max"


class DropoutBeforePooling(
    PatternRule, code="DO002", severity=Severity.INFO, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A dropout comes right ahead of a maximum pooling, which undoes most of it.

    ## Why
    The pooling takes the largest value of a window, and drops the others anyway. Where the largest is dropped, the next
    one takes its place; of a window of four, all are dropped at a rate of 0.5 in 6% of the cases only. What is left is
    divided by 1 - p, so the maxima are larger in training than at inference. The dropout regularizes little, and shifts
    what the next layer learns to expect.

    ## Instead
    Pool first and drop then. On maps, `SpatialDropout2D` (`nn.Dropout2d`) drops whole channels; single values of a map
    are told by their neighbors.

    ## When not
    Dropping ahead of the pooling is stochastic pooling of a kind (Wu and Gu call it max-pooling dropout, and measured
    gains on small nets). Average poolings and dropouts of whole channels are not reported.

    ## References
    - Nikanjam and Khomh, "Design Smells in Deep Learning Programs: An Empirical Study", ICSME 2021, "useless dropout".
    - Tompson et al., "Efficient Object Localization Using Convolutional Networks", CVPR 2015.
    - Wu and Gu, "Towards Dropout Training for Convolutional Neural Networks", Neural Networks 71, 2015.
    """

    dropout = Op(Dropout)
    pool = Op(MaxPool, GlobalPool, where=_takes_maximum)
    pattern = dropout >> Maybe(Activation) >> pool

    def check(self, match: Match, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how seldom a window is dropped."""
        dropout, pool = match[self.dropout], match[self.pool]
        if not dropout.rate or dropout.spatial or dropout.per_sample:
            yield self.skip(dropout, pool, reason="it drops whole channels or samples, or nothing")
            return
        extents = pool.pool_size if isinstance(pool, MaxPool) else pool.input.spatial or ()
        sizes = [extent for extent in extents if isinstance(extent, int)]
        if not sizes or len(sizes) != len(extents):
            yield self.skip(dropout, pool, reason="how large the window is, is not known")
            return
        window = prod(sizes)
        share = dropout.rate**window
        yield self.finding(
            dropout,
            pool,
            message=f"{pool.name} takes the largest of {window:,} values, of which {dropout.name} drops all in"
            f" {share:.2g} of the cases: the next largest takes the place of what is dropped.",
            evidence={"rate": round(dropout.rate, 6), "window": window, "share_dropped": share},
            advice=Advice(
                text=f"Put {dropout.name} after {pool.name}",
                keras="layers.MaxPooling2D()\nlayers.Dropout(0.25)",
                pytorch="nn.MaxPool2d(2)\nnn.Dropout(0.25)",
            ),
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many dropouts come ahead of poolings."""
        return self.finding(
            message=f"{len(places):,} dropouts come right ahead of maximum poolings, which take the next largest value"
            " for what is dropped.",
            evidence={"dropouts": len(places)},
            advice=Advice(text="Put each of them after its pooling"),
        )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> DROPOUT 0.5 -> POOL 2 -> GAP -> FC 10 -> SOFTMAX",
            at=("dropout1", "pool1"),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> DROPOUT 0.25 -> RELU -> POOL 2 -> GAP -> FC 10 -> SOFTMAX",
            at=("dropout1", "pool1"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> POOL 2 -> DROPOUT 0.5 -> GAP -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> DROPOUT 0.5 -> AVGPOOL 2 -> GAP -> FC 10 -> SOFTMAX"),
    )
