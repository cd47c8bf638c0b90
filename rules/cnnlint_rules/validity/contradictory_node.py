"""ON013: nodes whose attributes, weights and inputs contradict one another."""

from __future__ import annotations

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
    NodeRecord,
    Severity,
)


class ContradictoryNode(FileRule, code="ON013", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """The attributes, weights and inputs of a node contradict one another.

    ## Why
    Each of them may be well formed, and still no result fits them all: a kernel of 16 channels on a map of 32, three
    strides for two axes, a stride of 0, a permutation of four axes on a tensor of three, extents that do not
    broadcast, a scale of quantization that is not positive. onnxruntime fails when it loads or runs the node, and
    ONNX's checker rejects many of them. They come from edits of one of the parts: a layer that was replaced by one of
    another width, an input that got another size, a reshape that was left as it was.

    ## Instead
    Look at the layer in the framework and export again. In the file, correct the part that was edited, or the one that
    was forgotten; `onnx.shape_inference.infer_shapes(model, strict_mode=True)` tells what the rest then becomes.

    ## When not
    Never, for what is known of shapes is what the file says. Nothing is said where shapes are given by `--input`.

    ## References
    - ONNX, "Operator schemas", https://onnx.ai/onnx/operators/.
    - ONNX, "Broadcasting in ONNX", https://onnx.ai/onnx/repo-docs/Broadcasting.html.
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each contradiction, once for all nodes that have it."""
        alike = dict[tuple[str, str], list[NodeRecord]]()
        for node, cause in file.broken:
            alike.setdefault((node.op_type, cause), []).append(node)
        for (operator, cause), nodes in alike.items():
            verb = "contradicts itself" if len(nodes) == 1 else "contradict themselves"
            yield self.finding(
                *self.at(context, nodes),
                message=f"{file.named(nodes)} {verb}: {cause}.",
                evidence={"nodes": len(nodes)},
                advice=Advice(
                    text=f"Correct the part of the {operator} that was edited, or the one that was forgotten"
                ),
                subject=cause,
            )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            too_wide (float[1, 3, 8, 8] x) => (float[1, 2, 8, 8] y)
            <float[2, 4, 1, 1] kernel = {1, 2, 3, 4, 5, 6, 7, 8}> { y = Conv (x, kernel) }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            one_stride (float[1, 3, 8, 8] x) => (float[1, 3, 4, 4] y)
            { y = MaxPool <kernel_shape = [2, 2], strides = [2]> (x) }
            """,
            at=("y",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            residual (float[1, 3, 8, 8] x, float[1, 4, 8, 8] z) => (float[1, 3, 8, 8] y) { y = Add (x, z) }
            """,
            at=("y",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            per_channel (float[1, 3, 8, 8] x, float[3, 1, 1] z) => (float[1, 3, 8, 8] y) { y = Add (x, z) }
            """
        ),
    )
