"""WA002: layers that give back what they are given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from cnnlint import (
    Activation,
    Advice,
    AvgPool,
    Bad,
    Confidence,
    Context,
    Crop,
    Diagnostic,
    Dropout,
    Editor,
    FileContext,
    Finding,
    Good,
    Layer,
    MaxPool,
    ModelRule,
    NearMiss,
    NodeRecord,
    Pad,
    Resize,
    Severity,
    Shape,
    noop_reason,
    onnx_file,
    shown_shape,
    why_needed,
)


class NoopLayer(ModelRule, code="WA002", severity=Severity.INFO, confidence=Confidence.EXACT, since="0.1.0"):
    """A layer gives back what it is given.

    ## Why
    It computes nothing and still is a node to load, schedule and convert, and where the runtime does not remove it,
    a copy of the tensor: one pass over the map in memory, which costs as much as an activation. onnxruntime 1.32 drops
    identities, dropouts, casts, expansions and arithmetic with 0 or 1 each time that it loads the file, and keeps
    reshapes, paddings, slices, transposes, resizes, poolings and concatenations that change nothing; compilers for
    small devices often stop at the first operator that they lack, such as Dropout. PP-OCRv5's text detector, as it is
    published for ONNX, has 192 identities among its 502 nodes.
    The rule looks for dropout that was left in a file for inference or has a rate of 0, identities, linear activations,
    padding by nothing, reshapes, slices, expansions and resizes to the shape that is there, transposes that move no
    axis, casts to the type that is there, 1 × 1 poolings with a stride of 1, products with 1 and sums with 0,
    and concatenations and sums of a single tensor.

    ## Instead
    Remove the layer, and let those that read it read its input; `cnnlint fix` does so in an ONNX file.

    ## When not
    The shape or type may be there only at the declared input size, and the file be made for others. An Identity that
    gives an input of the network, or an output once more, a name of its own is needed, and the rule leaves it. A Keras
    file is a training graph, in which dropout works, and a linear activation at its end gives the output another type
    than the layers, as mixed precision asks for.

    ## References
    - onnxruntime documentation, "Graph Optimizations in ONNX Runtime": eliminations of identities, slices and dropouts.
    - Jajal et al., "Interoperability in Deep Learning: A User Survey and Failure Analysis of ONNX Model Converters",
      ISSTA 2024.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each layer that changes nothing, with the reason."""
        file = onnx_file(context.graph)
        if file is not None:
            yield from self._in_file(file, context)
            return
        for layer in context.graph.of_kind(*WHY):
            if why := next(WHY[kind](layer) for kind in WHY if isinstance(layer, kind)):
                if context.graph.is_output(layer.output):
                    yield self.skip(layer, reason="it names an output, or gives it a type of its own")
                    continue
                term = layer.origin[-1].op if layer.origin else layer.kind
                yield self.finding(
                    layer,
                    message=f"{layer.name} ({term}) gives its {_sized(layer.input.shape)} back as it is: {why}.",
                    evidence={term: 1},
                    advice=Advice(text=f"Remove {layer.name}"),
                )

    def _in_file(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        wiring = file.wiring
        for node in wiring.nodes:
            why = noop_reason(node, wiring)
            if not why:
                continue
            layers = context.layers_at([node.label])
            if needed := why_needed(node, wiring):
                yield self.skip(*layers, reason=f"{node.label} ({node.op_type}) changes nothing, but {needed}")
                continue
            yield self.finding(
                *layers,
                message=f"{file.named([node])} gives its {_sized(wiring.shape(node.inputs[0]))} back as it is: {why}.",
                evidence={node.op_type: 1},
                advice=Advice(text=f"Remove {node.label}, and let those that read it read {node.inputs[0]}"),
                subject="" if layers else node.label,
                nodes=[node],
            )

    def together(self, places: Sequence[Finding], context: Context) -> Diagnostic:
        """Say how many layers of each kind change nothing."""
        kinds = Counter(kind for place in places for kind in place.evidence)
        only = f"{next(iter(kinds))} " if len(kinds) == 1 else ""
        listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        return self.finding(
            message=f"{len(places):,} {only}layers give back what they are given{'' if only else f': {listed}'}.",
            evidence=dict(kinds),
            advice=Advice(text="Remove them; `cnnlint fix` does so in an ONNX file"),
        )

    def rewrite(self, nodes: tuple[NodeRecord, ...], editor: Editor) -> None:
        """Remove the node."""
        for record in nodes:
            node = editor.node(record)
            kept = node.input[0]
            if node.op_type in ("Add", "Mul"):  # whose first operand may be the neutral one
                kept = next((name for name in node.input if editor.constant_shape(name) is None), kept)
            editor.bypass(node, kept)

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) { a = Relu (x) b = Dropout (a) y = Sigmoid (b) }
            """,
            at=("b",),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) { a = Relu (x) y = Sigmoid (a) }
            """,
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) {
                a = Relu (x)
                b = AveragePool <kernel_shape = [1, 1]> (a)
                y = Sigmoid (b)
            }
            """,
            at=("b",),
        ),
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) <float[3, 1, 1] term = {1, 2, 3}> {
                a = Relu (x)
                b = CastLike (term, a)
                y = Add (a, b)
            }
            """,
            at=(),
            fixed="""
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) <float[3, 1, 1] term = {1, 2, 3}> {
                a = Relu (x)
                y = Add (a, term)
            }
            """,
        ),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10 -> SOFTMAX"),
    )


def _sized(shape: Shape | None) -> str:
    return "input" if shape is None else f"input of {shown_shape(shape)}"


def _keeps_shape(layer: Layer) -> bool:
    shape = layer.input.sample_shape
    return shape is not None and None not in shape and shape == layer.output.sample_shape


def _single(layer: Layer) -> str:
    if isinstance(layer, MaxPool | AvgPool) and {*layer.pool_size, *layer.strides} == {1} and _keeps_shape(layer):
        return "its windows are single elements, one for each"
    return ""


WHY: dict[type[Layer], Callable[[Layer], str]] = {
    Dropout: lambda layer: "its rate is 0" if isinstance(layer, Dropout) and layer.rate == 0 else "",
    Activation: lambda layer: "its function is the identity" if layer.is_identity_at_inference else "",
    Pad: lambda layer: "it pads by nothing" if isinstance(layer, Pad) and not any(map(any, layer.amounts)) else "",
    Crop: lambda layer: (
        "it keeps all" if isinstance(layer, Crop) and layer.starts is not None and _keeps_shape(layer) else ""
    ),
    Resize: lambda layer: "its output has the size of its input" if _keeps_shape(layer) else "",
    **dict.fromkeys((MaxPool, AvgPool), _single),
}
"""Why layers of each kind change nothing, as a clause; "" for those that do."""
