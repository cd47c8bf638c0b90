"""What stands outside the vocabulary: standard operators, custom ones, control flow."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.frontends.onnx.lowering.state import Lowering
from cnnlint.frontends.onnx.lowering.values import Constant
from cnnlint.frontends.onnx.lowering.weights import is_parameter, weight_of
from cnnlint.frontends.onnx.records import GraphRecord, NodeRecord, TensorRecord
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Opaque, Operator
from cnnlint.graph.tensor import Shape, Tensor, Weight

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""Operators that run subgraphs."""

PLAIN = frozenset(
    {
        "Acosh", "AffineGrid", "ArgMax", "ArgMin", "Asinh", "Atanh", "Bernoulli", "BitCast", "BitwiseAnd", "BitwiseNot",
        "BitwiseOr", "BitwiseXor", "BlackmanWindow", "CenterCropPad", "Col2Im", "Compress", "ConcatFromSequence",
        "CumProd", "CumSum", "DFT", "Det", "EyeLike", "GatherElements", "GatherND", "GridSample", "HammingWindow",
        "HannWindow", "Hardmax", "ImageDecoder", "IsInf", "LpNormalization", "MaxRoiPool", "MaxUnpool",
        "MeanVarianceNormalization", "MelWeightMatrix", "Multinomial", "NegativeLogLikelihoodLoss", "NonMaxSuppression",
        "NonZero", "OneHot", "Optional", "OptionalGetElement", "OptionalHasElement", "RandomNormal",
        "RandomNormalLike", "RandomUniform", "RandomUniformLike", "RegexFullMatch", "ReverseSequence", "RoiAlign",
        "RotaryEmbedding", "STFT", "Scatter", "ScatterElements", "ScatterND", "SequenceConstruct",
        "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SoftmaxCrossEntropyLoss",
        "StringConcat", "StringNormalizer", "StringSplit", "SwiGLU", "TensorScatter",
        "TfIdfVectorizer", "TopK", "Trilu", "Unique",
    }
)  # fmt: skip
"""ONNX operators outside the vocabulary that do no multiply-accumulates of a layer's kind."""


SHAPED_AS_FIRST = frozenset(
    {
        "Acosh", "Asinh", "Atanh", "Bernoulli", "BitwiseNot", "CumProd", "CumSum", "Hardmax", "IsInf",
        "LpNormalization", "MeanVarianceNormalization", "RandomNormalLike", "RandomUniformLike", "ReverseSequence",
        "RotaryEmbedding", "Scatter", "ScatterElements", "ScatterND", "TensorScatter", "Trilu",
    }
)  # fmt: skip
"""Those of them whose output has the shape of their first input."""


def emit_operator(state: Lowering, shapes: tuple[Shape | None, ...] | None = None) -> None:
    """Keep a standard operator that does no multiply-accumulates, with the shapes that the file or onnx gives."""
    tensors, weights = _operands(state)
    if shapes is None and state.node.op_type in SHAPED_AS_FIRST and state.has_input(0):
        shape = state.value(0).shape
        shapes = None if shape is None else (shape,)
    known = shapes or tuple(_declared_shape(state, name) for name in state.node.outputs)
    layer = Operator(
        name=state.label, inputs=tensors, op=state.node.op_type, shapes=known, weights=weights, origin=state.origin
    )
    state.emit(layer, dtype=_declared_dtype(state))


def emit_opaque(state: Lowering, reason: str) -> None:
    """Keep an operator whose inside is not known, with the parameters that it holds or captures."""
    tensors, weights = _operands(state)
    captured = {weight.key: weight for weight in (*weights, *_captured(state))}
    layer = Opaque(
        name=state.label,
        inputs=tensors,
        op=state.node.op_type,
        reason=reason,
        shapes=tuple(_declared_shape(state, name) for name in state.node.outputs),
        weights=tuple(captured.values()),
        origin=state.origin,
    )
    state.emit(layer, dtype=_declared_dtype(state))


def emit_contradiction(state: Lowering, reason: str) -> None:
    """Keep an operator that contradicts its own definition, with the shapes that the file itself declares."""
    tensors, weights = _operands(state)
    known = tuple(state.noted(name) for name in state.node.outputs)
    layer = Opaque(
        name=state.label,
        inputs=tensors,
        op=state.node.op_type,
        reason=reason,
        shapes=tuple(None if record is None else record.shape for record in known),
        weights=weights,
        origin=state.origin,
    )
    state.emit(layer, dtype=known[0].dtype or None if known[0] is not None else None)


def emit_aside(state: Lowering, names: list[str]) -> None:
    """Bind outputs that a node's operator does not have to an opaque layer of their own."""
    layer = Opaque(
        name=f"{state.label}/aside",
        inputs=(),
        op=state.node.op_type,
        reason=f"an output that {state.node.op_type} does not have",
        shapes=(None,) * len(names),
        origin=state.origin,
    )
    for name, tensor in zip(names, state.draft.add(layer, names), strict=True):
        state.bind(name, View(tensor))


def _operands(state: Lowering) -> tuple[tuple[Tensor, ...], tuple[Weight, ...]]:
    """Return the node's activations, and the weights among its constants."""
    tensors, weights = list[Tensor](), list[Weight]()
    for index in range(len(state.node.inputs)):
        if not state.has_input(index):
            continue
        constant = state.constant(index)
        if constant is None:
            tensors.append(state.tensor(index))
        else:
            weights += state.weights(constant, "constant")
    return tuple(tensors), tuple(weights)


def _declared_shape(state: Lowering, name: str) -> Shape | None:
    record = state.declared(name)
    return None if record is None else record.shape


def _declared_dtype(state: Lowering) -> str | None:
    record = state.declared(state.node.outputs[0]) if state.node.outputs else None
    return record.dtype if record is not None and record.dtype else None


def _captured(state: Lowering) -> Iterator[Weight]:
    """Yield the weights that the node's subgraphs hold, or take from the graphs around them."""
    for body in subgraphs(state.node):
        for record in weights_inside(body):
            yield weight_of(record, "constant")
        for name in names_read(body):
            value = state.get(name)
            if isinstance(value, Constant):
                state.used.add(name)
                yield from state.weights(value, "constant")


def captured_views(state: Lowering) -> Iterator[View]:
    """Yield the activations that the node's subgraphs take from the graph around them."""
    for body in subgraphs(state.node):
        for name in names_read(body):
            value = state.get(name)
            if isinstance(value, View):
                yield value


def subgraphs(node: NodeRecord) -> Iterator[GraphRecord]:
    """Yield the graphs among a node's attributes."""
    for value in node.attributes.values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, GraphRecord):
                yield item


def weights_inside(body: GraphRecord) -> Iterator[TensorRecord]:
    """Yield the weights that a subgraph holds itself and that a node of it reads, in graphs inside it too."""
    read = set(names_read(body))
    for name, record in body.initializers.items():
        if name in read and is_parameter(record):
            yield record
    for node in body.nodes:
        if node.op_type == "Constant" and node.outputs[0] in read:
            value = node.attributes.get("value")
            if isinstance(value, TensorRecord) and is_parameter(value):
                yield TensorRecord(node.outputs[0], value.shape, value.dtype, value.storage, value.values)
        for inner in subgraphs(node):
            yield from weights_inside(inner)


def names_read(body: GraphRecord) -> Iterator[str]:
    """Yield the names that the nodes of a subgraph read, in graphs inside it too."""
    for node in body.nodes:
        yield from (name for name in node.inputs if name)
        for inner in subgraphs(node):
            yield from names_read(inner)
    yield from (value.name for value in body.outputs)
