"""EX003: transposes around layers that no order of axes matters to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

from msgspec import Struct

from cnnlint import (
    ELEMENTWISE,
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
    Severity,
    Wiring,
    added_up,
    permutation_of,
)

MOST = 200
"""Most nodes between transposes that are looked at."""


class TransposedRegion(Struct, frozen=True, eq=False):
    """Elementwise nodes whose inputs are all transposed alike, and whose outputs are all transposed back.

    Attributes:
        starts: The transposes ahead of them.
        between: The nodes.
        ends: The transposes after them.
    """

    starts: tuple[NodeRecord, ...]
    between: tuple[NodeRecord, ...]
    ends: tuple[NodeRecord, ...]


class LeftoverTransposes(FileRule, code="EX003", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """Transposes ahead of elementwise layers are undone after them.

    ## Why
    Elementwise layers compute the same in any order of axes, so both transposes could go. Each is a pass over the map
    in memory that reads or writes with a stride, slower than the layers in between, and keeps the activation from being
    fused into the convolution ahead of it. They come from conversions between channels-last and channels-first
    frameworks that put a pair around each layer, and from `permute` calls in PyTorch around blocks for tokens.

    ## Instead
    Convert with an optimizer on: tf2onnx and onnx2tf remove such pairs, and `cnnlint fix` does in an existing file. In
    PyTorch, leave out the `permute` calls around the activation.

    ## When not
    Transposes ahead of what needs another order of axes (a dense layer or a layer normalization on a channels-last map,
    attention) are not reported. Two right after one another are undone-reshape's matter.

    ## References
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime": transpose optimization.
    """

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each group of transposes that could go."""
        wiring, seen = file.wiring, set[str]()
        for node in wiring.nodes:
            if node.op_type != "Transpose" or node.domain or node.outputs[0] in seen:
                continue
            region = _region(node, wiring)
            if region is None:
                continue
            seen.update(start.outputs[0] for start in region.starts)
            count = len(region.starts) + len(region.ends)
            yield self.finding(
                *self.at(context, region.between),
                message=f"{count} transposes, {region.starts[0].label} to {region.ends[-1].label}, are around"
                f" {len(region.between)} elementwise node{'s' if len(region.between) > 1 else ''} that compute the same"
                " without them.",
                evidence={"transposes": count, "between": len(region.between)},
                advice=_ADVICE,
                subject=region.starts[0].label,
                nodes=[*region.starts, *region.between, *region.ends],
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Add up the transposes."""
        total = added_up(places)
        return self.finding(
            message=f"{total['transposes']:,} transposes are around {total['between']:,} elementwise nodes, at"
            f" {len(places):,} places, that compute the same without them.",
            evidence=total,
            advice=_ADVICE,
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Remove the transposes, and bring constants into the order that the map has without them."""
        order = permutation_of(nodes[0], editor.known_file.wiring) or ()
        back = [order.index(axis) for axis in range(len(order))]
        turned = [editor.node(record) for record in nodes if record.op_type == "Transpose"]
        between = [editor.node(record) for record in nodes if record.op_type != "Transpose"]
        for node in between:
            for place, name in enumerate(node.input):
                shape = editor.constant_shape(name) if name else ()
                if shape is None or prod(shape) == 1:
                    continue  # it is part of the map, or the same for all of it
                wide = editor.integers("wide", (*(1,) * (len(order) - len(shape)), *shape))
                held = editor.insert(node, "Reshape", [name, wide])
                editor.set_input(node, place, editor.insert(node, "Transpose", [held], perm=back))
        for node in turned:
            editor.bypass(node)
        editor.undeclare(name for node in between for name in node.output)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            around (float[N, 3, 8, 8] x) => (float[N, 3, 4, 4] y) {
                a = Transpose <perm = [0, 2, 3, 1]> (x)
                b = Relu (a)
                c = Transpose <perm = [0, 3, 1, 2]> (b)
                y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (c)
            }
            """,
            at=("b",),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            without (float[N, 3, 8, 8] x) => (float[N, 3, 4, 4] y) {
                b = Relu (x)
                y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
            }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            around (float[N, 3, 8, 8] x, float[N, 3, 8, 8] z) => (float[N, 3, 4, 4] y)
            <float[3] scale = {1, 2, 3}, float[8, 1, 1] rows = {1, 2, 3, 4, 5, 6, 7, 8}, float half = {0.5}> {
                a = Transpose <perm = [0, 2, 3, 1]> (x)
                b = Mul (a, scale)
                c = Transpose <perm = [0, 2, 3, 1]> (z)
                d = Add (b, c)
                e = Mul (d, half)
                f = Sub (rows, e)
                g = Transpose <perm = [0, 3, 1, 2]> (f)
                y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (g)
            }
            """,
            at=("b", "d", "e", "f"),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            tokens (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) <float[3, 3] kernel = {1, 2, 3, 4, 5, 6, 7, 8, 9}> {
                a = Transpose <perm = [0, 2, 3, 1]> (x)
                b = MatMul (a, kernel)
                c = Relu (b)
                y = Transpose <perm = [0, 3, 1, 2]> (c)
            }
            """
        ),
    )


_ADVICE = Advice(text="Remove these transposes with `cnnlint fix`, and export without them")


def _region(first: NodeRecord, wiring: Wiring) -> TransposedRegion | None:
    """Return what lies between `first` and the transposes that undo it; None if something else reads it."""
    order = permutation_of(first, wiring)
    if order is None or order == tuple(range(len(order))) or wiring.is_fixed(first.inputs[0]):
        return None
    starts, between, ends = {first.outputs[0]: first}, dict[str, NodeRecord](), dict[str, NodeRecord]()
    left = [first.outputs[0]]
    while left:
        name = left.pop()
        if name in wiring.outputs or len(between) > MOST:
            return None
        for reader in wiring.readers(name):
            if _undoes(reader, order, wiring):
                ends[reader.outputs[0]] = reader
                continue
            if reader.op_type not in ELEMENTWISE or reader.domain:
                return None
            if reader.outputs[0] in between:
                continue
            between[reader.outputs[0]] = reader
            left.append(reader.outputs[0])
            for other in filter(None, reader.inputs):
                if other in starts or other in between or wiring.is_fixed(other):
                    continue
                maker = wiring.maker(other)
                if maker is None:
                    return None
                if permutation_of(maker, wiring) == order:
                    starts[other] = maker
                elif maker.op_type in ELEMENTWISE and not maker.domain:
                    continue  # it is reached from its own transpose, or else below found not to be
                else:
                    return None
                left.append(other)
    inside = starts.keys() | between.keys()
    reached = all(
        other in inside or wiring.is_fixed(other) for node in between.values() for other in node.inputs if other
    )
    if not between or not ends or not reached:
        return None
    return TransposedRegion(tuple(starts.values()), tuple(between.values()), tuple(ends.values()))


def _undoes(node: NodeRecord, order: tuple[int, ...], wiring: Wiring) -> bool:
    other = permutation_of(node, wiring)
    return other is not None and len(other) == len(order) and [order[axis] for axis in other] == sorted(order)
