"""WA007: kernels that are computed from other weights each time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

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
    Savings,
    Severity,
    Wiring,
    added_up,
    brief,
)

KERNELS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}
"""Which inputs of which operators may be a kernel."""

REARRANGED = frozenset(
    {
        "Cast", "Constant", "ConstantOfShape", "DequantizeLinear", "Flatten", "Identity", "QuantizeLinear", "Reshape",
        "Squeeze", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""Operators that change the order, type or number format of a kernel, and compute nothing."""

WIDTHS = {"float16": 2, "bfloat16": 2, "float64": 8}
"""Bytes of an element, of types that take other than 4."""


class ComputedWeights(FileRule, code="WA007", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """A kernel is computed from other weights in the network, though no input has a part in it.

    ## Why
    Weight standardization (NFNet, Big Transfer), weight and spectral normalization give a layer a kernel that is a
    function of what is trained. For inference it is a constant. Exported as it stands, each kernel costs some ten nodes
    and is computed at each inference by runtimes that do not fold constants; those that do, as onnxruntime, spend the
    time at each start, and hold both. PyTorch's older exporter writes what is trained twice, in the two orders of axes
    that its nodes read: timm's NFNet-L0 takes 1.6 times the bytes of its weights so, and BiT's ResNet-50 1.9 times. A
    compiler that wants a constant kernel, as most for accelerators do, refuses the layer.

    ## Instead
    Compute the kernels once ahead of the export, and put plain convolutions in place of the standardized ones; in an
    existing file `cnnlint fix` computes them. In PyTorch, weight and spectral normalization are removed by
    `torch.nn.utils.parametrize.remove_parametrizations(module, "weight")`.

    ## When not
    Kernels that are only cast, dequantized or transposed are stored so to be small, and are not reported. A file that
    is to be trained further needs the computation.

    ## References
    - Brock et al., "High-Performance Large-Scale Image Recognition Without Normalization", ICML 2021, section 3.
    - Kolesnikov et al., "Big Transfer (BiT): General Visual Representation Learning", ECCV 2020.
    - Salimans and Kingma, "Weight Normalization", NIPS 2016.
    """

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each layer whose kernel is computed, with the nodes and stored elements that this takes."""
        wiring = file.wiring
        for node in wiring.nodes:
            places = KERNELS.get(node.op_type, ())
            for name in (node.inputs[place] for place in places if place < len(node.inputs) and not node.domain):
                made, stored = _upstream(name, wiring) if wiring.is_fixed(name) else ([], [])
                if all(each.op_type in REARRANGED for each in made):
                    continue
                held = sum(prod(wiring.numbers(each) or ()) for each in stored)
                extra = max(held - prod(wiring.numbers(name) or (held,)), 0)
                layers = context.layers_at([node.label])
                yield self.finding(
                    *layers,
                    message=f"The kernel of {node.label} ({node.op_type}) is computed by {len(made):,} nodes from"
                    f" {held:,} stored elements, and no input has a part in it.",
                    evidence={"nodes": len(made), "elements": held, "extra": extra},
                    advice=_ADVICE,
                    savings=Savings(bytes=WIDTHS.get(wiring.dtype(name), 4) * extra),
                    subject="" if layers else node.label,
                    nodes=[*made, node],
                )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Add up the nodes and the elements that are stored beyond the kernels."""
        total = added_up(places)
        extra = f", and {brief(total['extra'])} elements are stored beyond theirs" if total["extra"] else ""
        return self.finding(
            message=f"The kernels of {len(places):,} layers are computed by {total['nodes']:,} nodes from constants"
            f" alone{extra}.",
            evidence=total,
            advice=_ADVICE,
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Put an array in place of the nodes that compute the kernel."""
        editor.work_out(editor.node(record) for record in nodes[:-1])

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 13]>
            standardized (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y)
            <float[2, 2, 1, 1] trained = {1, 2, 3, 4}>
            {
                mean = ReduceMean <axes = [1, 2, 3]> (trained)
                kernel = Sub (trained, mean)
                y = Conv (x, kernel)
            }
            """,
            at=("y",),
            fixed="""
            <ir_version: 8, opset_import: ["" : 13]>
            standardized (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y)
            <float[2, 2, 1, 1] kernel = {-0.5, 0.5, -0.5, 0.5}>
            {
                y = Conv (x, kernel)
            }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 13]>
            half (float[N, 2, 8, 8] x) => (float[N, 2, 8, 8] y)
            <float16[2, 2, 1, 1] stored = {1, 2, 3, 4}>
            {
                kernel = Cast <to = 1> (stored)
                y = Conv (x, kernel)
            }
            """
        ),
        Good("INPUT 3x8x8 -> CONV 3 3x3"),
    )


_ADVICE = Advice(
    text="Compute the kernels once ahead of the export, or in the file with `cnnlint fix`",
    pytorch='torch.nn.utils.parametrize.remove_parametrizations(module, "weight")',
)


def _upstream(name: str, wiring: Wiring) -> tuple[list[NodeRecord], list[str]]:
    """Return the nodes that a constant is computed by, and the names of the arrays that they read."""
    made, stored, seen, left = list[NodeRecord](), list[str](), set[str](), [name]
    while left:
        each = left.pop()
        if not each or each in seen:
            continue
        seen.add(each)
        maker = wiring.maker(each)
        if maker is None:
            stored.append(each)
            continue
        if maker.op_type != "Constant":
            made.append(maker)
        left += maker.inputs
        seen.update(maker.outputs)
    return made[::-1], stored
