"""ON008: names that nothing stands behind, in functions and in graphs inside nodes."""

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


class UndefinedName(FileRule, code="ON008", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A node in a branch, loop or function reads a tensor that nothing makes, or the graph there gives none such.

    ## Why
    A graph inside a node sees the tensors of the graphs around it, and a function its own inputs alone. A name that
    none of them gives stands for nothing: ONNX's checker rejects the file and no runtime loads it. It comes from
    editing the outer graph (renaming, cutting, optimizing) without looking into the branches that capture its tensors,
    and from functions that were cut out of a graph without handing over what they captured.

    ## Instead
    Rename in all graphs, those inside nodes too; hand what a function needs to it as an input. Tools that know of
    subgraphs (onnx_ir, onnxslim) do it for you.

    ## When not
    Never. In the outermost graph such a file is not read at all, with an error that names the node.

    ## References
    - ONNX, "Intermediate Representation Specification", "Names Within a Graph" and "Functions".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each name that is read and not made, with who reads it."""
        for reader, name in file.undefined:
            yield self.finding(
                message=f"{reader} reads {name}, and no node, input or weight that can be seen there has this name.",
                evidence={},
                advice=Advice(text="Give the name that is meant, or hand the tensor in"),
                subject=f"{reader} {name}",
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many names stand for nothing, and the first of them."""
        return self.several(places, "names stand for nothing", "Give the names that are meant, or hand the tensors in")

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (bool flag, float[2] x) => (float[2] y)
            {
                y = If (flag) <
                    then_branch = yes () => (float[2] a) { a = Relu (renamed) },
                    else_branch = no () => (float[2] b) { b = Abs (x) }
                >
            }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (bool flag, float[2] x) => (float[2] y)
            {
                y = If (flag) <
                    then_branch = yes () => (float[2] a) { a = Relu (x) },
                    else_branch = no () => (float[2] b) { b = Abs (x) }
                >
            }
            """
        ),
    )
