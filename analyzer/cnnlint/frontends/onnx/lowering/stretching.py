"""Operators that make a tensor larger: broadcasts, interpolation, channels moved into space."""

from __future__ import annotations

from math import inf
from struct import pack, unpack

from msgspec.structs import replace

from cnnlint import limits
from cnnlint.errors import ContradictionError
from cnnlint.frontends.onnx.lowering.folding import spread
from cnnlint.frontends.onnx.lowering.operators import emit_operator
from cnnlint.frontends.onnx.lowering.state import Handler, Lowering
from cnnlint.frontends.onnx.lowering.values import Constant
from cnnlint.graph.dims import product
from cnnlint.graph.layers import (
    DepthToSpace,
    Operator,
    Resize,
)
from cnnlint.graph.layers.pointwise import broadcast
from cnnlint.graph.tensor import Dim


def lower_expand(state: Lowering) -> None:
    """Lower Expand: input, shape."""
    value = state.value(0)
    wanted = state.constant(1)
    target = None
    if wanted is not None and wanted.dims is not None and value.shape is not None:
        target = broadcast(value.shape, wanted.dims)
    if isinstance(value, Constant):
        state.give(replace(value, shape=target, values=spread(value, target), stored=False))
    elif target is not None and target == value.shape:
        state.give(value)
    else:
        _emit_repeated(state, target)


def lower_tile(state: Lowering) -> None:
    """Lower Tile: input, repeats."""
    value = state.value(0)
    repeats = state.constant(1)
    target = None
    if repeats is not None and repeats.dims is not None and value.shape is not None:
        if len(value.shape) != len(repeats.dims):
            raise ContradictionError(f"it has {len(repeats.dims)} repeats for {len(value.shape)} axes")
        target = tuple(product(pair) for pair in zip(value.shape, repeats.dims, strict=True))
    if isinstance(value, Constant):
        state.give(Constant(target, value.dtype, value.records))
    elif target is not None and target == value.shape:
        state.give(value)
    else:
        _emit_repeated(state, target)


def _emit_repeated(state: Lowering, target: tuple[Dim, ...] | None) -> None:
    """Keep a Tile or an Expand, in the graph's order of axes where it keeps their number."""
    view = state.view(0)
    if target is None or len(target) != view.rank:
        emit_operator(state, None if target is None else (target,))
        return
    layer = Operator(
        name=state.label,
        inputs=(view.tensor,),
        op=state.node.op_type,
        shapes=(view.in_graph_order(target),),
        origin=state.origin,
    )
    state.emit(layer, like=view)


def lower_resize(state: Lowering) -> None:
    """Lower Resize (X, roi, scales, sizes) and Upsample (X, scales)."""
    view = state.view(0)
    shape = view.shape
    old = state.node.op_type == "Upsample" or state.opset < 11
    scales, sizes = state.constant(1 if old else 2), None if old else state.constant(3)
    target: tuple[Dim, ...] | None = None
    if shape is not None and sizes is not None and sizes.dims is not None:
        if len(sizes.dims) > len(shape):
            raise ContradictionError(f"it has {len(sizes.dims)} sizes for {len(shape)} axes")
        target = sizes.dims if len(sizes.dims) == len(shape) else (*shape[: len(shape) - len(sizes.dims)], *sizes.dims)
    elif shape is not None:
        given = scales.values if scales is not None else state.node.attributes.get("scales")
        if isinstance(given, tuple) and len(given) == len(shape):
            target = tuple(_scaled(dim, scale) for dim, scale in zip(shape, given, strict=True))
    if target is None:
        declared = state.declared(state.node.outputs[0])
        target = None if declared is None else declared.shape
    mode = state.attribute_text("mode", "nearest")
    in_order = None if target is None else view.in_graph_order(target)
    layer = Resize(name=state.label, inputs=(view.tensor,), target=in_order, interpolation=mode, origin=state.origin)
    state.emit(layer, like=view)


def _scaled(dim: Dim, scale: object) -> Dim:
    if scale == 1:
        return dim
    if not isinstance(dim, int) or not isinstance(scale, int | float):
        return None
    if not 0 < scale < inf:
        raise ContradictionError(f"it scales an axis by {scale}")
    # Scales are float32, and so is the product that ONNX rounds down: 5 × 1.8 is 9 there.
    scaled = dim * scale
    return limits.whole(unpack("f", pack("f", scaled))[0] if scaled <= limits.MAX_INT64 else scaled)


def lower_depth_to_space(state: Lowering) -> None:
    """Lower DepthToSpace and SpaceToDepth."""
    layer = DepthToSpace(
        name=state.label,
        inputs=(state.tensor(0),),
        block_size=state.attribute_int("blocksize", 1),
        to_space=state.node.op_type == "DepthToSpace",
        origin=state.origin,
    )
    state.emit(layer)


HANDLERS: dict[str, Handler] = {
    "DepthToSpace": lower_depth_to_space,
    "Expand": lower_expand,
    "Resize": lower_resize,
    "SpaceToDepth": lower_depth_to_space,
    "Tile": lower_tile,
    "Upsample": lower_resize,
}
