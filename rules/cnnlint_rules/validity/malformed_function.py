"""ON015: functions without a name, with an attribute twice, or called with more than they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    FileContext,
    FileRule,
    Good,
    NearMiss,
    Severity,
)


class MalformedFunction(FileRule, code="ON015", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A function of the file lacks its name or domain, lists an attribute twice, or is called with more than it takes.

    ## Why
    A function is found by its domain and name, so one that lacks either can never be called, and ONNX's checker rejects
    the file. It also rejects an attribute that is listed twice, since a call then has two defaults. A call may leave
    inputs and outputs at the end out; one that gives more than the function lists has no meaning, and runtimes, which
    inline functions, fail on it. PyTorch's exporter writes functions where it keeps modules; scripts that
    rename or split them leave such remains.

    ## Instead
    Make functions with `onnx.helper.make_function`, which asks for all of it, or inline them:
    `onnx.inliner.inline_local_functions(model)`.

    ## When not
    A call that gives too much is a warning: ONNX's checker lets it pass.

    ## References
    - ONNX, "Intermediate Representation Specification", "Functions".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each function that is malformed, and each call that gives too much."""
        for function in file.record.functions.values():
            named = function.name or f"of domain {function.domain or 'ai.onnx'}"
            if not function.name:
                yield self._finding(f"A function {named} has no name", f"{named} name")
            if not function.domain:
                yield self._finding(f"The function {named} has no domain", f"{named} domain")
            listed = Counter([*function.attributes, *function.attribute_defaults])
            for attribute, times in listed.items():
                if times > 1:
                    wrong = f"The function {named} lists the attribute {attribute!r} {times} times"
                    yield self._finding(wrong, f"{named} {attribute}")
        for node, function in file.function_calls:
            for what, given, taken in (
                ("inputs", node.inputs, function.inputs),
                ("outputs", node.outputs, function.outputs),
            ):
                if len(given) > len(taken):
                    yield self.finding(
                        *self.at(context, [node]),
                        message=f"{file.named([node])} has {len(given)} {what}, and the function {function.name} lists"
                        f" {len(taken)}.",
                        evidence={"given": len(given), "listed": len(taken)},
                        advice=Advice(text="Leave out what the function does not take, or list it there"),
                        severity=Severity.WARNING,
                        subject=what,
                    )

    def _finding(self, wrong: str, subject: str) -> Diagnostic:
        return self.finding(
            message=f"{wrong}.",
            evidence={},
            advice=Advice(text="Make the function anew with onnx.helper.make_function"),
            subject=subject,
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15, "local" : 1]>
            net (float[1, 2] x) => (float[1, 2] y) { y = local.Twice (x, x) }
            <opset_import: ["" : 15], domain: "local">
            Twice (a) => (b) { b = Add (a, a) }
            """,
            at=("y",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15, "local" : 1]>
            net (float[1, 2] x) => (float[1, 2] y) { y = local.Twice (x) }
            <opset_import: ["" : 15], domain: "local">
            Twice (a) => (b) { b = Add (a, a) }
            """
        ),
    )
