"""Reshape and its kin: what flattens, pools, merges rows or only moves axes is told apart."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.lowering.folding import transposed
from cnnlint.frontends.onnx.lowering.operators import emit_operator
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import Constant, Rows
from cnnlint.frontends.raising.view import Permutation, View, axis_within, to_channels_first, to_channels_last, without
from cnnlint.graph.dims import product, quotient
from cnnlint.graph.layers import (
    Flatten,
    Reshape,
)
from cnnlint.graph.tensor import Dim, Shape


def lower_reshape(state: Lowering) -> None:
    """Lower Reshape: data, shape."""
    value = state.value(0)
    wanted = state.constant(1)
    target = wanted.dims if wanted is not None else state.attribute_ints("shape")
    if target is None and wanted is not None and wanted.shape and isinstance(wanted.shape[0], int):
        target = limits.unknown(wanted.shape[0])
    resolved = (
        None
        if target is None
        else resolve_target(target, value.shape, keep_zero=not state.attribute_int("allowzero", 0))
    )
    if resolved is None or None in resolved:
        declared = state.declared(state.node.outputs[0])
        if declared is not None and declared.shape is not None:
            resolved = _merged(resolved, declared.shape)
    reshape(state, resolved)


def _merged(one: Shape | None, other: Shape) -> Shape:
    if one is None or len(one) != len(other):
        return other
    return tuple(mine if mine is not None else theirs for mine, theirs in zip(one, other, strict=True))


def resolve_target(target: tuple[Dim, ...], shape: Shape | None, *, keep_zero: bool = True) -> Shape:
    """Return what a Reshape's 0 (keep) and −1 (the rest) come to; None for an extent that cannot be told."""
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


def reshape(state: Lowering, target: Shape | None, *, in_order: bool = False) -> None:
    """Emit what a change of shape means: nothing, a Flatten, rows for a MatMul, or a Reshape.

    Args:
        state: At the node.
        target: In the file's order of axes; None if unknown.
        in_order: The axes stay in the order that they have; else it is read off what follows.
    """
    value = state.value(0)
    if isinstance(value, Constant):
        state.give(replace(value, shape=target))
        return
    view = value.view if isinstance(value, Rows) else value
    shape = view.shape
    if target is not None and target == shape:
        state.give(view)
        return
    if isinstance(value, Rows):
        view = value.view if _same_features(shape, target) else View(state.draft.tensor(view))
    if target is not None and shape is not None:
        if _flattens(shape, target):
            _emit_flatten(state, view)
            return
        if (moved := _moves_unit_axis(shape, target)) is not None:
            state.give(view.transposed(moved))
            return
        if (regrouped := _in_graph_order(view, target)) is not None:
            graph_target, permutation = regrouped
            layer = Reshape(name=state.label, inputs=(view.tensor,), target=graph_target, origin=state.origin)
            state.give(View(state.draft.add(layer, [state.node.outputs[0]])[0], permutation))
            return
        if _merges_rows(shape, target):
            state.give(Rows(view))
            return
        if _keeps_last_axis(view, target):
            _emit_channels_last(state, view, target)
            return
    permutation = None if in_order else state.layout(state.node.outputs[0], target)
    source = state.draft.tensor(view)
    graph_target = target if permutation is None or target is None else tuple(target[axis] for axis in permutation)
    layer = Reshape(name=state.label, inputs=(source,), target=graph_target, origin=state.origin)
    state.give(state.draft.add_oriented(layer, state.node.outputs[0], permutation))


def _same_features(shape: Shape | None, target: Shape | None) -> bool:
    return shape is not None and target is not None and len(shape) == len(target) and shape[-1] == target[-1]


def _flattens(shape: Shape, target: Shape) -> bool:
    return len(shape) > 2 and len(target) == 2 and target[0] == shape[0] and target[1] == product(shape[1:])


def _moves_unit_axis(shape: Shape, target: Shape) -> Permutation | None:
    """Return the transpose that a Reshape is when all it moves are axes of extent 1.

    tf2onnx writes the transposes of grey images and of pooled maps that way.
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


def _merges_rows(shape: Shape, target: Shape) -> bool:
    return len(shape) > 2 and len(target) == 2 and target[1] == shape[-1] and isinstance(target[1], int)


def _in_graph_order(view: View, target: Shape) -> tuple[Shape, Permutation] | None:
    """Return what a Reshape that drops an axis of 1, takes one apart, or joins two, does to the axes of the graph.

    Returns:
        The target in the graph's order, and the graph's axis at each axis of the source; None where the source has
        that order itself, or where the axes are no neighbours in the graph.
    """
    shape, order, graph_shape = view.shape, view.permutation, view.tensor.shape
    if shape is None or order is None or graph_shape is None:
        return None
    for axis, place in enumerate(order):
        before = tuple(other - (other > place) for other in order)
        if shape[axis] == 1 and target == without(shape, axis):
            return without(graph_shape, place), without(before, axis)
        if axis == 0:
            continue
        if len(target) == len(shape) + 1 and _joins(target, axis, shape):
            apart = (*graph_shape[:place], *target[axis : axis + 2], *graph_shape[place + 1 :])
            behind = tuple(other + (other > place) for other in order)
            return apart, (*behind[:axis], place, place + 1, *behind[axis + 1 :])
        has_next = axis + 1 < len(order) and order[axis + 1] == place + 1
        if has_next and len(target) == len(shape) - 1 and _joins(shape, axis, target):
            joined = (*graph_shape[:place], target[axis], *graph_shape[place + 2 :])
            return joined, without(before, axis + 1)
    return None


def _joins(apart: Shape, axis: int, joined: Shape) -> bool:
    """Return whether `joined` is `apart` with two neighbouring axes, the first of them `axis`, made one."""
    return (
        apart[:axis] == joined[:axis]
        and apart[axis + 2 :] == joined[axis + 1 :]
        and (product(apart[axis : axis + 2]) == joined[axis] is not None)
    )


def _keeps_last_axis(view: View, target: Shape) -> bool:
    """Return whether a channels-last map keeps its batch and channels while its spatial axes are regrouped."""
    shape = view.shape
    return (
        view.is_channels_last
        and shape is not None
        and len(target) > 2
        and target[-1] == shape[-1]
        and target[0] == shape[0]
    )


def _emit_flatten(state: Lowering, view: View) -> None:
    spatial = view.tensor.spatial or ()
    last = view.is_channels_last and any(dim != 1 for dim in spatial)
    if view.permutation is not None and not view.is_channels_last:
        view = View(state.draft.tensor(view))
    order = "channels_last" if last else "channels_first"
    state.emit(Flatten(name=state.label, inputs=(view.tensor,), order=order, origin=state.origin))


def _emit_channels_last(state: Lowering, view: View, target: Shape) -> None:
    graph_target = (target[0], target[-1], *target[1:-1])
    layer = Reshape(name=state.label, inputs=(view.tensor,), target=graph_target, origin=state.origin)
    tensor = state.draft.add(layer, [state.node.outputs[0]])[0]
    state.give(View(tensor, to_channels_last(len(target))))


def lower_flatten(state: Lowering) -> None:
    """Lower Flatten, which keeps the axes before `axis` as one and the others as one."""
    shape = state.value(0).shape
    axis = state.attribute_int("axis", 1)
    if shape is None:
        view = state.view(0)
        state.emit(Flatten(name=state.label, inputs=(state.draft.tensor(view),), origin=state.origin))
        return
    axis = axis if axis == len(shape) else axis_within(axis, shape)
    reshape(state, (product(shape[:axis]), product(shape[axis:])))


def lower_squeeze(state: Lowering) -> None:
    """Lower Squeeze: data, axes."""
    shape = state.value(0).shape
    axes, known = state.setting(1, "axes")
    if shape is None or not known:
        emit_operator(state)
        return
    gone = (
        {axis_within(axis, shape) for axis in axes}
        if axes is not None
        else {i for i, dim in enumerate(shape) if dim == 1}
    )
    reshape(state, tuple(dim for axis, dim in enumerate(shape) if axis not in gone), in_order=len(shape) > 2)


def lower_unsqueeze(state: Lowering) -> None:
    """Lower Unsqueeze: data, axes."""
    shape = state.value(0).shape
    axes, _ = state.setting(1, "axes")
    if shape is None or axes is None:
        emit_operator(state)
        return
    rank = len(shape) + len(axes)
    added = {axis % rank for axis in axes if -rank <= axis < rank}
    if len(added) != len(axes):
        raise ContradictionError(f"it cannot add the axes {axes} to a tensor of {len(shape)}")
    dims = iter(shape)
    reshape(state, tuple(1 if axis in added else next(dims) for axis in range(rank)), in_order=len(shape) > 2)


def lower_transpose(state: Lowering) -> None:
    """Lower Transpose: another view of the same tensor."""
    value = state.value(0)
    shape = value.shape
    if shape is None:
        emit_operator(state)
        return
    permutation = state.attribute_ints("perm") or tuple(reversed(range(len(shape))))
    if isinstance(value, Constant):
        if sorted(permutation) != list(range(len(shape))):
            raise ContradictionError(f"{permutation} is no order of {len(shape)} axes")
        turned = tuple(shape[axis] for axis in permutation)
        state.give(replace(value, shape=turned, values=transposed(value, permutation)))
        return
    state.give(state.view(0).transposed(permutation))


HANDLERS: dict[str, Handler] = {
    "Flatten": lower_flatten,
    "Reshape": lower_reshape,
    "Squeeze": lower_squeeze,
    "Transpose": lower_transpose,
    "Unsqueeze": lower_unsqueeze,
}
