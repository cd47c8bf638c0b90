"""The layers that every frontend adds: each function takes views in the source's layout, and returns one.

The frontends read arguments and weights; the effect of the layout is handled here, so the same network gives the same
graph in every format. The notation becomes an ONNX model first, and goes through the ONNX frontend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.view import (
    Permutation,
    TensorView,
    axis_within,
    inverse,
    is_row,
    to_channels_first,
    without,
)
from cnnlint.graph.dims import product
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Crop,
    Dense,
    Elementwise,
    Flatten,
    GlobalPool,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    MaxPool,
    Multiply,
    Operator,
    Pad,
    Reduce,
    Reshape,
    Resize,
)
from cnnlint.graph.tensor import Dim, Shape, Tensor, Weight
from cnnlint.graph.window import Padding, Pads, resolve_pads

Pooling = Literal["avg", "max", "lp"]
PadMode = Literal["constant", "reflect", "edge", "wrap"]

BOOLEAN = frozenset(
    ["equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "and", "or", "xor", "not"]
)  # fmt: skip
"""Elementwise functions with boolean results."""


class OpContext(ABC):
    """The source of a layer: an ONNX node, or a call of a Keras layer.

    Attributes:
        builder: The graph under construction.
    """

    builder: GraphBuilder

    @property
    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """The name and the origin of the layer to add."""

    @abstractmethod
    def add(self, layer: Layer, *, like: TensorView | None = None, dtype: str | None = None) -> TensorView:
        """Add a layer, and return its first output in the layout of `like` if the ranks are equal."""

    @abstractmethod
    def layout(self, shape: Shape | None) -> Permutation | None:
        """Return the permutation that makes an output of `shape` and unknown layout channels-first, by its readers."""


# reshapes


def flatten(ctx: OpContext, view: TensorView) -> TensorView:
    """Add a Flatten of all axes except the batch, in the source's layout."""
    if view.permutation is not None and not view.is_channels_last:
        view = TensorView(ctx.builder.tensor(view))
    moved = view.is_channels_last and any(dim != 1 for dim in view.tensor.spatial or ())
    order = "channels_last" if moved else "channels_first"
    return ctx.add(Flatten(inputs=(view.tensor,), order=order, **ctx.identity))


def flattens(shape: Shape, target: Shape) -> bool:
    """Return whether a change of shape merges all axes except the batch."""
    return len(shape) > 2 and len(target) == 2 and target == (shape[0], product(shape[1:]))


def reshape(ctx: OpContext, view: TensorView, target: Shape | None, *, keeps_order: bool = False) -> TensorView:
    """Add a Flatten, or a Reshape that keeps the graph's layout if possible.

    If the spatial axes of a map are merged, the result is tokens or a signal, as its readers tell.

    Args:
        ctx: The context.
        view: The input.
        target: In the source's layout; None if unknown.
        keeps_order: Whether the layout stays; else it is inferred from the readers.
    """
    shape = view.shape
    is_map = _keeps_ends(view, target)
    makes_tokens = is_map and not keeps_order and target is not None and len(target) == 3 and not _repeats(ctx, view)
    if target is not None and shape is not None and not makes_tokens:
        if flattens(shape, target):
            return flatten(ctx, view)
        if (regrouped := in_graph_order(view, target)) is not None:
            graph_target, permutation = regrouped
            return ctx.add(Reshape(inputs=(view.tensor,), target=graph_target, **ctx.identity)).transposed(permutation)
    permutation = None if keeps_order else ctx.layout(target)
    if is_map and target is not None and not makes_tokens:
        permutation = to_channels_first(len(target))
    # The elements of a row do not move in either layout, so it needs no Transpose.
    source = view.tensor if is_map or is_row(shape) else ctx.builder.tensor(view)
    return oriented(ctx, Reshape(inputs=(source,), target=ordered(target, permutation), **ctx.identity), permutation)


def _repeats(ctx: OpContext, view: TensorView) -> bool:
    """Return whether a map is a signal with an added axis of extent 1 or repeated entries."""
    maker = ctx.builder.producer(view.tensor)
    return 1 in (view.tensor.spatial or ()) or (isinstance(maker, Operator) and maker.op in ("Tile", "Expand"))


def in_graph_order(view: TensorView, target: Shape) -> tuple[Shape, Permutation] | None:
    """Return the effect on the graph's axes of a Reshape that drops an axis of 1, splits one, or merges two.

    Returns:
        The target in the graph's layout, and the graph's axis at each axis of the source; None if the source has the
        graph's layout, or the axes are not neighbors in the graph.
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
            after = tuple(other + (other > place) for other in order)
            return apart, (*after[:axis], place, place + 1, *after[axis + 1 :])
        has_next = axis + 1 < len(order) and order[axis + 1] == place + 1
        if has_next and len(target) == len(shape) - 1 and _joins(shape, axis, target):
            joined = (*graph_shape[:place], target[axis], *graph_shape[place + 2 :])
            return joined, without(before, axis + 1)
    return None


def _joins(apart: Shape, axis: int, joined: Shape) -> bool:
    """Return whether merging the axes `axis` and `axis + 1` of `apart` gives `joined`."""
    return (
        apart[:axis] == joined[:axis]
        and apart[axis + 2 :] == joined[axis + 1 :]
        and (product(apart[axis : axis + 2]) == joined[axis] is not None)
    )


def _keeps_ends(view: TensorView, target: Shape | None) -> bool:
    """Return whether a channels-last map keeps its batch and channels while its spatial axes change."""
    shape = view.shape
    if target is None or shape is None or not view.is_channels_last or len(target) < 3:
        return False
    return (shape[0], shape[-1]) == (target[0], target[-1])


def ordered(shape: Shape | None, permutation: Permutation | None) -> Shape | None:
    """Return `shape` in the graph's layout."""
    return shape if shape is None or permutation is None else tuple(shape[axis] for axis in permutation)


def oriented(ctx: OpContext, layer: Layer, permutation: Permutation | None, dtype: str | None = None) -> TensorView:
    """Add a layer whose output is in the graph's layout, and return it in the source's."""
    tensor = ctx.add(layer, dtype=dtype).tensor
    return TensorView(tensor) if permutation is None else TensorView(tensor).transposed(inverse(permutation))


# elementwise operations, and concatenation


def elementwise(
    ctx: OpContext,
    function: str,
    views: Sequence[TensorView],
    *,
    constants: Shape | None = None,
    constant: float | None = None,
    constant_first: bool = False,
    weights: tuple[Weight, ...] = (),
    after_batch: bool = False,
    dtype: str | None = None,
) -> TensorView:
    """Add an elementwise operation on tensors and constants.

    Args:
        ctx: The context.
        function: The operation.
        views: The tensors.
        constants: The shape that constants broadcast to; None if there are none, or it is unknown.
        constant: The constant, if it is a single number.
        constant_first: Whether a constant is the first operand.
        weights: The weights in the constants.
        after_batch: Whether tensors of lower rank get axes of extent 1 after the batch, as in Keras's merging layers,
            instead of in front.
        dtype: Type of the output, if not that of the first input.
    """
    rank = max([*(view.rank or 0 for view in views), len(constants or ())])
    tensors, like = aligned(ctx, views, rank, after_batch=after_batch)
    dtype = "bool" if function in BOOLEAN else dtype
    fields: dict[str, Any] = {"inputs": tensors, "weights": weights, **ctx.identity}
    if len(views) > 1 and constants is None and constant is None and function in ("add", "mul"):
        return ctx.add(Add(**fields) if function == "add" else Multiply(**fields), like=like, dtype=dtype)
    if constants is not None:
        constants = like.in_graph_order(full_rank(constants, rank))
    name = f"r{function}" if constant_first and function in ("sub", "div", "pow") else function
    layer = Elementwise(function=name, constant_shape=constants, constant=constant, **fields)
    return ctx.add(layer, like=like, dtype=dtype)


def concat(ctx: OpContext, views: Sequence[TensorView], axis: int) -> TensorView:
    """Add a concatenation along an axis of the source."""
    tensors, like = aligned(ctx, views, max(view.rank or 0 for view in views), expands=False)
    return ctx.add(Concat(inputs=tensors, axis=like.axis(axis), **ctx.identity), like=like)


def aligned(
    ctx: OpContext, views: Sequence[TensorView], rank: int, *, expands: bool = True, after_batch: bool = False
) -> tuple[tuple[Tensor, ...], TensorView]:
    """Return the tensors in a common layout, and a view in that layout.

    It is the layout of the first view of full rank, except for rows, which fit any layout.
    """
    full = [view for view in views if view.rank == rank]
    like = next((view for view in full if not _is_free(view)), full[0] if full else None)
    if like is None:
        like = TensorView(views[0].tensor)
    return tuple(_aligned(ctx, view, like, rank if expands else 0, after_batch=after_batch) for view in views), like


def _aligned(ctx: OpContext, view: TensorView, like: TensorView, rank: int, *, after_batch: bool) -> Tensor:
    if view.permutation == like.permutation and (view.rank == like.rank or view.rank is None):
        return view.tensor
    tensor = ctx.builder.tensor(view)
    shape = tensor.shape
    if shape is None or (like.permutation is None and not (after_batch and 0 < len(shape) < rank)):
        return tensor
    if len(shape) == like.rank and not _is_free(view):
        return ctx.builder.tensor(view.transposed(inverse(like.permutation))) if like.permutation else tensor
    if len(shape) > rank:
        return tensor
    expanded = (*shape[:1], *(1,) * (rank - len(shape)), *shape[1:]) if after_batch else full_rank(shape, rank)
    target = like.in_graph_order(expanded)
    return ctx.builder.add(Reshape(name=f"{tensor.name}/broadcast", inputs=(tensor,), target=target))[0]


def _is_free(view: TensorView) -> bool:
    return view.permutation is None and is_row(view.tensor.shape)


def full_rank(shape: Shape, rank: int) -> Shape:
    """Return `shape` with leading ones, as in broadcasting."""
    return (*((1,) * (rank - len(shape))), *shape)


def activation(
    ctx: OpContext, view: TensorView, function: str, *, axis: int | None = None, **fields: Any
) -> TensorView:
    """Add an activation; `axis` is the source's, for a softmax."""
    place = None if axis is None else view.axis(axis)
    return ctx.add(
        Activation(inputs=(view.tensor,), function=function, axis=place, **fields, **ctx.identity), like=view
    )


# products


def dense(
    ctx: OpContext, view: TensorView, units: int, *, weights: tuple[Weight, ...], use_bias: bool, axis: int = -1
) -> TensorView:
    """Add a dense layer along an axis of the source."""
    layer = Dense(
        inputs=(view.tensor,), units=units, axis=view.axis(axis), use_bias=use_bias, weights=weights, **ctx.identity
    )
    return ctx.add(layer, like=view)


def conv(
    ctx: OpContext,
    view: TensorView,
    *,
    kernel_size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    dtype: str | None = None,
    **fields: Any,
) -> TensorView:
    """Add a convolution of a map that is channels-first in the source; `fields` are further fields of `Conv`."""
    source = ctx.builder.tensor(view)
    layer = Conv(
        inputs=(source,),
        kernel_size=kernel_size,
        strides=strides,
        padding=_pads(source, kernel_size, strides, padding, dilation),
        dilation=dilation,
        **fields,
        **ctx.identity,
    )
    return ctx.add(layer, dtype=dtype)


def _pads(
    source: Tensor, size: tuple[int, ...], strides: tuple[int, ...], padding: Padding, dilation: tuple[int, ...]
) -> Padding:
    return resolve_pads(padding, source.spatial, size, strides, dilation) or padding


# pooling and reductions


def pool(
    ctx: OpContext,
    view: TensorView,
    mode: Pooling,
    *,
    pool_size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: Padding,
    dilation: tuple[int, ...],
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> TensorView:
    """Add a pooling over windows of a map that is channels-first in the source."""
    source = ctx.builder.tensor(view)
    pads = _pads(source, pool_size, strides, padding, dilation)
    if mode == "lp" and pool_size == source.spatial and all(pair == (0, 0) for pair in pads):
        return global_pool(ctx, view, mode, keepdims=True)
    fields: dict[str, Any] = {
        "inputs": (source,),
        "pool_size": pool_size,
        "strides": strides,
        "padding": pads,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
        **ctx.identity,
    }
    return ctx.add(MaxPool(**fields) if mode == "max" else AvgPool(count_include_pad=count_include_pad, **fields))


def global_pool(ctx: OpContext, view: TensorView, mode: Pooling, *, keepdims: bool) -> TensorView:
    """Add a global pooling of a map that is channels-first in the source."""
    source = ctx.builder.tensor(view)
    return ctx.add(GlobalPool(inputs=(source,), mode=mode, keepdims=keepdims, **ctx.identity))


def reduce(ctx: OpContext, view: TensorView, function: str, axes: Sequence[int], *, keepdims: bool) -> TensorView:
    """Add a reduction along axes of a source of known rank; a mean or maximum of whole maps is a global pooling."""
    reduced = {view.axis(axis) for axis in axes}
    spatial = set(range(2, view.rank or 0))
    modes: dict[str, Pooling] = {"mean": "avg", "max": "max"}
    mode = modes.get(function)
    if spatial and reduced == spatial and mode is not None:
        layer = GlobalPool(inputs=(view.tensor,), mode=mode, keepdims=keepdims, **ctx.identity)
        return ctx.add(layer, like=view)
    layer = Reduce(
        inputs=(view.tensor,), function=function, axes=tuple(sorted(reduced)), keepdims=keepdims, **ctx.identity
    )
    if keepdims or view.permutation is None:
        return ctx.add(layer, like=view)
    left = [axis for axis in view.permutation if axis not in reduced]
    return oriented(ctx, layer, tuple(left.index(axis) for axis in sorted(left)))


# normalizations


def batch_norm(ctx: OpContext, view: TensorView, axis: int, **fields: Any) -> TensorView:
    """Add a batch normalization along an axis of the source; `fields` are further fields of `BatchNorm`."""
    return ctx.add(BatchNorm(inputs=(view.tensor,), axis=view.axis(axis), **fields, **ctx.identity), like=view)


def layer_norm(ctx: OpContext, view: TensorView, axes: Sequence[int], **fields: Any) -> TensorView:
    """Add a layer normalization along axes of the source; `fields` are further fields of `LayerNorm`."""
    places = tuple(sorted(view.axis(axis) for axis in axes))
    return ctx.add(LayerNorm(inputs=(view.tensor,), axes=places, **fields, **ctx.identity), like=view)


def group_norm(
    ctx: OpContext, view: TensorView, groups: int | None, *, axis: int, epsilon: float, weights: tuple[Weight, ...]
) -> TensorView:
    """Add a group normalization; an instance normalization if `groups` is None or the number of channels."""
    first = axis_within(axis, view.shape)
    order = (0, first, *(place for place in range(1, view.rank or 2) if place != first))
    source = ctx.builder.tensor(view.transposed(order))
    fields: dict[str, Any] = {"inputs": (source,), "epsilon": epsilon, "weights": weights, **ctx.identity}
    if groups is None or groups == source.channels:
        made = ctx.add(InstanceNorm(**fields))
    else:
        made = ctx.add(GroupNorm(groups=groups, **fields))
    return made.transposed(inverse(order))


# padding, cropping and resizing


def pad(
    ctx: OpContext, view: TensorView, amounts: Pads, *, mode: PadMode = "constant", value: float = 0.0
) -> TensorView:
    """Add a padding, with amounts before and after for each axis of the source."""
    graph_amounts = list(amounts)
    for axis, pair in enumerate(amounts):
        graph_amounts[view.axis(axis)] = pair
    layer = Pad(inputs=(view.tensor,), amounts=tuple(graph_amounts), mode=mode, value=value, **ctx.identity)
    return ctx.add(layer, like=view)


def crop(
    ctx: OpContext, view: TensorView, target: Shape | None, *, starts: Shape | None = None, steps: Shape | None = None
) -> TensorView:
    """Add a crop; shape, starts and steps are in the source's layout."""
    layer = Crop(
        inputs=(view.tensor,),
        target=_numbers(view, target),
        starts=_numbers(view, starts),
        steps=_numbers(view, steps),
        **ctx.identity,
    )
    return ctx.add(layer, like=view)


def resize(ctx: OpContext, view: TensorView, target: Shape | None, interpolation: str) -> TensorView:
    """Add an interpolation to `target`, in the source's layout."""
    layer = Resize(inputs=(view.tensor,), target=_numbers(view, target), interpolation=interpolation, **ctx.identity)
    return ctx.add(layer, like=view)


def _numbers(view: TensorView, numbers: tuple[Dim, ...] | None) -> Any:
    """Return one number per axis in the graph's layout."""
    return None if numbers is None else view.in_graph_order(numbers)
