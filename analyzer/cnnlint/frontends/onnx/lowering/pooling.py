"""Pooling over windows and whole maps, and reductions that pool."""

from __future__ import annotations

from typing import Literal

from cnnlint.frontends.onnx.lowering.convolution import window_padding
from cnnlint.frontends.onnx.lowering.operators import emit_operator
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import Constant
from cnnlint.frontends.raising.view import View, axis_within
from cnnlint.graph.dims import product
from cnnlint.graph.layers import AvgPool, GlobalPool, MaxPool, Reduce
from cnnlint.graph.tensor import Dim, Shape
from cnnlint.graph.window import resolve_pads

Mode = Literal["avg", "max", "lp"]

FUNCTIONS = {
    "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceSum": "sum", "ReduceProd": "prod",
    "ReduceL1": "l1", "ReduceL2": "l2", "ReduceLogSum": "log_sum", "ReduceLogSumExp": "log_sum_exp",
    "ReduceSumSquare": "sum_square",
}  # fmt: skip
"""ONNX's reductions and our names for them."""


def lower_window_pool(state: Lowering) -> None:
    """Lower MaxPool, AveragePool and LpPool."""
    source = state.tensor(0)
    size = state.attribute_ints("kernel_shape") or ()
    rank = len(size)
    strides, dilation = state.steps("strides", rank), state.steps("dilations", rank)
    padding = window_padding(state, rank)
    padding = resolve_pads(padding, source.spatial, size, strides, dilation) or padding
    maximum = state.node.op_type == "MaxPool"
    if state.node.op_type == "LpPool" and size == source.spatial and all(pads == (0, 0) for pads in padding):
        _global(state, "lp")
        return
    ceil_mode = bool(state.attribute_int("ceil_mode", 0))
    if maximum:
        layer = MaxPool(
            name=state.label,
            inputs=(source,),
            pool_size=size,
            strides=strides,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
            origin=state.origin,
        )
        outputs = state.draft.add(layer, [state.node.outputs[0]])
        state.give(View(outputs[0]))
        state.give_aside(1, (source,), (outputs[0].shape,))
        return
    state.emit(
        AvgPool(
            name=state.label,
            inputs=(source,),
            pool_size=size,
            strides=strides,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
            count_include_pad=bool(state.attribute_int("count_include_pad", 0)),
            origin=state.origin,
        )
    )


def lower_global_pool(state: Lowering) -> None:
    """Lower GlobalAveragePool, GlobalMaxPool and GlobalLpPool."""
    kinds: dict[str, Mode] = {"GlobalMaxPool": "max", "GlobalLpPool": "lp"}
    _global(state, kinds.get(state.node.op_type, "avg"))


def _global(state: Lowering, mode: Mode) -> None:
    layer = GlobalPool(name=state.label, inputs=(state.tensor(0),), mode=mode, keepdims=True, origin=state.origin)
    state.emit(layer)


def lower_reduce(state: Lowering) -> None:
    """Lower a reduction; a mean or maximum over all spatial axes is a global pool."""
    value = state.value(0)
    axes, known = state.setting(1, "axes")
    keepdims = bool(state.attribute_int("keepdims", 1))
    if isinstance(value, Constant):
        _reduce_constant(state, value, keepdims=keepdims)
        return
    view = state.view(0)
    if view.shape is None or not known:
        emit_operator(state)
        return
    if not axes:
        if state.attribute_int("noop_with_empty_axes", 0):
            state.give(view)
            return
        axes = tuple(range(len(view.shape)))
    reduced = {view.axis(axis) for axis in axes}
    spatial = set(range(2, len(view.shape)))
    kinds: dict[str, Mode] = {"ReduceMean": "avg", "ReduceMax": "max"}
    if spatial and reduced == spatial and state.node.op_type in kinds:
        layer = GlobalPool(
            name=state.label,
            inputs=(view.tensor,),
            mode=kinds[state.node.op_type],
            keepdims=keepdims,
            origin=state.origin,
        )
        state.emit(layer, like=view if keepdims else None)
        return
    keeps_order = keepdims and view.permutation is not None
    source = view.tensor if keeps_order else state.draft.tensor(view)
    layer = Reduce(
        name=state.label,
        inputs=(source,),
        function=FUNCTIONS[state.node.op_type],
        axes=tuple(sorted(reduced if keeps_order else (axis_within(axis, view.shape) for axis in axes))),
        keepdims=keepdims,
        origin=state.origin,
    )
    state.emit(layer, like=view if keeps_order else None)


def _reduce_constant(state: Lowering, value: Constant, *, keepdims: bool) -> None:
    shape: Shape = (1,) * len(value.shape or ()) if keepdims else ()
    result: tuple[Dim | float, ...] | None = None
    if state.node.op_type == "ReduceProd" and value.dims is not None:
        result = (product(value.dims),)
    state.give(Constant(shape, value.dtype, value.records, result))


HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), lower_window_pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), lower_global_pool),
    **dict.fromkeys(FUNCTIONS, lower_reduce),
}
