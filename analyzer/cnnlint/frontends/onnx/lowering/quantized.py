"""Quantisation: looked through, but for the ReLU that it may stand for; and onnxruntime's quantised operators."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from cnnlint.frontends.onnx.lowering import activation, arithmetic, convolution, dense, pooling
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import Constant, Value
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Activation, BatchNorm, Conv, ConvTranspose, Dense, Elementwise

FLOAT: dict[str, tuple[str, Handler]] = {
    "QLinearAveragePool": ("AveragePool", pooling.lower_window_pool),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", pooling.lower_global_pool),
    "QLinearLeakyRelu": ("LeakyRelu", activation.lower_sloped),
    "QLinearReduceMean": ("ReduceMean", pooling.lower_reduce),
    "QLinearSigmoid": ("Sigmoid", activation.lower_simple),
    "QLinearSoftmax": ("Softmax", activation.lower_softmax),
}
"""Operators with one operand, in front: the float operator and what lowers it."""


LOWEST = {"uint8": 0, "int8": -128, "uint16": 0, "int16": -32768, "uint4": 0, "int4": -8}
"""The least value of a quantised type."""


def lower_quantize(state: Lowering) -> None:
    """Lower QuantizeLinear: x, scale, zero point."""
    state.give(clamped(state, state.value(0), 2))


def lower_dequantize(state: Lowering) -> None:
    """Lower DequantizeLinear: x, scale, zero point."""
    value = state.value(0)
    state.give(_dequantized(state, value) if isinstance(value, Constant) and value.dtype in LOWEST else value)


def _dequantized(state: Lowering, value: Constant) -> Constant:
    """Return a quantised constant with the numbers that it stands for; with none where they are not known."""
    scale, zero = state.constant(1), state.constant(2)
    factor = None if scale is None else scale.scalar
    origin = 0 if zero is None else zero.scalar
    if value.values is None or factor is None or origin is None:
        return replace(value, values=None)
    numbers = (number for number in value.values if isinstance(number, int | float))
    return replace(value, values=tuple((number - origin) * factor for number in numbers))


def lower_dynamic_quantize(state: Lowering) -> None:
    """Lower DynamicQuantizeLinear: the values pass, scale and zero point are computed from them."""
    state.give(state.view(0))
    for index, name in enumerate(state.node.outputs[1:], start=1):
        if name:
            state.give(Constant((), "float32"), index)


def clamped(state: Lowering, value: Value, zero_point: int) -> Value:
    """Return `value` behind the ReLU that a quantisation stands for when zero is the least that it can say.

    Quantisers drop the ReLU in front of such a quantisation, as it cuts off all that is negative itself.
    """
    zero = state.constant(zero_point)
    if not isinstance(value, View) or zero is None or zero.scalar is None or zero.scalar != LOWEST.get(zero.dtype):
        return value
    producer = state.draft.producer(value.tensor)
    if not isinstance(producer, Conv | ConvTranspose | Dense | BatchNorm | Elementwise):
        return value
    if isinstance(producer, Elementwise) and producer.function != "add":
        return value
    layer = Activation(name=f"{producer.name}/relu", inputs=(value.tensor,), function="relu", origin=state.origin)
    return value.of(state.draft.add(layer)[0])


def lower_clamped(state: Lowering) -> None:
    """Lower a quantised convolution, dense layer or sum, whose output is quantised too."""
    handler, zero_point = CLAMPED[state.node.op_type]
    handler(state)
    made = state.get(state.node.outputs[0])
    if made is not None:
        state.give(clamped(state, made, zero_point))


CLAMPED: dict[str, tuple[Handler, int]] = {
    "QGemm": (dense.lower_qgemm, 8),
    "QLinearAdd": (arithmetic.lower_elementwise, 7),
    "QLinearConv": (convolution.lower_qlinear_conv, 7),
    "QLinearMatMul": (dense.lower_qlinear_matmul, 7),
}
"""Operators that quantise what they compute: what lowers them, and the place of the output's zero point."""


def lower_unary(state: Lowering) -> None:
    """Lower an operator whose first input is the data and whose others are scales and zero points."""
    op_type, handler = FLOAT[state.node.op_type]
    _as_float(state, op_type, state.node.inputs[:1], handler)


def lower_concat(state: Lowering) -> None:
    """Lower QLinearConcat: the scale and zero point of the output, then tensor, scale and zero point of each input."""
    _as_float(state, "Concat", state.node.inputs[2::3], arithmetic.lower_concat)


def _as_float(state: Lowering, op_type: str, inputs: tuple[str, ...], handler: Callable[[Lowering], None]) -> None:
    state.node = replace(state.node, op_type=op_type, inputs=inputs)
    handler(state)


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(FLOAT, lower_unary),
    **dict.fromkeys(CLAMPED, lower_clamped),
    "DequantizeLinear": lower_dequantize,
    "DynamicQuantizeLinear": lower_dynamic_quantize,
    "QLinearConcat": lower_concat,
    "QuantizeLinear": lower_quantize,
}
