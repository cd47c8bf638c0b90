"""ON006: nodes that stand ahead of those they read."""

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


class UnsortedNodes(FileRule, code="ON006", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A node stands in the file ahead of a node whose output it reads.

    ## Why
    The standard demands that the nodes of a graph are sorted topologically, so that a runtime can go through them once.
    ONNX's checker rejects a file in which they are not. Some runtimes sort for themselves and hide it; onnx's own
    reference evaluator and most converters fail on it. It comes from tools that append the nodes they make at the end.

    ## Instead
    Sort the nodes: `cnnlint fix` does, and in Python `onnx_ir` with `graph.sort()`, onnx-graphsurgeon with
    `graph.toposort()`. In a script of your own, insert a node at its place (`model.graph.node.insert(index, node)`) and
    do not append it.

    ## When not
    Never. Nodes that read one another in a circle are no order's fault; such a file is not read at all.

    ## References
    - ONNX, "Intermediate Representation Specification", "Graphs": "the nodes must be topologically sorted".
    """

    explains = (("ON012", ""), ("RT001", ""))

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how many nodes stand too early, and the first of them."""
        early = file.early
        if not early:
            return
        node, name, _ = early[0]
        nodes = tuple({id(each): each for each, _, _ in early}.values())
        others = len(nodes) - 1
        more = f"; so {'does' if others == 1 else 'do'} {others:,} more" if others else ""
        yield self.finding(
            *self.at(context, [node]),
            message=f"{file.named([node])} reads {name}, which a later node makes{more}; ONNX demands that every"
            " node comes after those that it reads.",
            evidence={"nodes": len(nodes)} if len(nodes) > 1 else {},
            advice=Advice(text="Sort the nodes topologically, as graph.sort() of onnx_ir does"),
            rewritable=not any(where for _, _, where in early),  # onnxruntime sorts no graph inside another
        )

    def rewrite(self, _: tuple[Layer, ...], editor: Editor) -> None:
        """Sort them, as in every rewritten model."""

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y) { y = Abs (half) half = Relu (x) }
            """,
            at=("y",),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y) { half = Relu (x) y = Abs (half) }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y) { half = Relu (x) y = Abs (half) }
            """
        ),
    )
