"""ON010: versions of the format and of operator sets that are missing, repeated, or do not go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Editor,
    FileContext,
    FileRule,
    Good,
    Layer,
    NearMiss,
    Severity,
    newest_ir_version,
    operator_schema,
)

OPTIONAL_INPUTS = 4
"""The IR version from which initializers need not be among the inputs."""


class VersionMismatch(FileRule, code="ON010", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """The versions that the file names of the format and of operator sets are missing, doubled, or do not fit.

    ## Why
    The IR version says how the file is to be read, an opset import which version of the operators is meant. Without an
    IR version ONNX's checker rejects the file. Up to IR version 3 every initializer must be listed among the inputs;
    a file that was downgraded by its number alone lists none. A domain that is imported in two versions has no meaning
    that all readers agree on: onnx takes the last one that is listed, others the first.
    A function may import an opset other than the model's only where its operators are the same in both.

    ## Instead
    Write the IR version that came with the opset (the table is in ONNX's "Versioning"); `onnx.helper.make_model` and
    `make_model_gen_version` choose it. Import each domain once. A function imports the domains that its body uses.
    `cnnlint fix` raises an IR version of which initializers must be inputs, and drops an import that says what another
    does; what else there is onnxruntime does not run, or only the author can know.

    ## When not
    A repeated import is a warning, for ONNX's checker lets it pass, and so is an IR version that this cnnlint does not
    know yet: a newer onnx may. An IR version older than the one that came with the opset is allowed.

    ## References
    - ONNX, "ONNX Versioning", https://onnx.ai/onnx/repo-docs/Versioning.html, "Released versions".
    - ONNX, "Intermediate Representation Specification", "Models", "Operator Sets", "Initializers".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each version that is missing, repeated or out of place."""
        record = file.record
        ir = record.ir_version
        if ir <= 0:
            text = "The file names no IR version; the newest is"
            yield self._finding(text, newest_ir_version(), "ir", "Set model.ir_version")
        elif ir > newest_ir_version():
            text = f"The file has IR version {ir}, and the newest that cnnlint knows is"
            yield self._finding(
                text, newest_ir_version(), "ir", "Check the number, or update cnnlint", Severity.WARNING
            )
        elif ir < OPTIONAL_INPUTS:
            inputs = {value.name for value in record.graph.inputs}
            hidden = [name for name in record.graph.initializers if name not in inputs]
            if hidden:
                shown = f"{', '.join(hidden[:3])}{', …' if len(hidden) > 3 else ''}"
                text = (
                    f"Initializers ({len(hidden)}: {shown}) are not among the inputs, where IR version {ir} wants them;"
                    " they may be left out from IR version"
                )
                yield self._finding(
                    text, OPTIONAL_INPUTS, "inputs", "Set the IR version that came with the opset", rewritable=True
                )
        yield from self._imports(file)
        yield from self._functions(file)

    def _imports(self, file: FileContext) -> Iterator[Diagnostic]:
        seen = dict[str, int]()
        for domain, version in file.record.imports:
            if domain in seen:
                named = domain or "ai.onnx"
                first = f"version {seen[domain]} and as " if seen[domain] != version else ""
                text = f"The opset of {named} is imported twice, as {first}version"
                yield self._finding(
                    text,
                    version,
                    f"import {domain}",
                    "Import each domain once",
                    Severity.WARNING,
                    rewritable=len({other for name, other in file.record.imports if name == domain}) == 1,
                )
            seen[domain] = version

    def _functions(self, file: FileContext) -> Iterator[Diagnostic]:
        record = file.record
        for function in record.functions.values():
            called = [
                node for node in function.nodes if (node.domain, node.op_type, node.overload) not in record.functions
            ]
            counts = Counter(node.domain for node in called)
            for domain in sorted(counts.keys() - function.opsets.keys()):
                count = counts[domain]
                named = domain or "ai.onnx"
                text = f"The function {function.name} imports no version of {named}; nodes that call its operators:"
                yield self._finding(text, count, f"{function.name} {domain}", "Import the domain in the function too")
            for node in called:
                here, there = function.opsets.get(node.domain), record.opsets.get(node.domain)
                if here is None or there is None or here == there:
                    continue
                mine = operator_schema(node.domain, node.op_type, here)
                outer = operator_schema(node.domain, node.op_type, there)
                if mine is not None and outer is not None and mine.since != outer.since:
                    text = (
                        f"The function {function.name} imports opset {here}, in which {node.op_type} is not what it is"
                        f" in the model's opset {there}: it changed in opset"
                    )
                    advice = "Import one opset in the model and in its functions"
                    yield self._finding(text, max(mine.since, outer.since), f"{function.name} opset", advice)
                    break

    def _finding(
        self,
        text: str,
        number: int,
        subject: str,
        advice: str,
        severity: Severity | None = None,
        *,
        rewritable: bool = False,
    ) -> Diagnostic:
        return self.finding(
            message=f"{text} {number}.",
            evidence={"version": number},
            advice=Advice(text=advice),
            severity=severity,
            subject=subject,
            rewritable=rewritable,
        )

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Keep one of several imports of the same; a rewritten model has an IR version that knows constants."""
        imports = editor.model.opset_import
        editor.relist(
            imports,
            {("" if each.domain == "ai.onnx" else each.domain, each.version): each for each in imports}.values(),
        )

    examples = (
        Bad(
            """
            <ir_version: 3, opset_import: ["" : 8]>
            net (float[1, 2] x) => (float[1, 2] y) <float[2] shift = {1, 2}> { y = Add (x, shift) }
            """,
            at=(),
            fixed="""
            <ir_version: 4, opset_import: ["" : 8]>
            net (float[1, 2] x) => (float[1, 2] y) <float[2] shift = {1, 2}> { y = Add (x, shift) }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15, "" : 15]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15, "" : 13]>
            net (float[1, 2] x) => (float[1, 2] y) { y = Relu (x) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 4, opset_import: ["" : 9]>
            net (float[1, 2] x) => (float[1, 2] y) <float[2] shift = {1, 2}> { y = Add (x, shift) }
            """
        ),
    )
