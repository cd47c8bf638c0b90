"""Functions of `keras.ops`, and TensorFlow functions in files of Keras 2; their calls are steps like layers'."""

from __future__ import annotations

from typing import Any, cast

from msgspec.structs import replace

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.definition import collect
from cnnlint.frontends.keras.layers import shaping, windows
from cnnlint.frontends.keras.layers.call import Handler, KerasCall, Raised, add_declared, add_opaque, add_operator
from cnnlint.frontends.keras.layers.pointwise import activate
from cnnlint.frontends.keras.records import TF_FUNCTIONS
from cnnlint.frontends.keras.settings import snake_case
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.layers import Einsum, MatMul
from cnnlint.graph.tensor import Dim, Shape

UNARY = {
    "Absolute": "abs", "Abs": "abs", "Negative": "neg", "Exp": "exp", "Log": "log", "Log1p": "log1p",
    "Sqrt": "sqrt", "Rsqrt": "rsqrt", "Square": "square", "Reciprocal": "reciprocal", "Erf": "erf",
    "Floor": "floor", "Ceil": "ceil", "Round": "round", "Sign": "sign", "Sin": "sin", "Cos": "cos", "Tan": "tan",
    "Clip": "clip", "Cast": "cast", "Logical_Not": "not", "LogicalNot": "not", "StopGradient": "stop_gradient",
    "NanToNum": "nan_to_num", "ZerosLike": "zeros_like", "OnesLike": "ones_like",
}  # fmt: skip

BINARY = {
    "Add": "add", "Subtract": "sub", "Multiply": "mul", "Divide": "div", "TrueDivide": "div", "DivideNoNan": "div",
    "FloorDivide": "floor_div", "Power": "pow", "Maximum": "maximum", "Minimum": "minimum", "Mod": "mod",
    "Equal": "equal", "NotEqual": "not_equal", "Greater": "greater", "GreaterEqual": "greater_equal",
    "Less": "less", "LessEqual": "less_equal", "LogicalAnd": "and", "LogicalOr": "or", "LogicalXor": "xor",
    "Where": "where",
}  # fmt: skip

ACTIVATIONS = frozenset(
    ["Relu", "Relu6", "Sigmoid", "SparseSigmoid", "Softplus", "Softsign", "SoftShrink", "SparsePlus", "Silu",
     "Squareplus", "LogSigmoid", "LeakyRelu", "HardSigmoid", "HardSilu", "Elu", "Selu", "Gelu", "Celu", "Glu",
     "TanhShrink", "HardTanh", "HardShrink", "Threshold", "Softmax", "LogSoftmax", "Sparsemax", "Tanh"]
)  # fmt: skip

REDUCTIONS = {
    "Mean": "mean", "Max": "max", "Amax": "max", "Min": "min", "Amin": "min", "Sum": "sum", "Prod": "prod",
    "Logsumexp": "log_sum_exp", "Std": "", "Var": "", "Any": "", "All": "", "Argmax": "", "Argmin": "", "Median": "",
    "CountNonzero": "",
}  # fmt: skip
"""Functions that reduce axes, and their names in the vocabulary; "" if there is none."""

UNCOUNTED = frozenset(
    ["Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "Dot", "Tensordot", "Inner", "Outer", "Vdot", "Kron",
     "DotProductAttention", "Map", "Scan", "AssociativeScan", "WhileLoop", "ForiLoop", "Cond", "VectorizedMap"]
)  # fmt: skip
"""Functions whose multiply-accumulates cannot be counted."""

TENSORFLOW = {
    "add": "Add", "subtract": "Subtract", "multiply": "Multiply", "truediv": "Divide", "divide": "Divide",
    "pow": "Power", "maximum": "Maximum", "minimum": "Minimum", "abs": "Abs", "negative": "Negative", "exp": "Exp",
    "log": "Log", "sqrt": "Sqrt", "rsqrt": "Rsqrt", "square": "Square", "relu": "Relu", "relu6": "Relu6",
    "sigmoid": "Sigmoid", "tanh": "Tanh", "softmax": "Softmax", "softplus": "Softplus", "silu": "Silu",
    "swish": "Silu", "gelu": "Gelu", "elu": "Elu", "leaky_relu": "LeakyRelu", "reduce_mean": "Mean",
    "reduce_max": "Max", "reduce_sum": "Sum", "reduce_min": "Min", "reshape": "Reshape", "transpose": "Transpose",
    "expand_dims": "ExpandDims", "squeeze": "Squeeze", "matmul": "Matmul", "cast": "Cast", "clip_by_value": "Clip",
    "identity": "StopGradient", "stop_gradient": "StopGradient",
}  # fmt: skip
"""Last part of a TensorFlow function's name -> the same function in `keras.ops`."""

UNCOUNTED_TENSORFLOW = UNCOUNTED | {
    "conv1d", "conv2d", "conv3d", "depthwise_conv2d", "conv2d_transpose", "tensordot", "einsum",
}  # fmt: skip


def raise_function(call: KerasCall) -> Raised:
    """Add the layer for a function of `keras.ops`."""
    name = call.layer.class_name
    if not call.views:
        return add_declared(call)
    if (handler := FUNCTIONS.get(name)) is not None:
        return handler(call)
    return add_opaque(call, f"the function {name}") if name in UNCOUNTED else add_declared(call)


def _tensorflow(call: KerasCall) -> Raised:
    """Add the layer for a TensorFlow function, which Keras 2 saves in Functional models as a layer."""
    function = str(call.config.get("function") or call.layer.class_name)
    name = function.rpartition(".")[2]
    if (same := TENSORFLOW.get(name)) is not None:
        return raise_function(call.of(replace(call.layer, class_name=same, module="keras.ops", config={})))
    if name in UNCOUNTED_TENSORFLOW or call.layer.class_name == "TensorFlowOpLayer":
        return add_opaque(call, f"the TensorFlow function {function}")
    return add_declared(call)


def _setting(call: KerasCall, name: str, default: Any = None) -> Any:
    """Return an argument of the function, from its configuration or from the call."""
    value = call.config.get(name, call.kwargs.get(name, default))
    found = settings.items(value)
    return value if found is None else found


def _activation(call: KerasCall) -> TensorView:
    name = call.layer.class_name
    function = settings.SYNONYMS.get(snake_case(name), snake_case(name))
    fields: dict[str, Any] = {"axis": _setting(call, "axis", -1)} if "oftmax" in name or name == "Sparsemax" else {}
    return activate(call, call.view, function, "", **fields)


def _unary(call: KerasCall) -> TensorView:
    name = call.layer.class_name
    dtype = str(call.config.get("dtype") or call.view.tensor.dtype) if name == "Cast" else None
    return ops.elementwise(call, UNARY[name], [call.view], dtype=dtype)


def _binary(call: KerasCall) -> TensorView:
    function = BINARY[call.layer.class_name]
    operands = [*call.args, *(call.kwargs[name] for name in ("x1", "x2", "y") if name in call.kwargs)]
    constants = [(index, value) for index, value in enumerate(operands) if not collect(value, TensorView)]
    if not constants or len(operands) > 2:
        return ops.elementwise(call, function, call.views)
    index, constant = constants[0]
    return ops.elementwise(
        call,
        function,
        [call.view],
        constants=_constant_shape(constant),
        constant=float(constant) if isinstance(constant, int | float) else None,
        constant_first=index == 0,
    )


def _constant_shape(value: Any) -> Shape:
    """Return the shape of a number, or of an array as Keras serializes it."""
    if (array := settings.mapping(value)) is not None:
        value = (settings.mapping(array.get("config")) or {}).get("value")
    shape = list[Dim]()
    while isinstance(value, list):
        shape.append(len(cast("list[Any]", value)))
        value = cast("list[Any]", value)[0] if value else None
    return tuple(shape)


def _reduce(call: KerasCall) -> Raised:
    view, name = call.view, call.layer.class_name
    shape = view.shape
    if shape is None:
        return add_declared(call)
    axis = _setting(call, "axis")
    listed = settings.items(axis) or [axis]
    axes: list[int] = list(range(len(shape))) if axis is None else [int(item) for item in listed]
    keepdims = bool(_setting(call, "keepdims", False))
    if function := REDUCTIONS[name]:
        return ops.reduce(call, view, function, axes, keepdims=keepdims)
    dtype = "int64" if name.startswith("Arg") else "bool" if name in ("Any", "All") else None
    if keepdims:
        reduced = {view.axis(item) for item in axes}
        kept = tuple(1 if index in reduced else dim for index, dim in enumerate(view.tensor.shape or ()))
        return add_operator(call, kept, like=view, dtype=dtype)
    gone = {item % len(shape) for item in axes}
    return add_operator(call, tuple(dim for index, dim in enumerate(shape) if index not in gone), dtype=dtype)


def _pool(call: KerasCall) -> TensorView:
    rank = (call.view.rank or 4) - 2
    config = {**call.config, "data_format": call.config.get("data_format") or "channels_last"}
    mode = "max" if call.layer.class_name == "MaxPool" else "avg"
    return windows.pool(call.of(replace(call.layer, config=config)), rank, mode)


def _reshape(call: KerasCall) -> Raised:
    target = _setting(call, "newshape") or _setting(call, "shape")
    shape = call.view.shape
    if not isinstance(target, list) or shape is None:
        return add_declared(call)
    dims: list[Dim] = [dim if isinstance(dim, int) else None for dim in cast("list[Any]", target)]
    if dims and dims[0] in (None, -1):
        # The batch stays open; a −1 after it is computed.
        dims[0] = shape[0]
    return shaping.reshape(call, tuple(dims))


def _transpose(call: KerasCall) -> Raised:
    rank = call.view.rank
    if rank is None:
        return add_declared(call)
    axes = _setting(call, "axes") or _setting(call, "perm")
    return shaping.transpose(call, tuple(axes or reversed(range(rank))))


def _swap(call: KerasCall) -> Raised:
    rank = call.view.rank
    if rank is None:
        return add_declared(call)
    order = list(range(rank))
    one, other = int(_setting(call, "axis1")) % rank, int(_setting(call, "axis2")) % rank
    order[one], order[other] = order[other], order[one]
    return shaping.transpose(call, tuple(order))


def _expand(call: KerasCall) -> Raised:
    shape, axis = call.view.shape, _setting(call, "axis")
    if shape is None:
        return add_declared(call)
    dims: list[Dim] = list(shape)
    axes = cast("list[int]", axis) if isinstance(axis, list) else [int(axis)]
    for place in sorted(item % (len(shape) + len(axes)) for item in axes):
        dims.insert(place, 1)
    return shaping.reshape(call, tuple(dims))


def _squeeze(call: KerasCall) -> Raised:
    shape, axis = call.view.shape, _setting(call, "axis")
    if shape is None:
        return add_declared(call)
    if axis is None:
        gone = {index for index, dim in enumerate(shape) if dim == 1}
    else:
        gone = {item % len(shape) for item in (cast("list[int]", axis) if isinstance(axis, list) else [int(axis)])}
    return shaping.reshape(call, tuple(dim for index, dim in enumerate(shape) if index not in gone))


def _concatenate(call: KerasCall) -> TensorView:
    axis = _setting(call, "axis", -1)
    return ops.concat(call, call.views, axis if isinstance(axis, int) else -1)


def _matmul(call: KerasCall) -> Raised:
    if len(call.views) != 2:
        return add_declared(call)
    left, right = (call.builder.tensor(view) for view in call.views)
    return call.add(MatMul(inputs=(left, right), **call.identity))


def _einsum(call: KerasCall) -> Raised:
    equation = _setting(call, "subscripts")
    if not isinstance(equation, str) or "->" not in equation or "." in equation:
        return add_declared(call)
    tensors = tuple(call.builder.tensor(view) for view in call.views)
    return call.add(Einsum(inputs=tensors, equation=equation.replace(" ", ""), **call.identity))


FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(ACTIVATIONS, _activation),
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(REDUCTIONS, _reduce),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    "Concatenate": _concatenate,
    "Einsum": _einsum,
    "ExpandDims": _expand,
    "Matmul": _matmul,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Swapaxes": _swap,
    "Transpose": _transpose,
}
"""Handlers of functions of `keras.ops`."""

LAYERS: dict[str, Handler] = dict.fromkeys(TF_FUNCTIONS, _tensorflow)
"""Layers that call TensorFlow functions."""
