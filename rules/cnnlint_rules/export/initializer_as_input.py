"""EX005: weights that callers may replace."""

from __future__ import annotations

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
)

CONSTANT_BEFORE = 4
"""The IR version from which on an initializer need not be an input."""

SHOWN = 3


class InitializerAsInput(FileRule, code="EX005", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """Weights are listed among the inputs, so that no runtime may treat them as constant.

    ## Why
    An initializer that is an input too is only a default, which each call may replace. So nothing that depends on it
    can be computed beforehand: onnxruntime warns that it "appears in graph inputs and will not be treated as constant
    value/weight", and does without constant folding and without fusing normalizations into convolutions. Up to
    version 3 of the format every initializer had to be listed so, and runtimes take them for constants there; exporters
    kept the habit (`keep_initializers_as_inputs=True` in PyTorch) in newer files, where it means something.

    ## Instead
    Remove them from the inputs: onnxruntime has `python -m onnxruntime.tools.remove_initializer_from_input`; in Python,
    `del model.graph.input[index]` for each input whose name an initializer has. Export with
    `keep_initializers_as_inputs=False`, which is the default.

    ## When not
    Where a program does replace weights at each call.

    ## References
    - ONNX, "Intermediate Representation Specification", "Graphs": initializers and inputs of the same name.
    - onnxruntime, tools/python/remove_initializer_from_input.py.
    """

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how many weights are inputs too, and the first of them."""
        graph = file.record.graph
        names = [value.name for value in graph.inputs if value.name in graph.initializers]
        if not names:
            return
        if file.record.ir_version < CONSTANT_BEFORE:
            yield self.skip(
                reason=f"in a file of IR version {file.record.ir_version} every initializer is an input, and constant"
            )
            return
        listed = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        of_all = f"{len(names):,} of {len(graph.initializers):,} initializers"
        yield self.finding(
            message=f"{of_all} {'are inputs' if len(names) > 1 else 'is an input'} too ({listed}), which keeps"
            " runtimes from folding and fusing what depends on them.",
            evidence={"initializers": len(names), "of": len(graph.initializers)},
            advice=Advice(
                text="Remove them from the inputs: python -m onnxruntime.tools.remove_initializer_from_input",
                pytorch="torch.onnx.export(model, example, path, keep_initializers_as_inputs=False)",
            ),
        )

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Remove them from the inputs."""
        editor.close_inputs(weight.name for weight in editor.model.graph.initializer)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[1, 3, 8, 8] x, float[2, 3, 1, 1] kernel) => (float[1, 2, 8, 8] y)
            <float[2, 3, 1, 1] kernel = {1, 2, 3, 4, 5, 6}>
            {
                y = Conv (x, kernel)
            }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 17]>
            net (float[1, 3, 8, 8] x) => (float[1, 2, 8, 8] y)
            <float[2, 3, 1, 1] kernel = {1, 2, 3, 4, 5, 6}>
            {
                y = Conv (x, kernel)
            }
            """,
        ),
        Good(
            """
            <ir_version: 3, opset_import: ["" : 7]>
            net (float[1, 3, 8, 8] x, float[2, 3, 1, 1] kernel) => (float[1, 2, 8, 8] y)
            <float[2, 3, 1, 1] kernel = {1, 2, 3, 4, 5, 6}>
            {
                y = Conv (x, kernel)
            }
            """
        ),
        Good("INPUT 3x8x8 -> CONV 3 3x3"),
    )
