"""Operators that change a shape, by their effect on the axes, and operators that enlarge a tensor."""

from __future__ import annotations

from math import inf
from struct import pack, unpack

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.operators.context import Handler, NodeContext
from cnnlint.frontends.onnx.operators.outside import add_operator
from cnnlint.frontends.onnx.operators.values import Constant, FlattenedRows, spread, transposed
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import Permutation, TensorView, axis_within, to_channels_first, to_channels_last
from cnnlint.graph.dims import product, quotient
from cnnlint.graph.layers import DepthToSpace, Flatten, Operator
from cnnlint.graph.layers.pointwise import broadcast
from cnnlint.graph.tensor import Dim, Shape


def _reshape(ctx: NodeContext) -> None:
    """Handle Reshape: data, shape."""
    value = ctx.value(0)
    wanted = ctx.constant(1)
    target = wanted.dims if wanted is not None else ctx.attribute_ints("shape")
    if target is None and wanted is not None and wanted.shape and isinstance(wanted.shape[0], int):
        target = limits.unknown(wanted.shape[0])
    resolved = None
    if target is not None:
        resolved = _resolved(target, value.shape, keep_zero=not ctx.attribute_int("allowzero", 0))
    if resolved is None or None in resolved:
        declared = ctx.declared(ctx.node.outputs[0])
        if declared is not None and declared.shape is not None:
            resolved = _merged(resolved, declared.shape)
    _to_shape(ctx, resolved)


def _merged(one: Shape | None, other: Shape) -> Shape:
    if one is None or len(one) != len(other):
        return other
    return tuple(mine if mine is not None else theirs for mine, theirs in zip(one, other, strict=True))


def _resolved(target: tuple[Dim, ...], shape: Shape | None, *, keep_zero: bool) -> Shape:
    """Resolve a Reshape's 0 (keep) and −1 (infer); None for an unknown extent."""
    dims = list(target)
    if keep_zero:
        for axis, dim in enumerate(dims):
            if dim == 0:
                dims[axis] = shape[axis] if shape is not None and axis < len(shape) else None
    if -1 in dims:
        rest = dims.index(-1)
        whole = product(shape) if shape is not None else None
        dims[rest] = quotient(whole, product(dim for dim in dims if dim != -1))
    return tuple(dims)


def _to_shape(ctx: NodeContext, target: Shape | None, *, keeps_order: bool = False) -> None:
    """Handle a change of shape, which may be a no-op, a transpose, or rows flattened for a MatMul.

    Args:
        ctx: The context.
        target: In the file's layout; None if unknown.
        keeps_order: Whether the layout stays; else it is inferred from the readers.
    """
    value = ctx.value(0)
    if isinstance(value, Constant):
        ctx.set_output(replace(value, shape=target))
        return
    view = value.view if isinstance(value, FlattenedRows) else value
    shape = view.shape
    if target is not None and target == shape:
        ctx.set_output(view)
        return
    if isinstance(value, FlattenedRows) and not _same_features(shape, target):
        view = TensorView(ctx.builder.tensor(view))
    if target is not None and shape is not None:
        if (moved := _moves_unit_axis(shape, target)) is not None:
            ctx.set_output(view.transposed(moved))
            return
        if _flattens_rows(shape, target) and ops.in_graph_order(view, target) is None:
            ctx.set_output(FlattenedRows(view))
            return
    ctx.set_output(ops.reshape(ctx, view, target, keeps_order=keeps_order))


def _same_features(shape: Shape | None, target: Shape | None) -> bool:
    return shape is not None and target is not None and len(shape) == len(target) and shape[-1] == target[-1]


def _moves_unit_axis(shape: Shape, target: Shape) -> Permutation | None:
    """Return the transpose that a Reshape is equivalent to if it only moves axes of extent 1.

    tf2onnx writes transposes of gray images and of pooled maps that way.
    """
    rank = len(shape)
    if len(target) != rank or rank < 3 or target == shape:
        return None
    pooled = sum(dim != 1 for dim in shape[1:]) == 1
    moves = ((to_channels_first(rank), shape[-1]), (to_channels_last(rank), shape[1]))
    return next(
        (
            order
            for order, channels in moves
            if (pooled or channels == 1) and target == tuple(shape[axis] for axis in order)
        ),
        None,
    )


def _flattens_rows(shape: Shape, target: Shape) -> bool:
    """Return whether all axes except the last are merged, as before a MatMul."""
    joins = len(shape) > 2 and len(target) == 2 and target[1] == shape[-1] and isinstance(target[1], int)
    return joins and not ops.flattens(shape, target)


def _flatten(ctx: NodeContext) -> None:
    """Handle Flatten, which merges the axes before `axis`, and those from it on."""
    shape = ctx.value(0).shape
    axis = ctx.attribute_int("axis", 1)
    if shape is None:
        ctx.add_layer(Flatten(inputs=(ctx.tensor(0),), **ctx.identity))
        return
    axis = axis if axis == len(shape) else axis_within(axis, shape)
    _to_shape(ctx, (product(shape[:axis]), product(shape[axis:])))


def _squeeze(ctx: NodeContext) -> None:
    """Handle Squeeze: data, axes."""
    shape = ctx.value(0).shape
    axes, known = ctx.setting(1, "axes")
    if shape is None or not known:
        add_operator(ctx)
        return
    gone = {axis for axis, dim in enumerate(shape) if dim == 1}
    if axes is not None:
        gone = {axis_within(axis, shape) for axis in axes}
    _to_shape(ctx, tuple(dim for axis, dim in enumerate(shape) if axis not in gone), keeps_order=len(shape) > 2)


def _unsqueeze(ctx: NodeContext) -> None:
    """Handle Unsqueeze: data, axes."""
    shape = ctx.value(0).shape
    axes, _ = ctx.setting(1, "axes")
    if shape is None or axes is None:
        add_operator(ctx)
        return
    rank = len(shape) + len(axes)
    added = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(added) != len(axes):
        raise ContradictionError(f"it cannot add the axes {axes} to a tensor of {len(shape)}")
    dims = iter(shape)
    target = tuple(1 if axis in added else next(dims) for axis in range(rank))
    _to_shape(ctx, target, keeps_order=len(shape) > 2)


def _transpose(ctx: NodeContext) -> None:
    """Handle Transpose: another view of the same tensor."""
    value = ctx.value(0)
    shape = value.shape
    if shape is None:
        add_operator(ctx)
        return
    permutation = ctx.attribute_ints("perm") or tuple(reversed(range(len(shape))))
    if isinstance(value, Constant):
        if sorted(permutation) != list(range(len(shape))):
            raise ContradictionError(f"{permutation} is not a permutation of {len(shape)} axes")
        moved = tuple(shape[axis] for axis in permutation)
        ctx.set_output(replace(value, shape=moved, values=transposed(value, permutation)))
        return
    ctx.set_output(ctx.view(0).transposed(permutation))


# operators that enlarge a tensor


def _expand(ctx: NodeContext) -> None:
    """Handle Expand: input, shape."""
    value = ctx.value(0)
    wanted = ctx.constant(1)
    target = None
    if wanted is not None and wanted.dims is not None and value.shape is not None:
        target = broadcast(value.shape, wanted.dims)
    if isinstance(value, Constant):
        ctx.set_output(replace(value, shape=target, values=spread(value, target), stored=False))
    elif target is not None and target == value.shape:
        ctx.set_output(value)
    else:
        _repeated(ctx, target)


def _tile(ctx: NodeContext) -> None:
    """Handle Tile: input, repeats."""
    value = ctx.value(0)
    repeats = ctx.constant(1)
    target = None
    if repeats is not None and repeats.dims is not None and value.shape is not None:
        if len(value.shape) != len(repeats.dims):
            raise ContradictionError(f"it has {len(repeats.dims)} repeats for {len(value.shape)} axes")
        target = tuple(product(pair) for pair in zip(value.shape, repeats.dims, strict=True))
    if isinstance(value, Constant):
        ctx.set_output(Constant(target, value.dtype, value.records))
    elif target is not None and target == value.shape:
        ctx.set_output(value)
    else:
        _repeated(ctx, target)


def _repeated(ctx: NodeContext, target: tuple[Dim, ...] | None) -> None:
    """Add a Tile or an Expand, in the graph's layout if the rank stays the same."""
    view = ctx.view(0)
    if target is None or len(target) != view.rank:
        add_operator(ctx, None if target is None else (target,))
        return
    shapes = (view.in_graph_order(target),)
    ctx.add_layer(Operator(inputs=(view.tensor,), op=ctx.node.op_type, shapes=shapes, **ctx.identity), like=view)


def _resize(ctx: NodeContext) -> None:
    """Handle Resize (X, roi, scales, sizes) and Upsample (X, scales)."""
    view = ctx.view(0)
    shape = view.shape
    old = ctx.node.op_type == "Upsample" or ctx.opset < 11
    scales, sizes = ctx.constant(1 if old else 2), None if old else ctx.constant(3)
    target: tuple[Dim, ...] | None = None
    if shape is not None and sizes is not None and sizes.dims is not None:
        if len(sizes.dims) > len(shape):
            raise ContradictionError(f"it has {len(sizes.dims)} sizes for {len(shape)} axes")
        target = sizes.dims if len(sizes.dims) == len(shape) else (*shape[: len(shape) - len(sizes.dims)], *sizes.dims)
    elif shape is not None:
        given = scales.values if scales is not None else ctx.node.attributes.get("scales")
        if isinstance(given, tuple) and len(given) == len(shape):
            target = tuple(_scaled(dim, scale) for dim, scale in zip(shape, given, strict=True))
    if target is None:
        declared = ctx.declared(ctx.node.outputs[0])
        target = None if declared is None else declared.shape
    ctx.set_output(ops.resize(ctx, view, target, ctx.attribute_text("mode", "nearest")))


def _scaled(dim: Dim, scale: object) -> Dim:
    if scale == 1:
        return dim
    if not isinstance(dim, int) or not isinstance(scale, int | float):
        return None
    if not 0 < scale < inf:
        raise ContradictionError(f"it scales an axis by {scale}")
    # ONNX rounds down a product in float32: 5 × 1.8 is 9 there.
    scaled = dim * scale
    return limits.whole(unpack("f", pack("f", scaled))[0] if scaled <= limits.MAX_INT64 else scaled)


def _depth_to_space(ctx: NodeContext) -> None:
    """Handle DepthToSpace and SpaceToDepth."""
    layer = DepthToSpace(
        inputs=(ctx.tensor(0),),
        block_size=ctx.attribute_int("blocksize", 1),
        to_space=ctx.node.op_type == "DepthToSpace",
        **ctx.identity,
    )
    ctx.add_layer(layer)


HANDLERS: dict[str, Handler] = {
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Resize": _resize,
    "SpaceToDepth": _depth_to_space,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Upsample": _resize,
}
