"""Operators outside the vocabulary: standard ones, custom ones, control flow."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.frontends.onnx.operators.context import NodeContext, is_parameter, weight_of
from cnnlint.frontends.onnx.operators.values import Constant
from cnnlint.frontends.onnx.records import GraphRecord, TensorRecord, names_read, subgraphs
from cnnlint.frontends.raising.view import TensorView
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
"""ONNX operators outside the vocabulary whose multiply-accumulates do not count."""


SHAPED_AS_FIRST = frozenset(
    {
        "Acosh", "Asinh", "Atanh", "Bernoulli", "BitwiseNot", "CumProd", "CumSum", "Hardmax", "IsInf",
        "LpNormalization", "MeanVarianceNormalization", "RandomNormalLike", "RandomUniformLike", "ReverseSequence",
        "RotaryEmbedding", "Scatter", "ScatterElements", "ScatterND", "TensorScatter", "Trilu",
    }
)  # fmt: skip
"""Those whose output has the shape of their first input."""


def add_operator(ctx: NodeContext, shapes: tuple[Shape | None, ...] | None = None) -> None:
    """Add a standard operator without multiply-accumulates, with shapes by the file or onnx."""
    tensors, weights = _operands(ctx)
    if shapes is None and ctx.node.op_type in SHAPED_AS_FIRST and ctx.has_input(0):
        shape = ctx.value(0).shape
        shapes = None if shape is None else (shape,)
    known = shapes or tuple(_declared_shape(ctx, name) for name in ctx.node.outputs)
    layer = Operator(inputs=tensors, op=ctx.node.op_type, shapes=known, weights=weights, **ctx.identity)
    ctx.add_layer(layer, dtype=_declared_dtype(ctx))


def add_opaque(ctx: NodeContext, reason: str, *, lacks_shapes: bool = False) -> None:
    """Add an operator with unknown contents, with the weights that it holds or captures."""
    tensors, weights = _operands(ctx)
    captured = {weight.key: weight for weight in (*weights, *_captured(ctx))}
    layer = Opaque(
        inputs=tensors,
        op=ctx.node.op_type,
        reason=reason,
        shapes=tuple(_declared_shape(ctx, name) for name in ctx.node.outputs),
        weights=tuple(captured.values()),
        lacks_shapes=lacks_shapes,
        **ctx.identity,
    )
    ctx.add_layer(layer, dtype=_declared_dtype(ctx))


def add_contradiction(ctx: NodeContext, reason: str) -> None:
    """Add an operator that contradicts its own definition as opaque, with shapes by the file."""
    tensors, weights = _operands(ctx)
    known = tuple(ctx.noted(name) for name in ctx.node.outputs)
    layer = Opaque(
        inputs=tensors,
        op=ctx.node.op_type,
        reason=reason,
        shapes=tuple(None if record is None else record.shape for record in known),
        weights=weights,
        **ctx.identity,
    )
    ctx.add_layer(layer, dtype=known[0].dtype or None if known[0] is not None else None)


def add_missing(ctx: NodeContext, names: list[str]) -> None:
    """Add an opaque layer for outputs that a node's operator does not have."""
    layer = Opaque(
        name=f"{ctx.label}/aside",
        inputs=(),
        op=ctx.node.op_type,
        reason=f"an output that {ctx.node.op_type} does not have",
        shapes=(None,) * len(names),
        origin=ctx.origin,
    )
    for name, tensor in zip(names, ctx.builder.add(layer, names), strict=True):
        ctx.set_value(name, TensorView(tensor))


def _operands(ctx: NodeContext) -> tuple[tuple[Tensor, ...], tuple[Weight, ...]]:
    """Return the node's activations and weights."""
    tensors, weights = list[Tensor](), list[Weight]()
    for index in range(len(ctx.node.inputs)):
        if not ctx.has_input(index):
            continue
        constant = ctx.constant(index)
        if constant is None:
            tensors.append(ctx.tensor(index))
        else:
            weights += ctx.weights(constant, "constant")
    return tuple(tensors), tuple(weights)


def _declared_shape(ctx: NodeContext, name: str) -> Shape | None:
    record = ctx.declared(name)
    return None if record is None else record.shape


def _declared_dtype(ctx: NodeContext) -> str | None:
    record = ctx.declared(ctx.node.outputs[0]) if ctx.node.outputs else None
    return record.dtype if record is not None and record.dtype else None


def _captured(ctx: NodeContext) -> Iterator[Weight]:
    """Yield the weights that the node's subgraphs hold or capture."""
    for body in subgraphs(ctx.node):
        for record in _weights_inside(body):
            yield weight_of(record, "constant")
        for name in names_read(body):
            value = ctx.get(name)
            if isinstance(value, Constant):
                yield from ctx.weights(value, "constant")


def _weights_inside(body: GraphRecord) -> Iterator[TensorRecord]:
    """Yield the weights in a subgraph and its subgraphs that their nodes read."""
    read = set(names_read(body))
    for name, record in body.initializers.items():
        if name in read and is_parameter(record):
            yield record
    for node in body.nodes:
        if node.op_type == "Constant" and read.intersection(node.outputs[:1]):  # a damaged file may have no output
            value = node.attributes.get("value")
            if isinstance(value, TensorRecord) and is_parameter(value):
                yield TensorRecord(node.outputs[0], value.shape, value.dtype, value.storage, value.values)
        for inner in subgraphs(node):
            yield from _weights_inside(inner)
