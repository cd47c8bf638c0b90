"""Gemm, MatMul and their kin: dense layers where one side is constant, products of activations otherwise."""

from __future__ import annotations

from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import Constant, Rows
from cnnlint.graph.layers import Dense, Einsum, MatMul
from cnnlint.graph.tensor import Dim, Shape, Tensor


def lower_gemm(state: Lowering) -> None:
    """Lower Gemm: A, B, C."""
    kernel = state.constant(1)
    if kernel is None or kernel.shape is None or state.attribute_int("transA", 0):
        turned = tuple(bool(state.attribute_int(name, 0)) for name in ("transA", "transB"))
        _product(state, 0, 1, turned=(turned[0], turned[1]))
        return
    _dense(state, (0, 1), kernel, _units(state, kernel.shape), bias=state.constant(2))


def lower_matmul(state: Lowering) -> None:
    """Lower MatMul: A, B."""
    _matmul(state, 0, 1)


def lower_qlinear_matmul(state: Lowering) -> None:
    """Lower QLinearMatMul: a, its scale and zero point, b, ..."""
    _matmul(state, 0, 3)


def lower_qgemm(state: Lowering) -> None:
    """Lower com.microsoft.QGemm: A, its scale and zero point, B, its scale and zero point, C, ..."""
    kernel = state.constant(3)
    if kernel is None or kernel.shape is None:
        _product(state, 0, 3)
        return
    _dense(state, (0, 3), kernel, _units(state, kernel.shape), bias=state.constant(6))


def _units(state: Lowering, shape: Shape) -> Dim:
    """Return the extent of the matrix B that the product has."""
    if len(shape) != 2:
        raise ContradictionError(f"its B has {len(shape)} axes, not 2")
    return shape[0 if state.attribute_int("transB", 0) else 1]


def lower_fused_matmul(state: Lowering) -> None:
    """Lower com.microsoft.FusedMatMul: A, B, transposed by attributes."""
    kernel = state.constant(1)
    if kernel is not None and kernel.shape is not None and len(kernel.shape) == 2:
        _dense(state, (0, 1), kernel, kernel.shape[0 if state.attribute_int("transB", 0) else 1])
    else:
        turned = tuple(bool(state.attribute_int(name, 0)) for name in ("transA", "transB"))
        _product(state, 0, 1, turned=(turned[0], turned[1]))


def _matmul(state: Lowering, left: int, right: int) -> None:
    kernel = state.constant(right)
    if kernel is not None and kernel.shape is not None and len(kernel.shape) == 2:
        _dense(state, (left, right), kernel, kernel.shape[1])
        return
    kernel = state.constant(left)
    if kernel is not None and kernel.shape is not None and len(kernel.shape) == 2:
        _dense(state, (left, right), kernel, kernel.shape[0], axis=-2)
        return
    _product(state, left, right)


def _dense(
    state: Lowering,
    factors: tuple[int, int],
    kernel: Constant,
    units: object,
    *,
    bias: Constant | None = None,
    axis: int = -1,
) -> None:
    """Emit a dense layer; `factors` are the places of left and right, and the kernel is the left one for axis −2."""
    data = factors[1 if axis == -2 else 0]
    source = state.value(data)
    rows = isinstance(source, Rows) and axis == -1
    view = source.view if isinstance(source, Rows) and rows else state.view(data)
    if not isinstance(units, int) or view.rank is None or view.rank < 2:
        _product(state, *factors)
        return
    biases = state.weights(bias, "bias")
    layer = Dense(
        name=state.label,
        inputs=(view.tensor,),
        units=units,
        axis=view.axis(axis),
        use_bias=bool(biases),
        weights=(*state.weights(kernel, "kernel"), *biases),
        origin=state.origin,
    )
    outputs = state.emit(layer, like=view)
    if rows:
        state.give(Rows(view.of(outputs[0])))


def _product(state: Lowering, left: int, right: int, *, turned: tuple[bool, bool] = (False, False)) -> None:
    tensors = list[Tensor]()
    for index, turn in zip((left, right), turned, strict=True):
        view = state.view(index)
        if turn and view.rank is not None and view.rank > 1:
            view = view.transposed((*range(view.rank - 2), view.rank - 1, view.rank - 2))
        tensors.append(state.draft.tensor(view))
    state.emit(MatMul(name=state.label, inputs=tuple(tensors), origin=state.origin))


def lower_einsum(state: Lowering) -> None:
    """Lower Einsum of two operands; a constant one holds weights."""
    equation = state.attribute_text("equation", "").replace(" ", "")
    if "->" not in equation or "." in equation:
        views = [state.tensor(index) for index in range(len(state.node.inputs))]
        state.emit(Einsum(name=state.label, inputs=tuple(views), equation=equation, origin=state.origin))
        return
    constants = [state.constant(index) for index in range(len(state.node.inputs))]
    weights = tuple(weight for constant in constants for weight in state.weights(constant, "kernel"))
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
    tensors = tuple(state.tensor(index) for index, constant in enumerate(constants) if constant is None)
    layer = Einsum(
        name=state.label,
        inputs=tensors,
        equation=equation,
        constant_extents=tuple((label, dim) for label, dim in extents.items() if isinstance(dim, int)),
        constant_operands=tuple(index for index, constant in enumerate(constants) if constant is not None),
        weights=weights,
        origin=state.origin,
    )
    state.emit(layer)


HANDLERS: dict[str, Handler] = {
    "Einsum": lower_einsum,
    "FusedMatMul": lower_fused_matmul,
    "Gemm": lower_gemm,
    "MatMul": lower_matmul,
    "MatMulInteger": lower_matmul,
}
