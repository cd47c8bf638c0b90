"""ON001: operators that the operator set of the file does not have."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Call,
    Confidence,
    Context,
    Diagnostic,
    FileContext,
    FileRule,
    Good,
    NearMiss,
    Severity,
    history,
)

STANDARD = ("", "ai.onnx.ml")
"""Domains whose operators are all in the standard."""

REPLACED = {
    "GroupNormalization": "GroupNormalization of opset 21",
    "Scatter": "ScatterElements",
    "TreeEnsembleClassifier": "TreeEnsemble",
    "TreeEnsembleRegressor": "TreeEnsemble",
    "Upsample": "Resize",
}
"""What the standard has in the place of operators that it removed."""

EXPERIMENTS = frozenset(
    {
        "ATen", "Affine", "ConstantFill", "Crop", "DynamicSlice", "GRUUnit", "GivenTensorFill", "ImageScaler",
        "ParametricSoftplus", "Scale", "ScaledTanh",
    }
)  # fmt: skip
"""Operators that ONNX once had on trial; its checker lets them pass and warns."""


class OperatorNotInOpset(FileRule, code="ON001", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A node calls an operator that the operator set named by the file does not have.

    ## Why
    A file names the version of the operator set that it is written in, and each version has its own list of operators.
    What is not in it has no meaning: ONNX's checker rejects the file and runtimes refuse to load it. Either the
    operator came with a later version, or a version removed it (Upsample in 10, Scatter in 11), or there never was one:
    a custom operator that stands in the standard's domain, or a misspelled name.

    ## Instead
    At the exporter, ask for the opset that has the operator (`torch.onnx.export(..., opset_version=17)`,
    `python -m tf2onnx.convert --opset 17`). In the file, `onnx.version_converter.convert_version` replaces operators
    that were removed; raising the number of the opset import alone is not enough where other operators changed. An
    operator of your own belongs to a domain of your own.

    ## When not
    Operators that ONNX had on trial (Affine, Crop, ImageScaler, ...) are warnings: its checker still lets them pass.
    Domains other than ai.onnx and ai.onnx.ml, com.microsoft among them, are not in the standard and not checked.

    ## References
    - ONNX, "Operator schemas", https://onnx.ai/onnx/operators/: each operator's page lists its versions.
    - ONNX, "ONNX Versioning", "Operator versioning".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each operator that is missing, with the opsets that have it."""
        for call in file.calls:
            if call.schema is None and call.nodes[0].domain in STANDARD:
                yield self._missing(file, context, call)
            elif call.schema is not None and call.schema.deprecated:
                yield self._removed(file, context, call)

    def _missing(self, file: FileContext, context: Context, call: Call) -> Diagnostic:
        node = call.nodes[0]
        versions = history(node.domain, node.op_type)
        names = f"{node.op_type!r}" if node.op_type else "an operator without a name"
        if versions:
            fate = f"it came with opset {versions[0].since} ({versions[0].page})"
            advice = f"Export with opset {versions[0].since} or newer"
        else:
            fate = "no version of the standard has an operator of this name"
            advice = "Correct the name, or give the operator a domain of its own and import that"
        trial = node.op_type in EXPERIMENTS
        return self.finding(
            *self.at(context, call.nodes),
            message=f"{file.named(call.nodes)}{call.where} {'calls' if len(call.nodes) == 1 else 'call'} {names}, which"
            f" opset {call.version} of {node.domain or 'ai.onnx'} does not have: {fate}.",
            evidence={"opset": call.version, "nodes": len(call.nodes)},
            advice=Advice(text=advice),
            severity=Severity.WARNING if trial else None,
            subject=node.op_type,
        )

    def _removed(self, file: FileContext, context: Context, call: Call) -> Diagnostic:
        node, schema = call.nodes[0], call.schema
        assert schema is not None  # noqa: S101 - it is removed, so there is one
        instead = REPLACED.get(node.op_type, "")
        return self.finding(
            *self.at(context, call.nodes),
            message=f"{file.named(call.nodes)}{call.where} {'calls' if len(call.nodes) == 1 else 'call'}"
            f" {node.op_type!r}, which opset {schema.since} removed and opset {call.version} therefore does not have"
            f" ({schema.page}).",
            evidence={"opset": call.version, "removed": schema.since, "nodes": len(call.nodes)},
            advice=Advice(text=f"Use {instead} in its place" if instead else "Export with an older opset"),
            subject=node.op_type,
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            too_new (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Gelu (x) }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            removed (float[1, 3, 8, 8] x, float[4] scales) => (float[1, 3, 16, 16] y) { y = Upsample (x, scales) }
            """,
            at=("y",),
        ),
        Good(
            """
            <ir_version: 9, opset_import: ["" : 20]>
            new_enough (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Gelu (x) }
            """
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15, "com.example" : 1]>
            own (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = com.example.Convolve (x) }
            """
        ),
    )
