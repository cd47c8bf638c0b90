"""ON017: opset imports and functions that no node uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    FileContext,
    FileRule,
    Finding,
    Good,
    NearMiss,
    Severity,
)


class UnusedDefinition(FileRule, code="ON017", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """The file imports an operator set that no node uses, or defines a function that no node calls.

    ## Why
    Runtimes look at the imports before they look at the nodes: onnxruntime refuses a file that imports a newer version
    of ai.onnx.ml or com.microsoft than it has, whether a node uses it or not. A function that nobody
    calls is read, checked and kept, and leads readers to believe that it is used. Both are left over from optimizers
    that replaced the nodes.

    ## Instead
    Delete the import and the function: `del model.functions[:]` after `onnx.inliner.inline_local_functions(model)`.

    ## When not
    Both are allowed, and converters such as tf2onnx always import ai.onnx.ml: it matters where a runtime rejects the
    file for it.

    ## References
    - ONNX, "Intermediate Representation Specification", "Models", "Functions".
    """

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each import and function that is not used."""
        record = file.record
        used = file.operators
        domains = {domain for domain, _, _ in used}
        for domain, version in dict(record.imports).items():
            if domain and domain not in domains:
                yield self.finding(
                    message=f"The file imports version {version} of {domain}, which no node uses.",
                    evidence={"version": version},
                    advice=Advice(text="Delete the import"),
                    subject=f"import {domain}",
                )
        for domain, name, overload in record.functions:
            if (domain, name, overload) not in used:
                yield self.finding(
                    message=f"The function {name} of {domain or 'ai.onnx'} is called by no node.",
                    evidence={},
                    advice=Advice(text="Delete the function"),
                    subject=f"function {domain} {name} {overload}",
                )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how much is not used, and the first of it."""
        return self.several(places, "imports and functions are not used", "Delete them")

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15, "com.example" : 1]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15, "com.example" : 1]>
            net (float[1, 2] x) => (float[1, 2] y) { y = com.example.Convolve (x) }
            """
        ),
    )
