"""EX004: arithmetic on shapes that the declared inputs decide."""

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
    Constant,
    Context,
    Diagnostic,
    Editor,
    FileContext,
    FileRule,
    Good,
    NearMiss,
    NodeRecord,
    RewriteError,
    Severity,
    Wiring,
)

SHOWN = 4

LEFT = frozenset({"Constant", "DequantizeLinear", "Identity"})
"""Operators that hold or name a constant and compute nothing of a shape."""

FEW = 5
"""Most floating numbers that are scales of a resize, or its size; more are weights."""


class ShapeArithmetic(FileRule, code="EX004", severity=Severity.INFO, confidence=Confidence.EXACT, since="0.1.0"):
    """Nodes compute shapes and numbers that the declared inputs decide already.

    ## Why
    Exporters write `x.view(x.size(0), -1)` as Shape, Gather, Unsqueeze, Concat and Reshape, five nodes for one, though
    the extents are numbers in the file. onnxruntime folds them each time that it loads the model. Compilers for
    accelerators often cannot: Shape and Gather fall back to the CPU and cut the network in parts, and a Reshape whose
    target is computed has an output of unknown size. Readers of the file and shape inference lose their way, too.

    ## Instead
    Fold constants in the file: `onnxsim model.onnx out.onnx` or `onnxslim model.onnx out.onnx`. In PyTorch, write
    `torch.flatten(x, 1)` in place of `x.view(x.size(0), -1)`, and export with `do_constant_folding=True` and with
    dynamic axes for no more than what changes.

    ## When not
    Arithmetic on an extent that the file leaves open is not counted: it is what makes the network take any size.

    ## References
    - Daquexian, "onnx-simplifier", https://github.com/daquexian/onnx-simplifier.
    - PyTorch documentation, `torch.onnx.export`, `do_constant_folding`.
    """

    min_nodes: Annotated[int, Meta(description="Only when there are at least so many such nodes.", ge=1)] = 1

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how many nodes of which operators could be folded."""
        wiring = file.wiring
        found = list(_foldable(wiring))
        if not found:
            return
        if len(found) < self.min_nodes:
            yield self.skip(reason=f"{len(found)} nodes, below min-nodes = {self.min_nodes}")
            return
        kinds = Counter(node.op_type for node in found).most_common()
        listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds[:SHOWN])
        rest = sum(count for _, count in kinds[SHOWN:])
        more = f" and {rest:,} more" if rest else ""
        subject = "nodes compute" if len(found) > 1 else "nodes computes"
        yield self.finding(
            message=f"{len(found):,} of {len(wiring.nodes):,} {subject} what the declared inputs decide already:"
            f" {listed}{more}.",
            evidence={"nodes": len(found), "of": len(wiring.nodes)},
            advice=Advice(
                text="Fold constants in the file (onnxsim, onnxslim), and leave extents that stay to the framework",
                pytorch="x = torch.flatten(x, 1)  # in place of x.view(x.size(0), -1)",
            ),
            nodes=found,
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Put the numbers in place of the nodes."""
        if editor.file is None:
            raise RewriteError("nothing is known of the file")
        wiring = editor.file.wiring
        for record in nodes:
            for name in filter(None, record.outputs):
                constant = wiring.constant(name)
                if constant is None or constant.values is None:
                    raise RewriteError(f"the value of {name} is not known")
                if editor.consumers(name) and not editor.is_output(name):
                    editor.settle(name, constant.values, constant.dtype, constant.shape)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            view (float[1, 3, 4, 4] x) => (float[1, 48] y) <int64[1] zero = {0}, int64[1] rest = {-1}> {
                a = Shape (x)
                b = Gather (a, zero)
                c = Concat <axis = 0> (b, rest)
                y = Reshape (x, c)
            }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            view (float[N, 3, 4, 4] x) => (float[N, 48] y) <int64[1] zero = {0}, int64[1] rest = {-1}> {
                a = Shape (x)
                b = Gather (a, zero)
                c = Concat <axis = 0> (b, rest)
                y = Reshape (x, c)
            }
            """
        ),
    )


def _foldable(wiring: Wiring) -> Iterator[NodeRecord]:
    """Yield the nodes whose outputs are a few numbers that are known beforehand, and that are not made of weights."""
    for node in wiring.nodes:
        if node.op_type in LEFT or node.domain or not node.inputs or wiring.constant(node.outputs[0]) is None:
            continue
        made = [wiring.constant(name) for name in node.outputs if name]
        if all(constant is not None and _is_shape(constant) for constant in made):
            yield node


def _is_shape(constant: Constant) -> bool:
    values = constant.values
    if values is None or not all(isinstance(value, int | float) for value in values):
        return False
    if not constant.dtype.startswith(("float", "bfloat")):
        return True
    return not constant.stored and len(values) <= FEW and all(prod(record.shape) <= FEW for record in constant.records)
