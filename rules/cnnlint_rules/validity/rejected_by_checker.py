"""ON012: what ONNX's own checker rejects and no other rule tells."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    FileRule,
    Good,
    NearMiss,
    Probe,
    RuntimeRule,
    Severity,
)


class RejectedByChecker(RuntimeRule, code="ON012", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """ONNX's own checker rejects the file, for a reason that no other rule tells.

    ## Why
    The rules of this family say what ONNX's checker rejects in their own words, without importing onnx, for operators
    whose shapes cnnlint computes itself. The shapes of others are known to onnx alone. So where a model is run, the
    checker (`onnx.checker.check_model(model, full_check=True)`) is asked too, in a process of its own and without the
    weights: whatever it rejects and no other rule tells is here in its words. Converters and optimizers call the
    same checker before they begin, and refuse the file as it does. It is not asked where every operator is one of
    which the other rules tell all that it rejects, as in most plain networks.

    ## Instead
    Follow the node that the message names back to the exporter, and export again. Where the checker compares inferred
    with existing shapes, the existing ones are declarations in the file (`value_info` and outputs): delete those of
    inner tensors, and write them anew by `onnx.shape_inference.infer_shapes(model, strict_mode=True)`.

    ## When not
    An onnx that is older than the file is not asked: it rejects the opset, not the model.

    ## References
    - ONNX, `onnx.checker.check_model`, https://onnx.ai/onnx/api/checker.html.
    """

    def begin(self, probe: Probe) -> None:
        """Have the checker look at the file while the model is run."""
        if not probe.is_left_to_rules:
            _ = probe.referee

    def check(self, probe: Probe, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what the checker says, if it rejects the file."""
        record = probe.program.record
        if probe.is_left_to_rules:
            yield self.skip(reason="of its operators the other rules tell all that ONNX's checker rejects")
            return
        verdict = probe.verdict
        if verdict is None:
            yield self.skip(reason="ONNX's checker came to no end within its limits")
        elif any(version > verdict.opsets.get(domain, version) for domain, version in record.imports) or (
            NEWER_IR in verdict.rejected
        ):
            yield self.skip(reason="the installed onnx is older than the file")
        elif verdict.rejected:
            name, operator = verdict.node, verdict.operator
            nodes = [node for node in record.graph.nodes if (node.name == name if name else node.op_type == operator)]
            yield self.finding(
                *(FileRule.at(context, nodes) if len(nodes) == 1 else ()),
                message=f"ONNX's checker rejects the file: {verdict.rejected}.",
                evidence={"nodes": len(record.graph.nodes)},
                advice=Advice(text="Correct the node or the declaration that it names, or export again"),
            )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            vector (float[4] x) => (float y) { y = Det (x) }
            """,
            at=("y",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            matrices (float[N, 4, 4] x) => (float[N] y) { y = Det (x) }
            """
        ),
    )


NEWER_IR = "is higher than the checker's"
"""In the checker's words about an IR version that it does not know."""
