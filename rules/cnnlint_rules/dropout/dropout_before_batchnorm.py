"""DO001: dropout ahead of a batch normalization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from cnnlint import (
    KERNEL_LAYERS,
    Activation,
    Advice,
    AvgPool,
    Bad,
    BatchNorm,
    Confidence,
    Context,
    Diagnostic,
    Dropout,
    Finding,
    GlobalPool,
    Good,
    Layer,
    MaxPool,
    ModelRule,
    NearMiss,
    Severity,
    is_nonlinear,
)


class DropoutBeforeBatchnorm(
    ModelRule, code="DO001", severity=Severity.WARNING, confidence=Confidence.HEURISTIC, since="0.1.0"
):
    """A dropout comes ahead of a batch normalization, whose statistics then do not hold at inference.

    ## Why
    A dropout of rate p sets values to zero and divides the others by 1 - p: the mean stays, and the variance becomes
    1 / (1 - p) of what it was at least, 2 times at p = 0.5. The normalization after it learns that variance for its
    moving average. At inference nothing is dropped, the variance is what it was, and the normalization divides by too
    much: every channel reaches the next layer on a scale that this never saw. Li et al. measured it: a DenseNet on
    CIFAR-100 falls from 77.42% to 68.55% with dropout of 0.5 in its blocks.

    ## Instead
    Put the dropout after the last normalization, as a rule ahead of the last dense layer only. Batch normalization
    regularizes by itself; many networks need no dropout then.

    ## When not
    With layers that learn between the two, as in `Dropout -> Dense -> BatchNorm`, the shift is averaged over many
    inputs and is weaker, but there: it is information. Wide residual networks have such dropouts and gain by them.
    Dropping whole samples (stochastic depth) is not looked at, nor is a dropout of rate 0. Keras's exporter to ONNX
    leaves dropouts out and folds normalizations, so the rule sees Keras files and what PyTorch exports in training
    mode.

    ## References
    - Li, Chen, Hu and Yang, "Understanding the Disharmony between Dropout and Batch Normalization by Variance Shift",
      CVPR 2019 (arXiv 1801.05134).
    - Nikanjam and Khomh, "Design Smells in Deep Learning Programs: An Empirical Study", ICSME 2021, "non-representative
      statistics estimation".
    - Nikanjam, Ben Braiek, Morovati and Khomh, "Automatic Fault Detection for Deep Learning Programs Using Graph
      Transformations", ACM TOSEM 31(1), 2022; their rule takes at most one activation between the two.
    - Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each dropout with the first normalization after it."""
        graph = context.graph
        if next(graph.of_kind(BatchNorm), None) is None or next(graph.of_kind(Dropout), None) is None:
            return
        behind = dict[str, _Dropped]()
        told = set[str]()
        for layer in graph.layers:
            seen = next((behind[tensor.name] for tensor in layer.inputs if tensor.name in behind), None)
            if isinstance(layer, Dropout) and layer.rate:
                if layer.per_sample:
                    yield self.skip(layer, reason="it drops whole samples: stochastic depth")
                else:
                    seen = _Dropped(layer, round(layer.rate, 6))
            elif isinstance(layer, BatchNorm) and not layer.folded:
                if seen is not None and seen.dropout.name not in told:
                    told.add(seen.dropout.name)
                    yield self._found(seen, layer)
                seen = None
            elif seen is not None:
                seen = seen.through(layer)
            if seen is not None:
                behind.update((tensor.name, seen) for tensor in layer.outputs)

    def _found(self, seen: _Dropped, norm: BatchNorm) -> Diagnostic:
        ratio = 1 / (1 - seen.rate) if seen.rate < 1 else float("inf")
        shift = f"the variance that {norm.name} learns is about {ratio:.3g} times that at inference"
        if not seen.is_direct:
            shift = f"{seen.kernels} layers with kernels between weaken it"
        return self.finding(
            seen.dropout,
            norm,
            message=f"{seen.dropout.name} (rate {seen.rate:g}) comes ahead of the normalization {norm.name}, whose"
            f" moving statistics then do not hold at inference: {shift}.",
            evidence={"rate": seen.rate, "kernels_between": seen.kernels},
            advice=Advice(
                text=f"Move {seen.dropout.name} after the last normalization, or leave it out",
                keras="layers.BatchNormalization()\nlayers.ReLU()\nlayers.Dropout(0.5)",
                pytorch="nn.BatchNorm1d(features)\nnn.ReLU()\nnn.Dropout(0.5)",
            ),
            severity=None if seen.is_direct else Severity.INFO,
        )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Return how many dropouts come ahead of normalizations."""
        most = max(place.evidence["rate"] for place in places)
        return self.finding(
            message=f"{len(places):,} dropouts of a rate of up to {most:g} come ahead of normalizations, whose moving"
            " statistics then do not hold at inference.",
            evidence={"dropouts": len(places), "rate": most},
            advice=Advice(text="Keep dropout for after the last normalization"),
        )

    examples = (
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> DROPOUT 0.5 -> BN -> GAP -> FC 10 -> SOFTMAX",
            at=("dropout1", "bn1"),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> DROPOUT 0.3 -> RELU -> BN -> GAP -> FC 10 -> SOFTMAX",
            at=("dropout1", "bn1"),
        ),
        Bad(
            "INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> DROPOUT 0.3 -> CONV 16 3x3 -> BN -> RELU -> GAP -> FC 10",
            at=("dropout1", "bn2"),
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> BN -> RELU -> GAP -> DROPOUT 0.5 -> FC 10 -> SOFTMAX"),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> DROPOUT 0.5 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


class _Dropped(Struct, frozen=True):
    """A dropout that values have passed, and what they have passed since.

    Attributes:
        dropout: The last one.
        rate: Its rate.
        activations: Functions since.
        kernels: Layers that learn a kernel since.
        others: Whether there was anything else but views and poolings.
    """

    dropout: Dropout
    rate: float
    activations: int = 0
    kernels: int = 0
    others: bool = False

    @property
    def is_direct(self) -> bool:
        """Whether at most one activation lies between."""
        return not self.kernels and not self.others and self.activations <= 1

    def through(self, layer: Layer) -> _Dropped:
        """Return the same after `layer`."""
        if layer.is_view or isinstance(layer, MaxPool | AvgPool | GlobalPool):
            return self
        counts = (self.activations + is_nonlinear(layer), self.kernels + isinstance(layer, KERNEL_LAYERS))
        known = isinstance(layer, (Activation, *KERNEL_LAYERS))
        return _Dropped(self.dropout, self.rate, *counts, others=self.others or not known)
