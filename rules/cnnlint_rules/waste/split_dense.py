"""WA022: a dense layer as two nodes."""

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
    Severity,
    Wiring,
)

GEMM_TAKES_ANY_BIAS = 7
"""The version of the operators from which on a Gemm broadcasts its bias."""


class SplitDense(FileRule, code="WA022", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """A dense layer is a product and a sum, where one Gemm would do.

    ## Why
    Gemm computes xW + b in one node, and the sum costs a pass over the vector otherwise. tf2onnx writes each Dense
    layer as MatMul and Add. onnxruntime joins the two when it loads the file, so it is told with `--pedantic` only;
    `cnnlint fix` joins them in any case.

    ## Instead
    A Gemm.

    ## When not
    On tensors of more than two axes, which Gemm does not take.

    ## References
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime": MatMul Add Fusion.
    """

    rewrites_unasked = True

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each pair."""
        wiring = file.wiring
        if not file.record.opsets.get("", 0) >= GEMM_TAKES_ANY_BIAS:
            return
        for node in wiring.nodes:
            total = _sum_of(node, wiring)
            if total is None:
                continue
            units = (wiring.numbers(node.inputs[1]) or (0,))[-1]
            layers = self.at(context, [node])
            yield self.finding(
                *layers,
                message=f"{file.named([node])} and {total.label} (Add) are one dense layer of {units:,} units.",
                evidence={"units": units},
                advice=Advice(text=f"Make a Gemm of {node.label} and {total.label}"),
                subject="" if layers else node.label,
                nodes=[node, total],
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many there are."""
        return self.finding(
            message=f"{len(places):,} dense layers are a MatMul and an Add each.",
            evidence={"units": sum(int(place.evidence["units"]) for place in places)},
            advice=Advice(text="Make a Gemm of each pair"),
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Put a Gemm in place of the two."""
        product, total = (editor.node(record) for record in nodes)
        bias = next(name for name in total.input if name != product.output[0])
        editor.remove([product, total])
        inputs = [*product.input, bias]
        editor.insert(total, "Gemm", inputs, total.output[0], called=product.name)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2] x) => (float[N, 3] y)
            <float[2, 3] kernel = {1, 2, 3, 4, 5, 6}, float[3] bias = {1, 2, 3}> {
                a = MatMul (x, kernel)
                b = Add (a, bias)
                y = Relu (b)
            }
            """,
            at=("a",),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 4, 2] x) => (float[N, 4, 3] y)
            <float[2, 3] kernel = {1, 2, 3, 4, 5, 6}, float[3] bias = {1, 2, 3}> {
                a = MatMul (x, kernel)
                b = Add (a, bias)
                y = Relu (b)
            }
            """
        ),
    )


def _sum_of(node: NodeRecord, wiring: Wiring) -> NodeRecord | None:
    """Return the Add of the bias of a dense layer on vectors; None if the node is no such layer."""
    if (
        node.op_type != "MatMul"
        or node.domain
        or not wiring.is_fixed(node.inputs[1])
        or wiring.is_fixed(node.inputs[0])
    ):
        return None
    given, kernel = wiring.shape(node.inputs[0]), wiring.numbers(node.inputs[1])
    total = wiring.sole_reader(node.outputs[0])
    if given is None or len(given) != 2 or kernel is None or len(kernel) != 2 or total is None:
        return None
    if total.op_type != "Add" or total.domain or not wiring.dtype(node.inputs[1]).startswith("float"):
        return None
    others = [name for name in total.inputs if name != node.outputs[0]]
    bias = wiring.numbers(others[0]) if len(others) == 1 and wiring.is_fixed(others[0]) else None
    return total if bias in ((), (1,), (1, 1), kernel[1:], (1, *kernel[1:])) else None
