"""Operators that multiply matrices: Gemm, MatMul and variants, Einsum, recurrent cells, attention."""

from __future__ import annotations

from typing import Literal

from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext, listed
from cnnlint.frontends.onnx.operators.outside import add_opaque
from cnnlint.frontends.onnx.operators.values import Constant, FlattenedRows
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import Permutation, TensorView
from cnnlint.graph.layers import Attention, Einsum, MatMul, Recurrent
from cnnlint.graph.tensor import Dim, Shape, Tensor

CELLS: dict[str, Literal["lstm", "gru", "rnn"]] = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn"}


def _gemm(ctx: NodeContext) -> None:
    """Handle Gemm: A, B, C."""
    _check_inner(ctx, 0, 1, _transposed(ctx))
    kernel = ctx.constant(1)
    if kernel is None or kernel.shape is None or ctx.attribute_int("transA", 0):
        _product(ctx, 0, 1, transposed=_transposed(ctx))
        return
    _dense(ctx, (0, 1), _units(ctx, kernel.shape), features=_features(ctx), bias=ctx.constant(2))


def qgemm(ctx: NodeContext) -> None:
    """Handle com.microsoft.QGemm: A, its scale and zero point, B, its scale and zero point, C, ..."""
    kernel = ctx.constant(3)
    if kernel is None or kernel.shape is None:
        _product(ctx, 0, 3)
        return
    _dense(ctx, (0, 3), _units(ctx, kernel.shape), features=_features(ctx), bias=ctx.constant(6))


def _features(ctx: NodeContext) -> int:
    """Return the axis of the matrix B that is an axis of the product."""
    return 0 if ctx.attribute_int("transB", 0) else 1


def _units(ctx: NodeContext, shape: Shape) -> Dim:
    """Return the extent of the matrix B that is an axis of the product."""
    if len(shape) != 2:
        raise ContradictionError(f"its B has {len(shape)} axes, not 2")
    return shape[_features(ctx)]


def _fused_matmul(ctx: NodeContext) -> None:
    """Handle com.microsoft.FusedMatMul: A, B, transposed by attributes."""
    kernel = ctx.constant(1)
    if kernel is not None and kernel.shape is not None and len(kernel.shape) == 2:
        _dense(ctx, (0, 1), _units(ctx, kernel.shape), features=_features(ctx))
    else:
        _product(ctx, 0, 1, transposed=_transposed(ctx))


def _check_inner(ctx: NodeContext, left: int, right: int, transposed: tuple[bool, bool] = (False, False)) -> None:
    """Note that the columns of the first factor are not as many as the rows of the second."""
    first, second = list(ctx.value(left).shape or ()), list(ctx.value(right).shape or ())
    if not first or not second:
        return
    columns = first[-2] if transposed[0] and len(first) > 1 else first[-1]
    rows = second[-2] if len(second) > 1 and not transposed[1] else second[-1]
    if columns != rows and isinstance(columns, int) and isinstance(rows, int):
        ctx.contradict(f"it cannot multiply {listed(first)} and {listed(second)}: {columns:,} columns, {rows:,} rows")


def _transposed(ctx: NodeContext) -> tuple[bool, bool]:
    return bool(ctx.attribute_int("transA", 0)), bool(ctx.attribute_int("transB", 0))


def matmul(ctx: NodeContext, left: int = 0, right: int = 1) -> None:
    """Handle a matrix product, given the indices of its factors."""
    _check_inner(ctx, left, right)
    kernel = ctx.constant(right)
    if kernel is not None and kernel.shape is not None and len(kernel.shape) == 2:
        _dense(ctx, (left, right), kernel.shape[1], features=1)
        return
    kernel = ctx.constant(left)
    if kernel is not None and kernel.shape is not None and len(kernel.shape) == 2:
        _dense(ctx, (left, right), kernel.shape[0], features=0, axis=-2)
        return
    _product(ctx, left, right)


def _dense(
    ctx: NodeContext,
    factors: tuple[int, int],
    units: Dim,
    *,
    features: int,
    bias: Constant | None = None,
    axis: int = -1,
) -> None:
    """Add a dense layer.

    Args:
        ctx: The context.
        factors: The indices of both factors; the kernel is the first for axis −2.
        units: Output features.
        features: The kernel's axis that runs over them.
        bias: A constant that is added.
        axis: The feature axis of the input.
    """
    data, kernel = factors[::-1] if axis == -2 else factors
    value = ctx.value(data)
    view = value.view if isinstance(value, FlattenedRows) and axis == -1 else ctx.view(data)
    if not isinstance(units, int) or view.rank is None or view.rank < 2:
        _product(ctx, *factors)
        return
    biases = ctx.weights(bias, "bias")
    weights = (*ctx.kernel(kernel, features), *biases)
    made = ops.dense(ctx, view, units, weights=weights, use_bias=bool(biases), axis=axis)
    ctx.set_alike(made, value if axis == -1 else made)


def _product(ctx: NodeContext, left: int, right: int, *, transposed: tuple[bool, bool] = (False, False)) -> None:
    tensors = list[Tensor]()
    for index, is_transposed in zip((left, right), transposed, strict=True):
        view = ctx.view(index)
        if is_transposed and view.rank is not None and view.rank > 1:
            view = view.transposed((*range(view.rank - 2), view.rank - 1, view.rank - 2))
        tensors.append(ctx.builder.tensor(view))
    ctx.add_layer(MatMul(inputs=tuple(tensors), **ctx.identity))


def _einsum(ctx: NodeContext) -> None:
    """Handle Einsum of two operands; a constant one holds weights."""
    equation = ctx.attribute_text("equation", "").replace(" ", "")
    if "->" not in equation or "." in equation:
        tensors = tuple(ctx.tensor(index) for index in range(len(ctx.node.inputs)))
        ctx.add_layer(Einsum(inputs=tensors, equation=equation, **ctx.identity))
        return
    constants = [ctx.constant(index) for index in range(len(ctx.node.inputs))]
    operands = equation.split("->")[0].split(",")
    if len(operands) != len(constants) or any(
        constant is not None and constant.shape is not None and len(labels) != len(constant.shape)
        for labels, constant in zip(operands, constants, strict=True)
    ):
        raise ContradictionError("its equation does not fit its operands")
    extents = {
        label: dim
        for labels, constant in zip(operands, constants, strict=True)
        if constant is not None and constant.shape is not None
        for label, dim in zip(labels, constant.shape, strict=True)
    }
    layer = Einsum(
        inputs=tuple(ctx.tensor(index) for index, constant in enumerate(constants) if constant is None),
        equation=equation,
        constant_extents=tuple((label, dim) for label, dim in extents.items() if isinstance(dim, int)),
        constant_operands=tuple(index for index, constant in enumerate(constants) if constant is not None),
        weights=tuple(weight for constant in constants for weight in ctx.weights(constant, "kernel")),
        **ctx.identity,
    )
    ctx.add_layer(layer)


def _recurrent(ctx: NodeContext) -> None:
    """Handle LSTM, GRU and RNN: X, W, R, B, ...; time steps come first in the file, or with `layout` the batch."""
    steps_first = not ctx.attribute_int("layout", 0)
    view = ctx.view(0)
    if view.rank == 3 and steps_first:
        view = view.transposed((1, 0, 2))
    source = ctx.builder.tensor(view)
    kernel = ctx.constant(1)
    units = ctx.attribute_int("hidden_size", 0)
    directions = 2 if ctx.attribute_text("direction", "forward") == "bidirectional" else 1
    batch, steps = source.shape[:2] if source.shape is not None and len(source.shape) == 3 else (None, None)
    features = kernel.shape[-1] if kernel is not None and kernel.shape else None
    last: Shape = (batch, directions, units)
    shapes: tuple[Shape, ...] = ((batch, steps, directions, units), last, last)
    layer = Recurrent(
        inputs=(source,),
        cell=CELLS[ctx.node.op_type],
        units=units,
        directions=directions,
        steps=steps,
        input_features=features if isinstance(features, int) else None,
        shapes=shapes[: len(ctx.node.outputs)],
        weights=(
            *ctx.weights(kernel, "kernel"),
            *ctx.weights(ctx.constant(2), "recurrent_kernel"),
            *ctx.weights(ctx.constant(3), "bias"),
        ),
        **ctx.identity,
    )
    orders: tuple[Permutation, ...] = ((1, 2, 0, 3), (1, 0, 2), (1, 0, 2))
    for index, (tensor, order) in enumerate(zip(ctx.add_layer(layer), orders, strict=False)):
        ctx.set_output(TensorView(tensor, order if steps_first else None), index)


def _attention(ctx: NodeContext) -> None:
    """Handle the Attention operator of opset 23: Q, K, V as (batch, heads, tokens, features) or packed."""
    tensors = tuple(ctx.tensor(index) for index in range(3))
    query, key, value = (tensor.shape for tensor in tensors)
    if query is None or key is None or value is None or ctx.node.domain:
        add_opaque(ctx, "an attention whose shapes are unknown", lacks_shapes=True)
        return
    if not len(query) == len(key) == len(value) or len(query) not in (3, 4):
        raise ContradictionError(f"query, key and value have {len(query)}, {len(key)} and {len(value)} axes")
    if len(query) == 4:
        heads, key_dim, value_dim = query[1], query[3], value[3]
        queries, keys = query[2], key[2]
        shape: Shape = (query[0], heads, queries, value_dim)
    else:
        heads = ctx.attribute_int("q_num_heads", 1)
        pairs = ctx.attribute_int("kv_num_heads", heads)
        if heads < 1 or pairs < 1:
            raise ContradictionError(f"its number of heads is {min(heads, pairs)}")
        key_dim = query[2] // heads if isinstance(query[2], int) else None
        value_dim = value[2] // pairs if isinstance(value[2], int) else None
        queries, keys = query[1], key[1]
        shape = (query[0], queries, None if value_dim is None else heads * value_dim)
    if not (isinstance(heads, int) and isinstance(key_dim, int) and isinstance(value_dim, int)):
        add_opaque(ctx, "an attention whose heads are unknown", lacks_shapes=True)
        return
    layer = Attention(
        inputs=tensors,
        heads=heads,
        key_dim=key_dim,
        value_dim=value_dim,
        projects=False,
        tokens=(queries, keys),
        shape=shape,
        **ctx.identity,
    )
    ctx.set_output(ctx.add(layer))
    declared = [ctx.declared(name) for name in ctx.node.outputs[1:]]
    ctx.add_side_outputs(1, tensors, tuple(None if record is None else record.shape for record in declared))


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(CELLS, _recurrent),
    "Attention": _attention,
    "Einsum": _einsum,
    "FusedMatMul": _fused_matmul,
    "Gemm": _gemm,
    "MatMul": matmul,
    "MatMulInteger": matmul,
}
