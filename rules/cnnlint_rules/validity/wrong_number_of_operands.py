"""ON002: nodes with more or fewer inputs or outputs than their operator has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cnnlint import (
    Advice,
    Bad,
    Call,
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


class WrongNumberOfOperands(
    FileRule, code="ON002", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"
):
    """A node has more or fewer inputs or outputs than its operator has in this opset.

    ## Why
    The standard says how many inputs an operator takes, which of them may be left out, and how many outputs it makes.
    Versions differ: what is an attribute in one opset is an input in another (the axes of Squeeze from 13 on, the pads
    of Pad from 11 on, min and max of Clip from 11 on), so a graph whose opset number was changed by hand fails here.

    ## Instead
    Export with the opset that the graph was written for, or move the file to another one with
    `onnx.version_converter.convert_version`. An input that may be left out and stands before others is given as the
    empty name.

    ## When not
    Never: ONNX's checker rejects such a file.

    ## References
    - ONNX, "Operator schemas", https://onnx.ai/onnx/operators/: "Inputs" and "Outputs" of each operator.
    - ONNX, "Intermediate Representation Specification", "Optional inputs and outputs".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each way in which nodes are called with a wrong number of operands."""
        for call in file.calls:
            for what, count, wrong in _wrong(call):
                assert call.schema is not None  # noqa: S101 - it is what says so
                verb = "has" if len(call.nodes) == 1 else "have"
                yield self.finding(
                    *self.at(context, call.nodes),
                    message=f"{file.named(call.nodes)}{call.where} {verb} {wrong} {call.schema.name} of opset"
                    f" {call.version} ({call.schema.page}).",
                    evidence={what: count, "nodes": len(call.nodes)},
                    advice=Advice(text="Export for the opset that the file names, or convert the file to that opset"),
                    subject=f"{call.schema.name} {what}",
                )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many operators are called with wrong numbers, and the first of them."""
        return self.several(
            places,
            "operators are called with other numbers of inputs or outputs than they have",
            "Export for the opset that the file names, or convert the file to that opset",
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            old_pad (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Relu (x, x) }
            """,
            at=("y",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            clip (float[1, 3, 8, 8] x, float six) => (float[1, 3, 8, 8] y) { y = Clip (x, , six) }
            """
        ),
    )


def _wrong(call: Call) -> Iterator[tuple[str, int, str]]:
    """Yield what is counted, the count, and what is wrong with it, as the middle of a sentence."""
    schema = call.schema
    if schema is None or schema.deprecated:
        return
    node = call.nodes[0]
    least_in, most_in, least_out, most_out = schema.arity
    for what, names, formals, least, most in (
        ("inputs", node.inputs, schema.inputs, least_in, most_in),
        ("outputs", node.outputs, schema.outputs, least_out, most_out),
    ):
        count = len(names)
        noun = what if count != 1 else what[:-1]
        if not least <= count <= most:
            yield what, count, f"{count} {noun}, and there must be {_range(least, most)} for"
        else:
            for index, name in enumerate(names):
                if not name and index < len(formals) and formals[index].option == 0:
                    yield what, index, f"no {what[:-1]} {index} ({formals[index].name}), which must be given for"
                    break


def _range(least: int, most: int) -> str:
    if most >= 1 << 16:
        return f"at least {least}"
    return f"{least}" if least == most else f"{least} to {most}"
