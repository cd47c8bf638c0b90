"""EX020: nodes that compute constants from constants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Annotated

from msgspec import Meta

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
    NearMiss,
    NodeRecord,
    Severity,
    Wiring,
)

SHOWN = 4

LEFT = frozenset({"DequantizeLinear", "If", "Loop", "Scan"})
"""Operators that make much of few bytes, which is why the file has them, and those that hold graphs."""

UNDENSE = frozenset({"sparse_value", "value_string", "value_strings"})
"""Attributes of a Constant that hold no dense numbers."""

SIZES = {"bool": 1, "int8": 1, "uint8": 1, "float16": 2, "bfloat16": 2, "int16": 2, "uint16": 2, "float64": 8,
         "int64": 8, "uint64": 8}  # fmt: skip
"""Bytes of an element, of types that take other than 4."""


class UnfoldedConstant(FileRule, code="EX020", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """Nodes compute constants from constants, so that arrays in the file could stand in their place.

    ## Why
    onnxruntime computes them once, when it loads the file, so they cost a start and no inference; other runtimes
    may compute them each time, and a compiler that wants a constant where one stands may refuse the file. Exporters
    write a vector as Constant and Unsqueeze, tf.function a scale as a product of two. A Constant node is an array
    under another name, and is put among the initializers. It is a matter of style as long as it costs nothing, so
    it is told with `--pedantic` only; `cnnlint fix` folds such nodes in any case. Kernels that are computed are
    computed-weights' matter, shapes shape-arithmetic's.

    ## Instead
    `cnnlint fix`, or `do_constant_folding=True` at the export from PyTorch.

    ## When not
    What becomes larger by it than `max-growth` is left alone, as a large array of zeros that ConstantOfShape makes, and
    so are weights that are stored quantized, and what is drawn at random.

    ## References
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime": constant folding.
    """

    rewrites_unasked = True

    max_growth: Annotated[
        int, Meta(description="Bytes that a constant may take beyond those of the arrays that it is made of.", ge=0)
    ] = 16_000_000

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how many nodes of which operators could be arrays."""
        wiring = file.wiring
        found = [node for node in wiring.nodes if _is_foldable(node, wiring)]
        large = set(_too_large(found, wiring, self.max_growth))
        if large:
            yield self.skip(reason=f"{len(large)} nodes make arrays larger by more than {self.max_growth:,} bytes")
        found = [node for node in found if node.label not in large]
        if not found:
            return
        kinds = Counter(node.op_type for node in found).most_common()
        listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds[:SHOWN])
        rest = sum(count for _, count in kinds[SHOWN:])
        more = f" and {rest:,} more" if rest else ""
        subject = "nodes compute constants" if len(found) > 1 else "nodes computes a constant"
        yield self.finding(
            message=f"{len(found):,} of {len(wiring.nodes):,} {subject} from constants: {listed}{more}.",
            evidence={"nodes": len(found), "of": len(wiring.nodes)},
            advice=Advice(text="Fold them with `cnnlint fix`"),
            nodes=found,
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Put arrays in place of the nodes."""
        editor.work_out(editor.node(record) for record in nodes)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y)
            <float[2] vector = {1, 2}, int64[2] axes = {1, 2}> {
                a = Unsqueeze (vector, axes)
                b = Mul (x, a)
                y = Relu (b)
            }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y)
            <float[2, 1, 1] a = {1, 2}> {
                b = Mul (x, a)
                y = Relu (b)
            }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y) <float[1, 2, 1, 1] a = {1, 2}> {
                b = Mul (x, a)
                y = Relu (b)
            }
            """
        ),
    )


def _is_foldable(node: NodeRecord, wiring: Wiring) -> bool:
    """Return whether no input has a part in what a node makes, and an array could stand for it."""
    made = [name for name in node.outputs if name]
    return (
        bool(made)
        and not node.domain
        and node.op_type not in LEFT
        and not UNDENSE & node.attributes.keys()
        and all(wiring.is_fixed(name) and wiring.dtype(name) != "string" for name in made)
        and wiring.outputs.isdisjoint(made)
    )


def _too_large(nodes: list[NodeRecord], wiring: Wiring, growth: int) -> Iterator[str]:
    """Yield the labels of nodes that make much of little, and of those that what they make is read by alone."""
    for node in nodes:
        made = sum(map(_size, node.outputs, [wiring] * len(node.outputs)))
        held = sum(map(_size, node.inputs, [wiring] * len(node.inputs)))
        if node.op_type != "Constant" and made - held > growth:
            yield node.label


def _size(name: str, wiring: Wiring) -> int:
    extents = wiring.numbers(name) if name else None
    return 0 if extents is None else SIZES.get(wiring.dtype(name), 4) * prod(extents)
