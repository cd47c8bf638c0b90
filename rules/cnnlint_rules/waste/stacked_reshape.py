"""WA020: reshapes and transposes that follow one another."""

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
    NearMiss,
    NodeRecord,
    RewriteError,
    Severity,
    Wiring,
    permutation_of,
    reshape_target,
)

IN_ORDER = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})

WINDOWS = frozenset({"AveragePool", "Conv", "ConvTranspose", "LpPool", "MaxPool"})
"""Operators that leave the elements in their order."""


class StackedReshape(FileRule, code="WA020", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """Two reshapes, or two transposes, follow one another, where one would do.

    ## Why
    Whatever the first one makes, the second gives another shape or order. Two transposes are two passes over the
    tensor in memory for one. A reshape costs next to nothing, so it is told with `--pedantic` only; `cnnlint fix` joins
    the two in any case. They come from squeezing two axes one by one, and from a Flatten after a Squeeze.

    ## Instead
    Write the last shape, or the order of axes, at once.

    ## When not
    Where something else reads what lies between. A pair that undoes itself is undone-reshape's matter.

    ## References
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime": transpose and reshape fusions.
    """

    rewrites_unasked = True

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each pair."""
        wiring = file.wiring
        for second in wiring.nodes:
            first = wiring.maker(second.inputs[0]) if second.inputs else None
            if first is None or not _joins(first, second, wiring):
                continue
            layers = self.at(context, [second, first])
            yield self.finding(
                *layers,
                message=f"{file.named([second])} changes what {first.label} ({first.op_type}) ahead of it made for it"
                " alone: 1 node would do.",
                evidence={"pairs": 1},
                advice=Advice(text=f"Join {first.label} and {second.label}"),
                subject="" if layers else second.label,
                nodes=[first, second],
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many pairs there are."""
        return self.finding(
            message=f"{len(places):,} reshapes or transposes change what another one made for them alone.",
            evidence={"pairs": len(places)},
            advice=Advice(text="Join each with the one ahead of it"),
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Put one node in place of the two."""
        first, second = (editor.node(record) for record in nodes)
        wiring = editor.known_file.wiring
        if not editor.is_sole(first.output[0]):
            raise RewriteError("what lies between is read elsewhere too")
        source, output = first.input[0], second.output[0]
        orders = [permutation_of(record, wiring) for record in nodes]
        editor.remove([first, second])
        if orders[0] is not None and orders[1] is not None:
            perm = [orders[0][axis] for axis in orders[1]]
            editor.insert(second, "Transpose", [source], output, called=second.name, perm=perm)
            return
        target = reshape_target(nodes[1], source, wiring)
        if target is None:
            raise RewriteError("the shape that they make is not known")
        editor.insert(second, "Reshape", [source, editor.integers("target", target)], output, called=second.name)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 8] x) => (float[N, 8, 1, 1] y) <int64[1] two = {2}, int64[1] three = {3}> {
                a = Relu (x)
                b = Unsqueeze (a, two)
                c = Unsqueeze (b, three)
                y = Sigmoid (c)
            }
            """,
            at=("c", "b"),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 8] x) => (float[N, 8, 1, 1] y) <int64[4] target = {0, 8, 1, 1}> {
                a = Relu (x)
                c = Reshape (a, target)
                y = Sigmoid (c)
            }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[2, 3, 4, 5] x) => (float[5, 3, 4, 2] y) {
                a = Relu (x)
                b = Transpose <perm = [0, 2, 3, 1]> (a)
                c = Transpose <perm = [2, 3, 1, 0]> (b)
                y = Sigmoid (c)
            }
            """,
            at=(),
        ),
        Good(  # a window over a signal of one channel, as tf2onnx writes it
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 8, 1] x) => (float[N, 2, 8] y)
            <int64[1] axis = {1}, int64[4] map = {-1, 1, 1, 8}, int64[1] two = {2},
             float[2, 1, 1, 3] kernel = {1, 2, 3, 4, 5, 6}> {
                a = Unsqueeze (x, axis)
                b = Reshape (a, map)
                c = Conv <kernel_shape = [1, 3], pads = [0, 1, 0, 1]> (b, kernel)
                y = Squeeze (c, two)
            }
            """
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 8] x) => (float[N, 8, 1, 1] y, float[N, 8, 1] b) <int64[1] two = {2}, int64[1] three = {3}> {
                a = Relu (x)
                b = Unsqueeze (a, two)
                c = Unsqueeze (b, three)
                y = Sigmoid (c)
            }
            """
        ),
    )


def _joins(first: NodeRecord, second: NodeRecord, wiring: Wiring) -> bool:
    """Return whether one node could make what the two make, and something else than the first is given."""
    if first.domain or second.domain or not {first.op_type, second.op_type} <= IN_ORDER | {"Transpose"}:
        return False
    if not first.inputs or wiring.is_fixed(first.inputs[0]) or first.outputs[0] in second.inputs[1:]:
        return False
    if wiring.sole_reader(first.outputs[0]) is not second:
        return False
    reader = wiring.sole_reader(second.outputs[0])
    if first.op_type == "Unsqueeze" and reader is not None and reader.op_type in WINDOWS:
        return False  # so a window over a signal is written, which a single Reshape would hide
    if first.op_type in IN_ORDER and second.op_type in IN_ORDER:
        undone = wiring.has_shape_of(first.inputs[0], second.outputs[0])
        return not undone and reshape_target(second, first.inputs[0], wiring) is not None
    one, other = permutation_of(first, wiring), permutation_of(second, wiring)
    if one is None or other is None or len(one) != len(other):
        return False
    return [one[axis] for axis in other] != sorted(one)
