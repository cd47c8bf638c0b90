"""RT004: a sample's output depends on the other samples of its batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Dropout,
    Good,
    NearMiss,
    Probe,
    RuntimeCheckError,
    RuntimeRule,
    Severity,
    outcome,
    sample_error,
    tolerance,
    traced,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cnnlint import Layer

    Values = Mapping[str, NDArray[Any]]


RANGED = frozenset({"ConvInteger", "DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulInteger"})
"""Operators after a dynamic quantization, which takes one range for all samples of a batch."""

QUANTIZED = Advice(
    text="Where samples must not affect one another, quantize statically, with ranges from calibration data"
)
TRAINING = Advice(
    text="Export the model in inference mode", keras="model(inputs, training=False)", pytorch="model.eval()"
)


class BatchDependence(RuntimeRule, code="RT004", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A sample's output depends on the other samples of its batch.

    ## Why
    At inference, samples are independent. A BatchNorm that was exported in training mode normalizes by the
    statistics of the current batch, so a result changes with the rest of the batch, and a batch of one is the worst.
    A Reshape that mixes axes, or a mean or a softmax over the batch axis, does the same.

    The first sample of a seeded batch of two is run again alone, or, if the batch is fixed, with another second
    sample, and its outputs and the values before a softmax are compared, with room for rounding. A network
    whose every layer is known to treat samples one by one is spared the second run.

    ## Instead
    Export in inference mode: `model.eval()` in PyTorch, `training=False` in Keras. For other causes look at the
    layer that the finding names, the first at which the two runs differ.

    ## When not
    Networks that relate the samples of a batch on purpose, such as contrastive losses inside the graph. Dynamic
    quantization takes the range of a whole batch by its nature: that is information.

    ## References
    - Ioffe and Szegedy, "Batch Normalization", ICML 2015, section 3.1: inference uses population statistics, so that
      the output depends only on the input.
    """

    def check(self, probe: Probe, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the outputs that differ, and the layer where that begins."""
        if probe.is_batch_invariant:
            yield self.skip(reason="every layer treats each sample by itself, so the second run was spared")
            return
        try:
            run, again = probe.run(), probe.again()
        except RuntimeCheckError as error:
            yield self.skip(reason=f"there are no two runs to compare: {error.cause}")
            return
        if again is None:
            yield self.skip(reason="the model takes one sample at a time")
            return
        batch, other = run.extents.batch or 1, again.extents.batch or 1
        bounded = {name for tail in probe.tails if tail.bounded for name in (tail.output, tail.probabilities)}
        scales = dict.fromkeys(bounded, 1.0)
        names = [*(value.name for value in probe.outputs), *(tail.logits for tail in probe.tails)]
        errors = {name: _excess(name, run.values, again.values, (batch, other), scales) for name in names}
        worst = {name: error for name, error in errors.items() if error is not None}
        if not worst:
            return
        layer = _first_difference(probe, (batch, other), scales)
        ranged = layer is not None and any(part.op in RANGED for part in layer.origin)
        why = ", whose input is quantized by the range of the whole batch" if ranged else ""
        start = f"; that begins at {layer.name} ({layer.kind}){why}" if layer else ""
        drop = next((drop for drop in probe.graph.of_kind(Dropout) if drop.training and drop.rate), None)
        start += f"; {drop.name} also drops other values in each run" if drop else ""
        company = f"alone as in a batch of {batch}" if other == 1 else "with some samples as with others"
        output = max(worst, key=lambda name: worst[name])
        yield self.finding(
            *((layer,) if layer else ()),
            message=f"{output} is not the same for a sample {company}: off by"
            f" {worst[output]:.2g}{'' if output in scales else ' of the largest value'} ({run.conditions}){start}.",
            evidence={"relative_error": worst[output], "batch": batch},
            advice=QUANTIZED if ranged else TRAINING,
            severity=Severity.INFO if ranged else None,
        )

    examples = (
        Bad(
            """<ir_version: 8, opset_import: ["": 15]>
            training (float[N,2,4,4] x) => (float[N,2,4,4] y)
            <float[2] s = {1, 1}, float[2] b = {0, 0}, float[2] m = {0, 0}, float[2] v = {1, 1}>
            { y, mean, variance = BatchNormalization<training_mode = 1>(x, s, b, m, v) }""",
            at=("y",),
        ),
        Good(
            """<ir_version: 8, opset_import: ["": 15]>
            inference (float[N,2,4,4] x) => (float[N,2,4,4] y)
            <float[2] s = {1, 1}, float[2] b = {0, 0}, float[2] m = {0, 0}, float[2] v = {1, 1}>
            { y = BatchNormalization(x, s, b, m, v) }"""
        ),
    )


def _excess(
    name: str, first: Values, again: Values, batches: tuple[int, int], scales: Mapping[str, float]
) -> float | None:
    """Return the relative error where it is more than rounding comes to; None where it is not, or there is none."""
    error = sample_error(first[name], again[name], *batches, scale=scales.get(name))
    return error if error is not None and error > tolerance(first[name]) else None


def _first_difference(probe: Probe, batches: tuple[int, int], scales: Mapping[str, float]) -> Layer | None:
    first, again = traced(probe), traced(probe, again=True)
    if first is None or again is None:
        return None
    for layer in probe.graph.layers:
        name = outcome(layer)
        if name in first and name in again and _excess(name, first, again, batches, scales) is not None:
            return layer
    return None
