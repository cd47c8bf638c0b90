"""Convolutions, pooling and reductions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from cnnlint.errors import ContradictionError, UnknownError
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext, listed
from cnnlint.frontends.onnx.operators.outside import add_operator
from cnnlint.frontends.onnx.operators.values import Constant
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.ops import Pooling
from cnnlint.frontends.raising.view import TensorView
from cnnlint.graph.dims import product
from cnnlint.graph.layers import ConvTranspose
from cnnlint.graph.tensor import Dim, Shape
from cnnlint.graph.window import Padding

REDUCTIONS = {
    "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min", "ReduceSum": "sum", "ReduceProd": "prod",
    "ReduceL1": "l1", "ReduceL2": "l2", "ReduceLogSum": "log_sum", "ReduceLogSumExp": "log_sum_exp",
    "ReduceSumSquare": "sum_square",
}  # fmt: skip
"""ONNX reductions -> functions of the vocabulary."""

POOLINGS: dict[str, Pooling] = {
    "MaxPool": "max", "AveragePool": "avg", "LpPool": "lp", "GlobalMaxPool": "max", "GlobalAveragePool": "avg",
    "GlobalLpPool": "lp",
}  # fmt: skip


def conv(ctx: NodeContext, *, kernel: int, bias: int | None, dtype: str | None = None) -> None:
    """Handle a convolution, given the indices of its inputs and the type of its output."""
    view = ctx.view(0)
    filters, seen, *taps = _kernel(ctx, kernel)
    groups = ctx.attribute_int("group", 1)
    _check_channels(ctx, view, seen * groups, "its kernel" if groups == 1 else f"its kernel, in {groups} groups,")
    biases = ctx.weights(ctx.constant(bias), "bias") if bias is not None else ()
    made = ops.conv(
        ctx,
        view,
        filters=filters,
        kernel_size=tuple(taps),
        strides=ctx.steps("strides", len(taps)),
        padding=_padding(ctx, len(taps)),
        dilation=ctx.steps("dilations", len(taps)),
        groups=groups,
        use_bias=bool(biases),
        weights=(*ctx.kernel(kernel, 0), *biases),
        dtype=dtype,
    )
    ctx.set_output(made)


def _conv_transpose(ctx: NodeContext) -> None:
    """Handle ConvTranspose: X, W (input channels first), B."""
    source = ctx.tensor(0)
    shape = _kernel(ctx, 1)
    _check_channels(ctx, ctx.view(0), shape[0], "its kernel")
    groups = ctx.attribute_int("group", 1)
    taps = shape[2:]
    rank = len(taps)
    strides, dilation = ctx.steps("strides", rank), ctx.steps("dilations", rank)
    output_padding = ctx.attribute_ints("output_padding") or (0,) * rank
    padding = _padding(ctx, rank)
    wanted = ctx.attribute_ints("output_shape")
    extents = source.spatial
    if wanted is not None and extents is not None:
        if not len(wanted[-rank:]) == len(output_padding) == len(extents) == rank:
            raise ContradictionError(f"its kernel has {rank} axes and its output_shape {len(wanted)}")
        total = [
            stride * (extent - 1) + extra + gap * (tap - 1) + 1 - want if isinstance(extent, int) else 0
            for stride, extent, extra, gap, tap, want in zip(
                strides, extents, output_padding, dilation, taps, wanted[-rank:], strict=True
            )
        ]
        padding = tuple((cut // 2, cut - cut // 2) for cut in total)
    axes = (1,) if groups == 1 else (0, 1) if groups == shape[0] else ()
    biases = ctx.weights(ctx.constant(2), "bias")
    layer = ConvTranspose(
        inputs=(source,),
        filters=shape[1] * groups,
        kernel_size=taps,
        strides=strides,
        padding=padding,
        dilation=dilation,
        output_padding=output_padding,
        groups=groups,
        use_bias=bool(biases),
        weights=(*ctx.kernel(1, *axes), *biases),
        **ctx.identity,
    )
    ctx.add_layer(layer)


def _check_channels(ctx: NodeContext, view: TensorView, wanted: int, what: str) -> None:
    shape = view.shape
    if shape is not None and len(shape) > 1 and isinstance(shape[1], int) and shape[1] != wanted:
        ctx.contradict(f"{what} takes {wanted:,} channels, and its input has {shape[1]:,}")


def _padding(ctx: NodeContext, rank: int) -> Padding:
    """Return the padding of a node by its `pads` and `auto_pad`."""
    auto = ctx.attribute_text("auto_pad", "NOTSET")
    if auto == "SAME_UPPER":
        return "same_upper"
    if auto == "SAME_LOWER":
        return "same_lower"
    pads = ctx.attribute_ints("pads")
    if auto == "VALID" or pads is None:
        return ((0, 0),) * rank
    if len(pads) != 2 * rank:
        raise ContradictionError(f"it has {len(pads)} pads for {rank} axes")
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def _kernel(ctx: NodeContext, index: int) -> tuple[int, ...]:
    """Return the extents of the kernel."""
    value = ctx.value(index)
    shape: Shape | None = value.shape
    if shape is None or not all(isinstance(dim, int) for dim in shape):
        declared = ctx.declared(ctx.node.inputs[index])
        shape = None if declared is None else declared.shape
    extents = tuple(dim for dim in shape or () if isinstance(dim, int))
    if shape is None or len(extents) != len(shape):
        raise UnknownError(f"its kernel has the shape {shape}, which is not known in advance")
    if len(shape) < 3:
        raise ContradictionError(f"its kernel has the shape {shape}, which is not filters × channels × taps")
    wanted = ctx.attribute_ints("kernel_shape")
    if wanted is not None and wanted != extents[2:]:
        ctx.contradict(f"its kernel_shape is {listed(wanted)}, and its kernel is {listed(extents[2:])}")
    return extents


def window_pool(ctx: NodeContext) -> None:
    """Handle MaxPool, AveragePool and LpPool."""
    view, size = ctx.view(0), ctx.attribute_ints("kernel_shape") or ()
    made = ops.pool(
        ctx,
        view,
        POOLINGS[ctx.node.op_type],
        pool_size=size,
        strides=ctx.steps("strides", len(size)),
        padding=_padding(ctx, len(size)),
        dilation=ctx.steps("dilations", len(size)),
        ceil_mode=bool(ctx.attribute_int("ceil_mode", 0)),
        count_include_pad=bool(ctx.attribute_int("count_include_pad", 0)),
    )
    ctx.set_output(made)
    if ctx.node.op_type == "MaxPool":
        ctx.add_side_outputs(1, (ctx.tensor(0),), (made.shape,))


def global_pool(ctx: NodeContext) -> None:
    """Handle GlobalAveragePool, GlobalMaxPool and GlobalLpPool."""
    ctx.set_output(ops.global_pool(ctx, ctx.view(0), POOLINGS[ctx.node.op_type], keepdims=True))


def reduce(ctx: NodeContext) -> None:
    """Handle a reduction; a mean or maximum over all spatial axes is a global pool."""
    value = ctx.value(0)
    axes, known = ctx.setting(1, "axes")
    keepdims = bool(ctx.attribute_int("keepdims", 1))
    if isinstance(value, Constant):
        _reduce_constant(ctx, value, axes if known else None, keepdims=keepdims)
        return
    view = ctx.view(0)
    if view.shape is None or not known:
        add_operator(ctx)
        return
    if not axes and ctx.attribute_int("noop_with_empty_axes", 0):
        ctx.set_output(view)
        return
    function = REDUCTIONS[ctx.node.op_type]
    ctx.set_output(ops.reduce(ctx, view, function, axes or range(len(view.shape)), keepdims=keepdims))


def _reduce_constant(ctx: NodeContext, value: Constant, axes: Sequence[int] | None, *, keepdims: bool) -> None:
    """Reduce a constant along `axes`, which are None if nobody knows them; none at all stand for every one."""
    if not axes and axes is not None and ctx.attribute_int("noop_with_empty_axes", 0):
        ctx.set_output(value)
        return
    shape: Shape | None = None
    result: tuple[Dim | float, ...] | None = None
    if value.shape is not None and axes is not None:
        rank = len(value.shape)
        gone = {axis % rank for axis in axes} if axes and rank else set(range(rank))
        kept = [1 if axis in gone else extent for axis, extent in enumerate(value.shape)]
        shape = tuple(extent for axis, extent in enumerate(kept) if keepdims or axis not in gone)
        if ctx.node.op_type == "ReduceProd" and value.dims is not None and len(gone) == rank:
            result = (product(value.dims),)
    ctx.set_output(Constant(shape, value.dtype, value.records, result))


HANDLERS: dict[str, Handler] = {
    "Conv": partial(conv, kernel=1, bias=2),
    "ConvInteger": partial(conv, kernel=1, bias=None, dtype="int32"),
    "ConvTranspose": _conv_transpose,
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), window_pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"), global_pool),
    **dict.fromkeys(REDUCTIONS, reduce),
}
