"""ON004: inputs of a type that the operator does not take."""

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


class TypeNotAllowed(FileRule, code="ON004", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """An operator is given a tensor of a type that it does not take, or two types where both must be one.

    ## Why
    The standard lists the element types that each input may have, and which inputs must share theirs: the weights and
    the bias of a convolution have the type of its input. Nothing is converted on the way. ONNX's checker rejects such a
    file, and runtimes refuse to load it. It is most often the work of a half-finished edit: weights that were cast to
    float16 and a bias that was not, or a constant that NumPy made float64 or int64.

    ## Instead
    Store the array in the type of the others, or put a Cast before the node. Convert whole models with a tool that
    knows which operators keep their type, such as `onnxconverter_common.float16`.

    ## When not
    Types are followed from the declared inputs, the weights and the declarations in the file. What an operator outside
    the standard makes is known only where the file declares it; where it is not known nothing is said.

    ## References
    - ONNX, "Operator schemas", https://onnx.ai/onnx/operators/: "Type Constraints" of each operator.
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each input whose type is not allowed, with the types that are."""
        for each in file.mismatches:
            formals = each.schema.inputs
            formal = formals[min(each.index, len(formals) - 1)]
            if each.other is None:
                wrong = f"takes {_listed(formal.types)} there"
            else:
                other = formals[min(each.other, len(formals) - 1)]
                wrong = f"must have one type there and in its input {each.other} ({other.name}), which is {each.wanted}"
            yield self.finding(
                *self.at(context, [each.node]),
                message=f"{file.named([each.node])} reads {each.node.inputs[each.index]}, which is {each.dtype}, as its"
                f" input {each.index} ({formal.name}); {each.schema.name} of opset {each.schema.since} {wrong}"
                f" ({each.schema.page}).",
                evidence={"input": each.index},
                advice=Advice(text="Store or cast the tensor in the type that the operator takes"),
                subject=str(each.index),
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many inputs have a type that is not allowed, and the first of them."""
        return self.several(
            places,
            "inputs have types that their operators do not take",
            "Store or cast the tensors in the types that the operators take",
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[1, 3, 8, 8] x) => (float[1, 2, 8, 8] y)
            <float[2, 3, 1, 1] kernel = {1, 2, 3, 4, 5, 6}, int64[2] bias = {1, 2}>
            {
                y = Conv (x, kernel, bias)
            }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[1, 3] x, double[1, 3] z) => (float[1, 3] y) { y = Add (x, z) }
            """,
            at=("y",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[1, 3, 8, 8] x) => (float[1, 2, 8, 8] y)
            <float[2, 3, 1, 1] kernel = {1, 2, 3, 4, 5, 6}, float[2] bias = {1, 2}>
            {
                y = Conv (x, kernel, bias)
            }
            """
        ),
    )


def _listed(types: frozenset[str]) -> str:
    *most, last = sorted(types)
    return f"{', '.join(most)} or {last}" if most else last
