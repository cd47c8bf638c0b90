"""Quantization, which is skipped except for the ReLU that it may imply, and onnxruntime's quantized operators."""

from __future__ import annotations

from functools import partial
from math import inf

from msgspec.structs import replace

from cnnlint.frontends.onnx.operators import pointwise, products, windows
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext, listed
from cnnlint.frontends.onnx.operators.values import Constant, Value
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.layers import Activation, BatchNorm, Conv, ConvTranspose, Dense, Elementwise

FLOAT: dict[str, tuple[str, Handler]] = {
    "QLinearAveragePool": ("AveragePool", windows.window_pool),
    "QLinearGlobalAveragePool": ("GlobalAveragePool", windows.global_pool),
    "QLinearLeakyRelu": ("LeakyRelu", pointwise.sloped),
    "QLinearReduceMean": ("ReduceMean", windows.reduce),
    "QLinearSigmoid": ("Sigmoid", pointwise.simple),
    "QLinearSoftmax": ("Softmax", pointwise.softmax),
}
"""Operators with one operand, their first input: the float operator and its handler."""

CLAMPED: dict[str, tuple[Handler, int]] = {
    "QGemm": (products.qgemm, 8),
    "QLinearAdd": (pointwise.elementwise, 7),
    "QLinearConv": (partial(windows.conv, kernel=3, bias=8), 7),
    "QLinearMatMul": (partial(products.matmul, left=0, right=3), 7),
}
"""Operators that quantize their output: the handler, and the index of the output's zero point."""

LOWEST = {"uint8": 0, "int8": -128, "uint16": 0, "int16": -32768, "uint4": 0, "int4": -8}
"""The lowest value of a quantized type."""


def _quantize(ctx: NodeContext) -> None:
    """Handle QuantizeLinear: x, scale, zero point."""
    _check_parameters(ctx)
    ctx.set_output(_clamped(ctx, ctx.value(0), 2))


def _dequantize(ctx: NodeContext) -> None:
    """Handle DequantizeLinear: x, scale, zero point."""
    _check_parameters(ctx)
    value = ctx.value(0)
    if isinstance(value, Constant) and value.dtype in LOWEST:
        value = _dequantized(ctx, value)
    ctx.set_output(value)


def _check_parameters(ctx: NodeContext) -> None:
    """Note scales that are not positive, zero points of another shape, and an axis that does not fit."""
    scale, zero = ctx.constant(1), ctx.constant(2)
    if scale is None or scale.shape is None:
        return
    wrong = [number for number in scale.values or () if isinstance(number, int | float) and not 0 < number < inf]
    if wrong:
        ctx.contradict(f"its scale is {wrong[0]:g}, which is not positive")
    if zero is not None and zero.shape is not None and zero.shape != scale.shape:
        ctx.contradict(
            f"its scale is {listed(scale.shape) or 'a scalar'}, its zero point {listed(zero.shape) or 'one'}"
        )
    shape, extents = ctx.value(0).shape, scale.shape
    if shape is None or len(extents) != 1 or extents == (1,):
        return
    axis = ctx.attribute_int("axis", 1)
    if not -len(shape) <= axis < len(shape):
        ctx.contradict(f"it has {extents[0]} scales along the axis {axis} of a tensor of {len(shape)} axes")
    elif isinstance(shape[axis], int) and shape[axis] != extents[0]:
        ctx.contradict(f"it has {extents[0]} scales along an axis of {shape[axis]}")


def _dequantized(ctx: NodeContext, value: Constant) -> Constant:
    """Return a quantized constant with dequantized elements, if they are known."""
    scale, zero = ctx.constant(1), ctx.constant(2)
    factor = None if scale is None else scale.scalar
    least = 0 if zero is None else zero.scalar
    if value.values is None or factor is None or least is None:
        return replace(value, values=None)
    numbers = (number for number in value.values if isinstance(number, int | float))
    return replace(value, values=tuple((number - least) * factor for number in numbers))


def _dynamic_quantize(ctx: NodeContext) -> None:
    """Handle DynamicQuantizeLinear: values pass through, scale and zero point are computed from them."""
    ctx.set_output(ctx.view(0))
    for index, name in enumerate(ctx.node.outputs[1:], start=1):
        if name:
            ctx.set_output(Constant((), "float32"), index)


def _clamped(ctx: NodeContext, value: Value, zero_point: int) -> Value:
    """Return `value` after the ReLU that a quantization implies if zero is its lowest value.

    Quantizers drop the ReLU before such a quantization, which clips negative values itself.
    """
    zero = ctx.constant(zero_point)
    if zero is None or zero.scalar is None or zero.scalar != LOWEST.get(zero.dtype):
        return value
    producer = ctx.builder.producer(value.tensor) if isinstance(value, TensorView) else None
    if not isinstance(producer, Conv | ConvTranspose | Dense | BatchNorm | Elementwise):
        return value
    if not isinstance(value, TensorView) or (isinstance(producer, Elementwise) and producer.function != "add"):
        return value
    layer = Activation(name=f"{producer.name}/relu", inputs=(value.tensor,), function="relu", origin=ctx.origin)
    return value.of(ctx.builder.add(layer)[0])


def _quantizing(ctx: NodeContext) -> None:
    """Handle a quantized convolution, dense layer or sum, whose output is quantized too."""
    handler, zero_point = CLAMPED[ctx.node.op_type]
    handler(ctx)
    made = ctx.get(ctx.node.outputs[0])
    if made is not None:
        ctx.set_output(_clamped(ctx, made, zero_point))


def _unary(ctx: NodeContext) -> None:
    """Handle an operator whose inputs after the first are scales and zero points."""
    op_type, handler = FLOAT[ctx.node.op_type]
    _as_float(ctx, op_type, ctx.node.inputs[:1], handler)


def _concat(ctx: NodeContext) -> None:
    """Handle QLinearConcat: scale and zero point of the output, then tensor, scale and zero point of each input."""
    _as_float(ctx, "Concat", ctx.node.inputs[2::3], pointwise.concat)


def _as_float(ctx: NodeContext, op_type: str, inputs: tuple[str, ...], handler: Handler) -> None:
    ctx.node = replace(ctx.node, op_type=op_type, inputs=inputs)
    handler(ctx)


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(FLOAT, _unary),
    **dict.fromkeys(CLAMPED, _quantizing),
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "QLinearConcat": _concat,
    "QuantizeLinear": _quantize,
}
