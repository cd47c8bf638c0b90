"""WA005: rearrangements that the next layer takes back."""

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
    Finding,
    Flatten,
    Good,
    ModelRule,
    NearMiss,
    NodeRecord,
    Reshape,
    Severity,
    Wiring,
    onnx_file,
    permutation_of,
    shown_shape,
)

IN_ORDER = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
"""Operators that leave the elements in their order."""


class UndoneReshape(ModelRule, code="WA005", severity=Severity.INFO, confidence=Confidence.EXACT, since="0.1.0"):
    """A reshape or a transpose is undone by the next.

    ## Why
    The pair computes nothing. Two transposes of a map cost two passes over it in memory with poor locality, often more
    than the convolution between other layers of that size; reshapes cost nothing in most runtimes, but hide what lies
    around them from pattern matching: a convolution and a normalization with two reshapes between them are not fused.
    The pairs come from layers that each convert to their own order and back, and from blocks that flatten a map for
    attention or a dense layer, one after the other.

    ## Instead
    Remove both, and let the layers after them read what the first one reads. If something else reads the first one,
    remove the second.

    ## When not
    Never, at the declared input size. Two that undo each other only across layers in between are another rule's
    matter (leftover-transposes).

    ## References
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime": transpose optimization.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each pair."""
        file, graph = onnx_file(context.graph), context.graph
        if file is not None:
            yield from self._in_file(file, context)
            return
        for second in graph.of_kind(Reshape, Flatten):
            first, shape = graph.producer(second.input), second.output.sample_shape
            if not isinstance(first, Reshape | Flatten) or shape is None or None in shape:
                continue
            if first.input.sample_shape == shape != first.output.sample_shape:
                yield self.finding(
                    second,
                    first,
                    message=f"{second.name} gives back the shape {shown_shape(shape)} that {first.name} ahead of it"
                    " changed.",
                    evidence={"pairs": 1},
                    advice=Advice(text=f"Remove {second.name}, and {first.name} if nothing else reads it"),
                )

    def _in_file(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        wiring = file.wiring
        for second in wiring.nodes:
            first = wiring.maker(second.inputs[0]) if second.inputs and _rearranges(second) else None
            if first is None or not _rearranges(first) or not _undo(first, second, wiring):
                continue
            layers = context.layers_at([second.label, first.label])
            others = wiring.sole_reader(first.outputs[0]) is None
            rest = "; something else reads that one, which stays" if others else ""
            yield self.finding(
                *layers,
                message=f"{file.named([second])} undoes what {first.label} ({first.op_type}) ahead of it does to"
                f" {shown_shape(wiring.shape(first.inputs[0]) or ())}{rest}.",
                evidence={"pairs": 1},
                advice=Advice(
                    text=f"Remove {second.label}{'' if others else f' and {first.label}'}, and let those that read it"
                    f" read {first.inputs[0]}"
                ),
                subject="" if layers else second.label,
                nodes=[first, second],
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many pairs there are, and the first of them."""
        first = places[0].message
        return self.finding(
            message=f"{len(places):,} reshapes or transposes are undone by the next: {first[0].lower()}{first[1:]}",
            evidence={"pairs": len(places)},
            advice=Advice(text="Remove both of each pair"),
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Have what reads the second node read what the first one reads."""
        first, second = (editor.node(record) for record in nodes)
        editor.bypass(second, first.input[0])

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            there_and_back (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) {
                a = Relu (x)
                b = Transpose <perm = [0, 2, 3, 1]> (a)
                c = Transpose <perm = [0, 3, 1, 2]> (b)
                y = Sigmoid (c)
            }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            straight (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) { a = Relu (x) y = Sigmoid (a) }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            shuffle (float[N, 4, 8, 8] x) => (float[N, 4, 8, 8] y) <int64[5] apart = {0, 2, 2, 8, 8},
            int64[4] whole = {0, 4, 8, 8}> {
                a = Reshape (x, apart)
                b = Transpose <perm = [0, 2, 1, 3, 4]> (a)
                y = Reshape (b, whole)
            }
            """
        ),
    )


def _rearranges(node: NodeRecord) -> bool:
    return not node.domain and bool(node.inputs) and (node.op_type in IN_ORDER or node.op_type == "Transpose")


def _undo(first: NodeRecord, second: NodeRecord, wiring: Wiring) -> bool:
    """Return whether `second` gives back what `first` was given, and neither leaves alone what it is given."""
    source, between, made = first.inputs[0], first.outputs[0], second.outputs[0]
    if wiring.constant(source) is not None:
        return False
    if _keeps_order(first, wiring) and _keeps_order(second, wiring):
        return wiring.has_shape_of(source, made) and not wiring.has_shape_of(source, between)
    one, other = permutation_of(first, wiring), permutation_of(second, wiring)
    if one is None or other is None or len(one) != len(other):
        return False
    return [one[axis] for axis in other] == sorted(one) != list(one)


def _keeps_order(node: NodeRecord, wiring: Wiring) -> bool:
    """Return whether the elements stay in their order, as also where a transpose moves axes of one element only."""
    if node.op_type in IN_ORDER:
        return True
    order, shape = permutation_of(node, wiring), wiring.shape(node.inputs[0])
    if order is None or shape is None or len(order) != len(shape):
        return False
    longer = [axis for axis in order if shape[axis] != 1]
    return longer == sorted(longer)
