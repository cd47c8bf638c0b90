"""Elementwise operators, normalizations and Concat; on constants they are shape arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, inf, nan, sqrt
from operator import neg, not_
from typing import Any

from msgspec.structs import replace

from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.operators.constants import FUNCTIONS, computed, joined_constants
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext, listed
from cnnlint.frontends.onnx.operators.values import Constant, FlattenedRows, Value, mapped
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import TensorView, axis_within
from cnnlint.graph.layers import Dropout, LocalResponseNorm
from cnnlint.graph.layers.pointwise import broadcast
from cnnlint.graph.tensor import Weight

SIMPLE = {
    "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign",
    "Selu": "selu", "HardSwish": "hard_swish", "Mish": "mish", "Gelu": "gelu", "FastGelu": "gelu",
    "QuickGelu": "quick_gelu", "Swish": "swish",
}  # fmt: skip
SLOPED = {
    "LeakyRelu": ("leaky_relu", 0.01), "Elu": ("elu", 1.0), "Celu": ("celu", 1.0),
    "ThresholdedRelu": ("threshold", 1.0), "HardSigmoid": ("hard_sigmoid", 0.2),
}  # fmt: skip
UNARY = {
    "Abs": "abs", "Neg": "neg", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Reciprocal": "reciprocal", "Erf": "erf",
    "Floor": "floor", "Ceil": "ceil", "Round": "round", "Sign": "sign", "Sin": "sin", "Cos": "cos", "Tan": "tan",
    "Asin": "asin", "Acos": "acos", "Atan": "atan", "Sinh": "sinh", "Cosh": "cosh", "Not": "not", "IsNaN": "isnan",
    "Shrink": "shrink",
}  # fmt: skip

FOLDED: dict[str, Callable[[float], float]] = {
    "abs": abs, "neg": neg, "floor": floor, "ceil": ceil, "round": round, "not": not_,
    "sqrt": lambda number: sqrt(number) if number >= 0 else nan,
}  # fmt: skip
"""Functions that shape arithmetic uses."""

NEUTRAL = {"mul": 1, "div": 1, "add": 0, "sub": 0}
"""The neutral element of each operation."""


def simple(ctx: NodeContext) -> None:
    """Handle an activation without parameters."""
    _activation(ctx, SIMPLE[ctx.node.op_type])


def sloped(ctx: NodeContext) -> None:
    """Handle an activation with an alpha."""
    function, default = SLOPED[ctx.node.op_type]
    _activation(ctx, function, alpha=ctx.attribute_float("alpha", default))


def _prelu(ctx: NodeContext) -> None:
    _activation(ctx, "prelu", weights=ctx.weights(ctx.constant(1), "alpha"))


def _clip(ctx: NodeContext) -> None:
    """Handle Clip: between 0 and 6 it is relu6, from 0 relu, between −1 and 1 hard_tanh."""
    low, high = ctx.constant(1), ctx.constant(2)
    least = (low.scalar if low is not None else ctx.attribute_float("min", -inf)) if not _moves(ctx, 1) else None
    most = (high.scalar if high is not None else ctx.attribute_float("max", inf)) if not _moves(ctx, 2) else None
    names = {(0.0, 6.0): "relu6", (-1.0, 1.0): "hard_tanh"}
    value = ctx.value(0)
    if isinstance(value, Constant):
        known = None if least is None or most is None else mapped(value, lambda number: min(max(number, least), most))
        ctx.set_output(Constant(value.shape, value.dtype, value.records, known))
    elif least == 0 and most is not None and most > 1e30:
        _activation(ctx, "relu")
    elif (least, most) in names:
        _activation(ctx, names[least or 0.0, most or 0.0])
    else:
        _function(ctx, "clip")


def _moves(ctx: NodeContext, index: int) -> bool:
    """Return whether a bound is given but not a known number."""
    bound = ctx.constant(index)
    return ctx.has_input(index) and (bound is None or bound.scalar is None)


def softmax(ctx: NodeContext) -> None:
    """Handle Softmax and LogSoftmax along one axis; before opset 13 they flatten all axes from it on."""
    function = "softmax" if ctx.node.op_type == "Softmax" else "log_softmax"
    axis = ctx.attribute_int("axis", -1 if ctx.opset >= 13 else 1)
    if isinstance(ctx.value(0), FlattenedRows) and axis == 1:
        axis = -1  # the features of rows, whatever the rank before flattening
    _activation(ctx, function, axis=axis)


def _activation(ctx: NodeContext, function: str, **fields: Any) -> None:
    value = ctx.value(0)
    if isinstance(value, Constant):
        ctx.set_output(Constant(value.shape, value.dtype, value.records))
        return
    view = value if isinstance(value, TensorView) else value.view
    ctx.set_alike(ops.activation(ctx, view, function, **fields), value)


def _unary(ctx: NodeContext) -> None:
    _function(ctx, UNARY[ctx.node.op_type])


def _function(ctx: NodeContext, function: str) -> None:
    """Handle an elementwise function that is not an activation."""
    value = ctx.value(0)
    if isinstance(value, Constant):
        known = mapped(value, FOLDED[function]) if function in FOLDED else None
        ctx.set_output(Constant(value.shape, value.dtype, value.records, known))
        return
    view = value if isinstance(value, TensorView) else value.view
    ctx.set_alike(ops.elementwise(ctx, function, [view]), value)


def elementwise(ctx: NodeContext) -> None:
    """Handle an elementwise operator with any number of operands."""
    quantized = ctx.node.op_type.startswith("QLinear")
    indices = (0, 3) if quantized else tuple(range(len(ctx.node.inputs)))
    operands = [ctx.value(index) for index in indices]
    if quantized:  # a constant's elements are quantized
        operands = [replace(value, values=None) if isinstance(value, Constant) else value for value in operands]
    _check_broadcast(ctx, operands)
    function = FUNCTIONS[ctx.node.op_type]
    if not operands or (function == "where" and len(operands) != 3):
        raise ContradictionError(f"it has {len(operands)} inputs")
    constants = [operand for operand in operands if isinstance(operand, Constant)]
    if len(constants) == len(operands):
        ctx.set_output(computed(ctx, function, constants))
        return
    if (same := _unchanged(function, operands)) is not None:
        ctx.set_output(same)
        return
    rows = next((operand for operand in operands if isinstance(operand, FlattenedRows)), None)
    if any(isinstance(operand, TensorView) for operand in operands):
        rows = None
    views = [
        operand.view if rows is not None and isinstance(operand, FlattenedRows) else ctx.as_view(operand, name)
        for operand, name in zip(operands, (ctx.node.inputs[index] for index in indices), strict=True)
        if not isinstance(operand, Constant)
    ]
    shapes = [constant.shape for constant in constants if constant.shape is not None]
    made = ops.elementwise(
        ctx,
        function,
        views,
        constants=broadcast(*shapes) if shapes else None,
        constant=constants[0].scalar if len(constants) == 1 else None,
        constant_first=isinstance(operands[0], Constant),
        weights=tuple(weight for constant in constants for weight in ctx.weights(constant, "constant")),
    )
    ctx.set_alike(made, rows or made)


def _check_broadcast(ctx: NodeContext, operands: Sequence[Value]) -> None:
    """Note extents of operands that neither agree nor are 1; before opset 7 an attribute said which axes were meant."""
    if ctx.opset < 7 or not operands:
        return
    first, *others = [operand.shape for operand in operands]
    for other in others:
        if first is None or other is None or first == other:
            continue
        for mine, theirs in zip(reversed(first), reversed(other), strict=False):
            if mine not in (theirs, 1) and theirs != 1 and isinstance(mine, int) and isinstance(theirs, int):
                ctx.contradict(f"it cannot broadcast its inputs of {listed(first)} and {listed(other)}")
                return


def _unchanged(function: str, operands: Sequence[Value]) -> Value | None:
    """Return the other operand of a product with one or a sum with zero."""
    if function not in NEUTRAL or len(operands) != 2:
        return None
    pairs = ((operands[0], operands[1]), (operands[1], operands[0]))
    for value, number in pairs if function in ("mul", "add") else pairs[:1]:
        if isinstance(number, Constant) and number.scalar == NEUTRAL[function] and value.shape is not None:
            return value if len(number.shape or ()) <= len(value.shape) else None
    return None


def concat(ctx: NodeContext) -> None:
    """Handle Concat; on constants it is shape arithmetic."""
    operands = [ctx.value(index) for index in range(len(ctx.node.inputs))]
    axis = ctx.attribute_int("axis", 1)
    if not operands:
        raise ContradictionError("it has no inputs")
    constants = [operand for operand in operands if isinstance(operand, Constant)]
    if len(constants) == len(operands):
        ctx.set_output(joined_constants(ctx, constants, axis))
        return
    views = [ctx.as_view(operand, name) for operand, name in zip(operands, ctx.node.inputs, strict=True)]
    ctx.set_output(views[0] if len(views) == 1 else ops.concat(ctx, views, axis))


# normalizations, and Dropout


def _batch_norm(ctx: NodeContext) -> None:
    """Handle BatchNormalization: X, scale, B, mean, var.

    In training mode the moving statistics do not affect the output. If they are computed, as PyTorch exports a norm
    without them, the arrays that they are computed from are not weights.
    """
    older = ctx.opset < 14 and ctx.opset >= 7 and len([name for name in ctx.node.outputs if name]) > 1
    training = bool(ctx.attribute_int("training_mode", 0)) or older
    trainable = {"gamma": None, "beta": None, "moving_mean": False, "moving_variance": False}
    weights = list[Weight]()
    for index, (role, is_trainable) in enumerate(trainable.items(), start=1):
        constant = ctx.constant(index)
        if training and is_trainable is False and constant is not None and not constant.is_stored_whole:
            continue
        for weight in ctx.weights(constant, role):
            weights.append(Weight(weight.key, weight.shape, weight.dtype, role, is_trainable, weight.storage))
    view = ctx.view(0)
    made = ops.batch_norm(
        ctx,
        view,
        1,
        epsilon=ctx.attribute_float("epsilon", 1e-5),
        training=training,
        momentum=ctx.attribute_float("momentum", 0.9),
        weights=tuple(weights),
    )
    ctx.set_output(made)
    ctx.add_side_outputs(1, (view.tensor,), ((view.shape[1] if view.shape else None,),) * 4)


def _instance_norm(ctx: NodeContext) -> None:
    """Handle InstanceNormalization: input, scale, B."""
    weights = _scale_and_shift(ctx)
    if ctx.model.producer.startswith("pytorch"):
        # The operator requires a scale and a shift: for a norm without them PyTorch writes ones and zeros, which do
        # not have the names of parameters.
        weights = tuple(weight for weight in weights if weight.key.endswith(("weight", "bias")))
    epsilon = ctx.attribute_float("epsilon", 1e-5)
    ctx.set_output(ops.group_norm(ctx, ctx.view(0), None, axis=1, epsilon=epsilon, weights=weights))


def _group_norm(ctx: NodeContext) -> None:
    """Handle GroupNormalization: X, scale, bias."""
    groups, epsilon = ctx.attribute_int("num_groups", 1), ctx.attribute_float("epsilon", 1e-5)
    ctx.set_output(ops.group_norm(ctx, ctx.view(0), groups, axis=1, epsilon=epsilon, weights=_scale_and_shift(ctx)))


def _layer_norm(ctx: NodeContext) -> None:
    """Handle LayerNormalization, RMSNormalization and their com.microsoft variants: X, scale, B."""
    view = ctx.view(0)
    rank = view.rank or 0
    begin = axis_within(ctx.attribute_int("axis", -1), view.shape) if rank else 0
    made = ops.layer_norm(
        ctx,
        view,
        range(begin, rank),
        epsilon=ctx.attribute_float("epsilon", 1e-5),
        centered="RMS" not in ctx.node.op_type and not ctx.node.op_type.startswith("Simplified"),
        weights=_scale_and_shift(ctx),
    )
    ctx.set_output(made)
    axes = {view.axis(axis) for axis in range(begin, rank)}
    statistics = tuple(1 if axis in axes else dim for axis, dim in enumerate(view.tensor.shape or ()))
    ctx.add_side_outputs(1, (view.tensor,), (statistics or None,) * 3)


def _scale_and_shift(ctx: NodeContext) -> tuple[Weight, ...]:
    return (*ctx.weights(ctx.constant(1), "gamma"), *ctx.weights(ctx.constant(2), "beta"))


def _lrn(ctx: NodeContext) -> None:
    size = ctx.attribute_int("size", 1)
    ctx.add_layer(LocalResponseNorm(inputs=(ctx.tensor(0),), size=size, **ctx.identity))


def _dropout(ctx: NodeContext) -> None:
    """Handle Dropout."""
    view = ctx.view(0)
    ratio = ctx.constant(1)
    rate = ratio.scalar if ratio is not None else ctx.attribute_float("ratio", 0.5)
    training = ctx.constant(2)
    drops = training is not None and bool(training.scalar)
    if ctx.opset >= 12 and not ctx.has_input(1) and "ratio" not in ctx.node.attributes:
        rate = 0.5
    layer = Dropout(inputs=(view.tensor,), rate=rate, training=drops, **ctx.identity)
    ctx.set_output(ctx.add(layer, like=view))
    if len(ctx.node.outputs) > 1 and ctx.node.outputs[1]:
        ctx.set_output(view, 1)


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(SIMPLE, simple),
    **dict.fromkeys(SLOPED, sloped),
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(("Softmax", "LogSoftmax"), softmax),
    **dict.fromkeys(FUNCTIONS.keys() - {"QLinearAdd"}, elementwise),
    "Clip": _clip,
    "Concat": concat,
    "PRelu": _prelu,
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "GroupNorm": _group_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _lrn,
    "LayerNormalization": _layer_norm,
    "RMSNormalization": _layer_norm,
    "SimplifiedLayerNormalization": _layer_norm,
}
