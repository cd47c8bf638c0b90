"""EX007: outputs of nodes that nothing reads."""

from __future__ import annotations

from collections import Counter
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
)

LEFT = frozenset({"BatchNormalization", "Dropout", "GRU", "LSTM", "RNN"})
"""Operators whose further outputs are free, or which other rules report as a whole."""

OPTIONAL = 1
"""What a schema says of an output that a node need not have."""


class UnusedOutput(FileRule, code="EX007", severity=Severity.INFO, confidence=Confidence.EXACT, since="0.1.0"):
    """A node makes an output that it need not make, and nothing reads it.

    ## Why
    The indices of a max-pooling and the statistics of a layer normalization are computed when a node names them:
    indices of 64 bits take twice the bytes of the map that is pooled, and runtimes have faster pooling kernels without
    them. Compilers for accelerators that know one output only refuse the node. Exporters name them because the
    framework's own layer has them.

    ## Instead
    Give the output an empty name, or leave it out if no further one follows: `del node.output[1:]` for a
    pooling, then save the file. Where the framework asks for them, do not: `MaxPool2d(return_indices=False)`.

    ## When not
    Where another program cuts the file and reads that output. Final states of recurrent layers cost nothing and are not
    reported, nor are masks of dropouts (noop-layer) and statistics of batch normalizations in training mode
    (norm-in-training-mode), which are to go as a whole.

    ## References
    - ONNX, "Intermediate Representation Specification", "Optional Inputs and Outputs".
    """

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each node with such outputs."""
        wiring = file.wiring
        for call in file.calls:
            if call.schema is None or call.where or call.schema.name in LEFT:
                continue
            places = [index for index, formal in enumerate(call.schema.outputs) if index and formal.option == OPTIONAL]
            if not places:
                continue
            for node in call.nodes:
                made = [node.outputs[index] for index in places if index < len(node.outputs) and node.outputs[index]]
                unused = [name for name in made if not wiring.is_read(name)]
                if not unused or wiring.maker(unused[0]) is not node:
                    continue
                yield self.finding(
                    *self.at(context, [node]),
                    message=f"{file.named([node])} makes {len(unused)} more output{'s' if len(unused) > 1 else ''} that"
                    f" nothing reads: {', '.join(unused)}.",
                    evidence={node.op_type: len(unused)},
                    advice=Advice(text=f"Remove {', '.join(unused)} from the outputs of {node.label}"),
                    subject=unused[0],
                    nodes=[node],
                )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many outputs of which operators nothing reads."""
        kinds = Counter[str]()
        for place in places:
            kinds.update({kind: int(count) for kind, count in place.evidence.items()})
        listed = ", ".join(f"{count:,} of {kind}" for kind, count in kinds.most_common())
        return self.finding(
            message=f"{sum(kinds.values()):,} outputs that nodes need not make are read by nothing: {listed}.",
            evidence=dict(kinds),
            advice=Advice(text="Remove them from the outputs of these nodes"),
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Leave out what nothing reads."""
        for record in nodes:
            node = editor.node(record)
            editor.drop_outputs(node, [name for name in node.output[1:] if name and not editor.is_read(name)])

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2, 8, 8] x) => (float[1, 2, 4, 4] y)
            {
                y, where = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
            }
            """,
            at=("y",),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2, 8, 8] x) => (float[1, 2, 4, 4] y)
            {
                y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
            }
            """,
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2, 8, 8] x) => (float[1, 2, 4, 4] y, int64[1, 2, 4, 4] where)
            {
                y, where = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (x)
            }
            """
        ),
    )
