"""ON005: shapes and types in the file that contradict what its nodes make."""

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
    shown_shape,
)


class ContradictedDeclaration(
    FileRule, code="ON005", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"
):
    """The file declares a tensor with another shape or type than its nodes give it.

    ## Why
    Programs allocate buffers by the declared shapes of outputs, and runtimes and compilers plan memory by those of
    inner tensors (`value_info`). Where these contradict the arithmetic of the nodes, ONNX's checker rejects the file
    (`check_model(full_check=True)`), onnxruntime warns and compilers go wrong. They are left over from before the graph
    was edited: another input size, a head that was cut off, a batch that was fixed.

    ## Instead
    Delete the declarations of inner tensors and write them anew: `del model.graph.value_info[:]`, then
    `onnx.shape_inference.infer_shapes(model, strict_mode=True)`. Declare an output as what the network makes, or
    correct the network where the declaration is what was meant. `cnnlint fix` deletes a wrong shape of an inner tensor
    and corrects that of an output; nobody computes anything else by it. A type it leaves: onnxruntime does not run the
    file.

    ## When not
    Never: a declaration that is wrong is worse than none. An extent that is a symbol contradicts nothing.

    ## References
    - ONNX, "Intermediate Representation Specification", "Graphs" (`value_info`) and "Tensor shapes".
    - ONNX, "ONNX Shape Inference", `strict_mode`.
    """

    explains = (("ON012", ""), ("RT001", "Type Error"), ("RT002", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each declaration that is contradicted, with both."""
        outputs = {value.name for value in file.record.graph.outputs}
        for each in file.contradicted:
            value = each.value
            said, made = [value.dtype or "a tensor"], [each.dtype or value.dtype or "a tensor"]
            if each.shape is not None and value.shape is not None:
                said.append(shown_shape(value.shape))
                made.append(shown_shape(each.shape))
            what = "output" if value.name in outputs else "inner tensor"
            yield self.finding(
                message=f"The {what} {value.name} is declared as {' '.join(said)}, and what the nodes make is"
                f" {' '.join(made)}.",
                evidence={"rank": len(each.shape or ())},
                advice=Advice(text="Delete the declaration and let onnx.shape_inference write it anew"),
                subject=value.name,
                rewritable=not each.dtype,  # onnxruntime does not run it otherwise
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many declarations are contradicted, and the first of them."""
        return self.several(
            places,
            "declarations contradict what the nodes make",
            "Delete the declarations and let onnx.shape_inference write them anew",
        )

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Drop wrong shapes of inner tensors, and give outputs those that they have."""
        made = {each.value.name: each.shape for each in editor.known_file.contradicted if each.shape is not None}
        editor.undeclare(name for name in made if not editor.is_output(name))
        editor.declare_outputs({name: shape for name, shape in made.items() if editor.is_output(name)})

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            stale (float[N, 3, 4, 4] x) => (float[N, 3, 4, 5] y) { y = Relu (x) }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            stale (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) { y = Relu (x) }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            inner (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) <float[N, 3] half> { half = Relu (x) y = Abs (half) }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            inner (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) { half = Relu (x) y = Abs (half) }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            open (float[N, 3, 4, 4] x) => (float[M, 3, H, 4] y) { y = Relu (x) }
            """
        ),
    )
