"""Activations, and what an exporter writes for them in one node."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, inf, nan, sqrt
from operator import neg, not_
from typing import Any

from cnnlint.frontends.onnx.lowering.folding import mapped
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import Constant, Rows
from cnnlint.graph.layers import Activation, Elementwise

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
"""Functions that arithmetic on extents uses."""


def lower_simple(state: Lowering) -> None:
    """Lower an activation without parameters."""
    _activation(state, SIMPLE[state.node.op_type])


def lower_sloped(state: Lowering) -> None:
    """Lower an activation with an alpha."""
    function, default = SLOPED[state.node.op_type]
    _activation(state, function, alpha=state.attribute_float("alpha", default))


def lower_prelu(state: Lowering) -> None:
    """Lower PRelu: X, slope."""
    _activation(state, "prelu", weights=state.weights(state.constant(1), "alpha"))


def lower_clip(state: Lowering) -> None:
    """Lower Clip: between 0 and 6 it is relu6, from 0 relu, between −1 and 1 hard_tanh."""
    low, high = state.constant(1), state.constant(2)
    least = (low.scalar if low is not None else state.attribute_float("min", -inf)) if not _moves(state, 1) else None
    most = (high.scalar if high is not None else state.attribute_float("max", inf)) if not _moves(state, 2) else None
    names = {(0.0, 6.0): "relu6", (-1.0, 1.0): "hard_tanh"}
    value = state.value(0)
    if isinstance(value, Constant):
        known = None if least is None or most is None else mapped(value, lambda number: min(max(number, least), most))
        state.give(Constant(value.shape, value.dtype, value.records, known))
    elif least == 0 and most is not None and most > 1e30:
        _activation(state, "relu")
    elif (least, most) in names:
        _activation(state, names[least or 0.0, most or 0.0])
    else:
        lower_unary(state, "clip")


def _moves(state: Lowering, index: int) -> bool:
    """Return whether a bound is given and not a known number."""
    bound = state.constant(index)
    return state.has_input(index) and (bound is None or bound.scalar is None)


def lower_softmax(state: Lowering) -> None:
    """Lower Softmax and LogSoftmax along one axis; before opset 13 they flatten behind it."""
    function = "softmax" if state.node.op_type == "Softmax" else "log_softmax"
    view = state.view(0)
    axis = state.attribute_int("axis", -1 if state.opset >= 13 else 1)
    _activation(state, function, axis=view.axis(axis))


def _activation(state: Lowering, function: str, **fields: object) -> None:
    _emit_pointwise(state, Activation, function=function, **fields)


def lower_unary(state: Lowering, function: str = "") -> None:
    """Lower a function of each element that is no activation."""
    named = function or UNARY[state.node.op_type]
    value = state.value(0)
    if isinstance(value, Constant):
        known = mapped(value, FOLDED[named]) if named in FOLDED else None
        state.give(Constant(value.shape, value.dtype, value.records, known))
        return
    _emit_pointwise(state, Elementwise, function=named)


def _emit_pointwise(state: Lowering, kind: type[Activation | Elementwise], **fields: Any) -> None:
    """Emit a layer that keeps the order of axes, and rows what they are; of a constant it is one again."""
    value = state.value(0)
    if isinstance(value, Constant):
        state.give(Constant(value.shape, value.dtype, value.records))
        return
    view = value.view if isinstance(value, Rows) else value
    layer = kind(name=state.label, inputs=(view.tensor,), origin=state.origin, **fields)
    outputs = state.emit(layer, like=view)
    if isinstance(value, Rows):
        state.give(Rows(view.of(outputs[0])))


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(SIMPLE, lower_simple),
    **dict.fromkeys(SLOPED, lower_sloped),
    **dict.fromkeys(UNARY, lower_unary),
    **dict.fromkeys(("Softmax", "LogSoftmax"), lower_softmax),
    "Clip": lower_clip,
    "PRelu": lower_prelu,
}
