"""WA023: nodes that compute what others compute."""

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
    NearMiss,
    NodeRecord,
    Severity,
    Wiring,
)

LEFT = frozenset(
    {"Bernoulli", "Dropout", "If", "Loop", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
     "RandomUniformLike", "Scan"}
)  # fmt: skip
"""Operators of which two need not give the same, and those that hold graphs."""


class DuplicateNode(FileRule, code="WA023", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """Nodes compute what other nodes compute: the same operator with the same attributes on the same inputs.

    ## Why
    Each is a pass over its inputs, and a tensor in memory, for nothing. They come from code that writes an expression
    twice, such as x - mean in a normalization that is spelled out, and from blocks that each begin with a ReLU of one
    input, as in NASNet. Compilers and runtimes merge them when they load the file, so it is told with `--pedantic`
    only; `cnnlint fix` merges them in any case. Branches with weights of their own are duplicate-branch's matter.

    ## Instead
    Compute it once.

    ## When not
    Never, for inference.

    ## References
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime": common subexpression elimination.
    """

    rewrites_unasked = True

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield how many nodes repeat others."""
        pairs = list(_repeated(file.wiring))
        if not pairs:
            return
        again, first = pairs[0]
        yield self.finding(
            message=f"{len(pairs):,} of {len(file.wiring.nodes):,} nodes compute what others compute, the first of them"
            f" {again.label}, which repeats {first.label} ({first.op_type}).",
            evidence={"nodes": len(pairs), "of": len(file.wiring.nodes)},
            advice=Advice(text="Compute each of them once"),
            nodes=[node for pair in pairs for node in pair],
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Have what reads the later node read the earlier one."""
        for again, first in zip(nodes[::2], nodes[1::2], strict=True):
            one, other = editor.producer(again.outputs[0]), editor.producer(first.outputs[0])
            if one is not None and other is not None and one is not other:
                editor.bypass(one, other.output[0])

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x, float[N, 2, 8, 8] z) => (float[N, 2, 8, 8] y) {
                a = Sub (x, z)
                b = Sub (x, z)
                c = Sigmoid (b)
                y = Mul (a, c)
            }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x, float[N, 2, 8, 8] z) => (float[N, 2, 8, 8] y) {
                a = Sub (x, z)
                c = Sigmoid (a)
                y = Mul (a, c)
            }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 2, 8, 8] x, float[N, 2, 8, 8] z) => (float[N, 2, 8, 8] y) {
                a = Sub (x, z)
                b = Sub (z, x)
                c = Sigmoid (b)
                y = Mul (a, c)
            }
            """
        ),
    )


def _repeated(wiring: Wiring) -> Iterator[tuple[NodeRecord, NodeRecord]]:
    """Yield each node that repeats an earlier one, and that one; what reads equal tensors is equal in turn."""
    first, alike = dict[str, str](), dict[tuple[object, ...], NodeRecord]()
    for node in wiring.nodes:
        if node.domain or node.op_type in LEFT or len([name for name in node.outputs if name]) != 1:
            continue
        if wiring.is_fixed(node.outputs[0]):
            continue
        inputs = tuple(first.get(name, name) for name in node.inputs)
        key = (node.op_type, inputs, repr(sorted(node.attributes.items(), key=lambda each: each[0])))
        other = alike.setdefault(key, node)
        if other is not node and not (node.outputs[0] in wiring.outputs and other.outputs[0] in wiring.outputs):
            first[node.outputs[0]] = other.outputs[0]
            yield node, other
