"""ON017: opset imports and functions that no node uses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    FileContext,
    FileRule,
    Finding,
    Good,
    Layer,
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
    Delete the import and the function: `cnnlint fix` does. In Python, `del model.functions[:]` after
    `onnx.inliner.inline_local_functions(model)`.

    ## When not
    Both are allowed, and converters such as tf2onnx always import ai.onnx.ml: it matters where a runtime rejects the
    file for it.

    ## References
    - ONNX, "Intermediate Representation Specification", "Models", "Functions".
    """

    rewrites_unasked = True

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

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Delete them."""
        model, used = editor.model, editor.known_file.operators
        domains = {"", "ai.onnx", *(domain for domain, _, _ in used)}
        editor.relist(model.opset_import, [each for each in model.opset_import if each.domain in domains])
        functions = [each for each in model.functions if (each.domain, each.name, each.overload) in used]
        editor.relist(model.functions, functions)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15, "com.example" : 1]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15, "com.example" : 1]>
            net (float[1, 2] x) => (float[1, 2] y) { y = com.example.Convolve (x) }
            """
        ),
    )
