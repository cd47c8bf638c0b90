"""Functions of `keras.ops` in a Functional model: each call of one is a step as a layer is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from msgspec.structs import replace

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.definition import collect
from cnnlint.frontends.keras.lowering import pooling, shaping
from cnnlint.frontends.keras.lowering.activation import activate
from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.merge import concatenate, elementwise
from cnnlint.frontends.keras.lowering.operators import add_declared, add_opaques, add_operator
from cnnlint.frontends.keras.settings import snake_case
from cnnlint.frontends.raising.view import View
from cnnlint.graph.layers import Einsum, GlobalPool, MatMul
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

BOOLEAN = frozenset(["equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "and", "or", "xor", "not"])

ACTIVATIONS = frozenset(
    ["Relu", "Relu6", "Sigmoid", "SparseSigmoid", "Softplus", "Softsign", "SoftShrink", "SparsePlus", "Silu",
     "Squareplus", "LogSigmoid", "LeakyRelu", "HardSigmoid", "HardSilu", "Elu", "Selu", "Gelu", "Celu", "Glu",
     "TanhShrink", "HardTanh", "HardShrink", "Threshold", "Softmax", "LogSoftmax", "Sparsemax", "Tanh"]
)  # fmt: skip

REDUCTIONS = frozenset(
    ["Mean", "Max", "Amax", "Min", "Amin", "Sum", "Prod", "Std", "Var", "Any", "All", "Argmax", "Argmin", "Median",
     "Logsumexp", "CountNonzero"]
)  # fmt: skip

PRODUCTS = frozenset(
    ["Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "Dot", "Tensordot", "Inner", "Outer", "Vdot", "Kron",
     "DotProductAttention", "Map", "Scan", "AssociativeScan", "WhileLoop", "ForiLoop", "Cond", "VectorizedMap"]
)  # fmt: skip
"""Functions that do multiply-accumulates which are not counted here."""

POOLS = {"MaxPool": "MaxPooling{}D", "AveragePool": "AveragePooling{}D"}


def lower_function(call: Call) -> list[View]:
    """Add what a function of `keras.ops` becomes, and return its outputs."""
    name = call.layer.class_name
    if not call.views:
        return add_declared(call)
    if name in ACTIVATIONS:
        view = call.view
        function = settings.SYNONYMS.get(snake_case(name), snake_case(name))
        fields: dict[str, Any] = {"axis": _setting(call, "axis", -1)} if "oftmax" in name or name == "Sparsemax" else {}
        return [activate(call, view, function, "", **fields)]
    if name in BINARY:
        return [_binary(call, BINARY[name])]
    if name in UNARY:
        dtype = str(call.config.get("dtype") or call.view.tensor.dtype) if name == "Cast" else None
        return [elementwise(call, UNARY[name], [call.view], "bool" if UNARY[name] in BOOLEAN else dtype)]
    if name in REDUCTIONS:
        return [_reduce(call)]
    if name in POOLS:
        return [_pool(call)]
    if (raiser := FUNCTIONS.get(name)) is not None and (made := raiser(call)) is not None:
        return [made]
    return add_opaques(call, f"the function {name}") if name in PRODUCTS else add_declared(call)


def _setting(call: Call, name: str, default: Any = None) -> Any:
    """Return an argument of the function: from its configuration, or from the call."""
    value = call.config.get(name, call.kwargs.get(name, default))
    found = settings.items(value)
    return value if found is None else found


def _binary(call: Call, function: str) -> View:
    operands = [*call.args, *(call.kwargs[name] for name in ("x1", "x2", "y") if name in call.kwargs)]
    constants = [(index, value) for index, value in enumerate(operands) if not collect(value, View)]
    dtype = "bool" if function in BOOLEAN else None
    if not constants or len(operands) > 2:
        return elementwise(call, function, call.views, dtype)
    index, constant = constants[0]
    shape = _constant_shape(constant)
    view = call.view
    if shape:
        rank = view.rank or 0
        shape = view.in_graph_order((*((1,) * (rank - len(shape))), *shape)) if len(shape) <= rank else shape
    left = index == 0 and function in ("sub", "div", "pow")
    return elementwise(
        call,
        f"r{function}" if left else function,
        [view],
        dtype,
        constant_shape=shape,
        constant=float(constant) if isinstance(constant, int | float) else None,
    )


def _constant_shape(value: Any) -> Shape:
    """Return the shape of a number, or of an array as Keras serialises it."""
    if (array := settings.mapping(value)) is not None:
        value = (settings.mapping(array.get("config")) or {}).get("value")
    shape = list[Dim]()
    while isinstance(value, list):
        shape.append(len(cast("list[Any]", value)))
        value = cast("list[Any]", value)[0] if value else None
    return tuple(shape)


def _reduce(call: Call) -> View:
    view, name = call.view, call.layer.class_name
    shape = view.shape
    if shape is None:
        return add_declared(call)[0]
    axis = _setting(call, "axis")
    listed = settings.items(axis) or [axis]
    wanted: list[int] = list(range(len(shape))) if axis is None else [int(item) for item in listed]
    axes = {view.axis(item) for item in wanted}
    keepdims = bool(_setting(call, "keepdims", False))
    spatial = set(range(2, len(shape)))
    if name in ("Mean", "Max", "Amax") and spatial and axes == spatial and (view.is_channels_last or len(shape) > 3):
        mode = "avg" if name == "Mean" else "max"
        layer = GlobalPool(inputs=(view.tensor,), mode=mode, keepdims=keepdims, **call.identity())
        return call.add(layer, like=view)
    inside = view.tensor.shape or ()
    dtype = "int64" if name.startswith("Arg") else "bool" if name in ("Any", "All") else None
    if keepdims:
        kept = tuple(1 if index in axes else dim for index, dim in enumerate(inside))
        return add_operator(call, kept, like=view, dtype=dtype)
    source_axes = {item % len(shape) for item in wanted}
    left = tuple(dim for index, dim in enumerate(shape) if index not in source_axes)
    return add_operator(call, left, dtype=dtype)


def _pool(call: Call) -> View:
    rank = (call.view.rank or 4) - 2
    config = {**call.config, "data_format": call.config.get("data_format") or "channels_last"}
    name = POOLS[call.layer.class_name].format(rank)
    inner = Call(replace(call.layer, config=config), call.args, call.kwargs, call.draft)
    return pooling.LAYERS[name](inner)


def _reshape(call: Call) -> View | None:
    target = _setting(call, "newshape") or _setting(call, "shape")
    shape = call.view.shape
    if not isinstance(target, list) or shape is None:
        return None
    dims: list[Dim] = [dim if isinstance(dim, int) else None for dim in cast("list[Any]", target)]
    if dims and dims[0] in (None, -1):
        # The batch is left free; what is −1 behind it is worked out.
        dims[0] = shape[0]
    return shaping.reshape(call, call.view, tuple(dims))


def _transpose(call: Call) -> View | None:
    rank = call.view.rank
    if rank is None:
        return None
    axes = _setting(call, "axes") or _setting(call, "perm")
    return shaping.transpose(call, call.view, tuple(axes or reversed(range(rank))))


def _swap(call: Call) -> View | None:
    rank = call.view.rank
    if rank is None:
        return None
    order = list(range(rank))
    one, other = int(_setting(call, "axis1")) % rank, int(_setting(call, "axis2")) % rank
    order[one], order[other] = order[other], order[one]
    return shaping.transpose(call, call.view, tuple(order))


def _expand(call: Call) -> View | None:
    shape, axis = call.view.shape, _setting(call, "axis")
    if shape is None:
        return None
    dims: list[Dim] = list(shape)
    axes = cast("list[int]", axis) if isinstance(axis, list) else [int(axis)]
    for place in sorted(item % (len(shape) + len(axes)) for item in axes):
        dims.insert(place, 1)
    return shaping.reshape(call, call.view, tuple(dims))


def _squeeze(call: Call) -> View | None:
    shape, axis = call.view.shape, _setting(call, "axis")
    if shape is None:
        return None
    wanted: Iterable[int] = (
        [index for index, dim in enumerate(shape) if dim == 1]
        if axis is None
        else cast("list[int]", axis)
        if isinstance(axis, list)
        else [int(axis)]
    )
    gone = {item % len(shape) for item in wanted}
    return shaping.reshape(call, call.view, tuple(dim for index, dim in enumerate(shape) if index not in gone))


def _concatenate(call: Call) -> View:
    axis = _setting(call, "axis", -1)
    return concatenate(call, call.views, axis if isinstance(axis, int) else -1)


def _matmul(call: Call) -> View | None:
    if len(call.views) != 2:
        return None
    left, right = (call.draft.tensor(view) for view in call.views)
    return call.add(MatMul(inputs=(left, right), **call.identity()))


def _einsum(call: Call) -> View | None:
    equation = _setting(call, "subscripts")
    if not isinstance(equation, str) or "->" not in equation or "." in equation:
        return None
    tensors = tuple(call.draft.tensor(view) for view in call.views)
    return call.add(Einsum(inputs=tensors, equation=equation.replace(" ", ""), **call.identity()))


FUNCTIONS: dict[str, Callable[[Call], View | None]] = {
    "Reshape": _reshape, "Transpose": _transpose, "Swapaxes": _swap, "ExpandDims": _expand, "Squeeze": _squeeze,
    "Concatenate": _concatenate, "Matmul": _matmul, "Einsum": _einsum,
}  # fmt: skip
"""Functions that become a layer of the vocabulary; None where the file does not say enough."""
