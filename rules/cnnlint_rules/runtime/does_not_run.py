"""RT001: onnxruntime cannot run the model."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    DISTRIBUTIONS,
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Failure,
    Good,
    NearMiss,
    Probe,
    Refusal,
    RuntimeCheckError,
    RuntimeRule,
    SessionError,
    Severity,
    distribution,
)


class DoesNotRun(RuntimeRule, code="RT001", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """onnxruntime does not load the model, or cannot run it.

    ## Why
    A file can be well formed and still be no program: a Reshape that does not fit, operands of different types, a
    batch of one baked into a graph that declares any batch. Nothing shows it but a run.

    The model runs on the CPU with graph optimization off, on seeded inputs: standard normal for floating types, all 1
    for whole numbers, the whole range for bytes. An open batch is 2, open heights and widths are 224, then 256 and
    64 if that fails; `--input NAME=1x3x512x512` sets them.

    ## Instead
    Follow the node that the message names back to the exporter, and export again.

    ## When not
    A model with operators of your own needs your library, which cnnlint does not load: that is a warning, and so is
    a type or an operator set that the installed onnxruntime lacks, and an open batch that only works with one sample.
    A run that fails on extents or whole numbers that cnnlint made up says nothing about the model: that is
    information, with the `--input` that it takes.

    ## References
    - ONNX, "Open Neural Network Exchange Intermediate Representation Specification".
    - onnxruntime, "ONNX Runtime compatibility".
    """

    explains = (("ON012", ""),)

    def check(self, probe: Probe, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield why it does not load, or does not run, or only with some of the shapes that it declares."""
        if (error := probe.load_error) is not None:
            yield self._finding("load", error, "", {"nodes": len(probe.program.record.graph.nodes)})
            return
        try:
            run = probe.run()
        except SessionError as error:
            first, tried = probe.failures[0], {"shapes_tried": len(probe.failures)}
            yield self._finding("run", error, f" ({first.conditions})", tried, guessed=_what_to_give(probe, first))
            return
        except RuntimeCheckError as error:
            yield self.skip(reason=f"it was not run: {error.cause}")
            return
        failed = next((each for each in probe.failures if each.extents.batch != run.extents.batch), None)
        if failed is not None and not run.extents.guessed:
            yield self.finding(
                message=f"The batch is declared open, but onnxruntime runs a batch of {run.extents.batch} and not one"
                f" of {failed.extents.batch}: {failed.error.cause}.",
                evidence={"batch": failed.extents.batch or 0},
                advice=Advice(text="Export with a dynamic batch throughout, or declare the batch as fixed"),
                severity=Severity.WARNING,
                subject="batch",
            )

    def _finding(
        self, verb: str, error: SessionError, conditions: str, evidence: dict[str, int], *, guessed: str = ""
    ) -> Diagnostic:
        text, severity = "Correct the export", self.severity
        if guessed:
            text, severity = guessed, Severity.INFO
        if error.refusal is Refusal.UNSUPPORTED:
            text = "Check with the onnxruntime that the model is meant for, or ignore RT001 for this model"
            severity = Severity.WARNING
        return self.finding(
            message=f"onnxruntime {error.version} does not {verb} it{conditions}: {error.cause.rstrip('.')}.",
            evidence=evidence,
            advice=Advice(text=text),
            severity=severity,
            subject=verb,
        )

    examples = (
        Bad(
            """<ir_version: 8, opset_import: ["": 15]>
            broken (float[N,3,4,4] x) => (float[M,7] y) <int64[2] shape = {-1, 7}> { y = Reshape(x, shape) }""",
            at=(),
        ),
        Bad(
            """<ir_version: 8, opset_import: ["": 15]>
            one_sample (float[N,3,4,4] x) => (float[N,48] y) <int64[2] shape = {1, 48}> { y = Reshape(x, shape) }""",
            at=(),
        ),
        Good(
            """<ir_version: 8, opset_import: ["": 15]>
            sound (float[N,3,4,4] x) => (float[N,48] y) <int64[2] shape = {-1, 48}> { y = Reshape(x, shape) }"""
        ),
    )


def _what_to_give(probe: Probe, failure: Failure) -> str:
    """Return what the user can say of the inputs so that nothing is made up; "" where nothing was."""
    if failure.extents.guessed:
        shapes = " ".join(f"--input {name}={text}" for name, text in _open_shapes(probe, failure))
        return f"Give the extents that the network expects in place of {', '.join(failure.extents.guessed)}: {shapes}"
    if any(distribution(value.dtype) == DISTRIBUTIONS["int"] for value in probe.inputs):
        return "Whole numbers are all fed as 1, which may be no index, size or flag that this network takes"
    return ""


def _open_shapes(probe: Probe, failure: Failure) -> Iterator[tuple[str, str]]:
    """Yield each input with open extents and its shape as `--input` takes it, "N" where an extent is to be filled in.

    The number that was tried stands where it was not a guess: the batch, or what another input says.
    """
    for value in probe.inputs:
        shape, fed = value.shape or (), failure.extents.shapes[value.name]
        guessed = {entry.partition("=")[0] for entry in failure.extents.guessed}
        names = [f"{value.name}.{dim or f'axis {axis}'}" for axis, dim in enumerate(shape)]
        if guessed.intersection(names):
            axes = zip(names, shape, fed, strict=True)
            yield value.name, "x".join(str(dim or "N") if name in guessed else str(size) for name, dim, size in axes)
