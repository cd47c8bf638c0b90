"""Layers that rearrange values: flatten, reshape, permute, pad, crop, upsample, resize."""

from __future__ import annotations

from functools import partial

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.layers.call import Handler, KerasCall, add_operator, add_same
from cnnlint.frontends.raising import ops
from cnnlint.frontends.raising.view import TensorView, to_channels_last
from cnnlint.graph.dims import product, quotient
from cnnlint.graph.layers import Transpose
from cnnlint.graph.tensor import Dim, Shape


def _flatten(call: KerasCall) -> TensorView:
    view = call.view
    if view.rank == 1:
        return ops.reshape(call, view, (*(view.shape or ()), 1))
    if call.channels_first and view.rank is not None and view.rank > 2:
        # Keras moves the channels to the end before it flattens.
        view = view.transposed(to_channels_last(view.rank))
    return ops.flatten(call, view)


def _reshape(call: KerasCall) -> TensorView:
    target = settings.items(call.config.get("target_shape")) or []
    shape = call.view.shape
    return reshape(call, (shape[0] if shape else None, *target))


def reshape(call: KerasCall, target: tuple[Dim, ...], *, keeps_order: bool = False) -> TensorView:
    """Add a reshape; −1 in `target` is inferred."""
    shape = call.view.shape
    if -1 in target:
        rest = None if shape is None else quotient(product(shape), product(dim for dim in target if dim != -1))
        target = tuple(rest if dim == -1 else dim for dim in target)
    return ops.reshape(call, call.view, target, keeps_order=keeps_order)


def _permute(call: KerasCall) -> TensorView:
    return transpose(call, (0, *(settings.items(call.config.get("dims")) or [])))


def transpose(call: KerasCall, permutation: tuple[int, ...]) -> TensorView:
    """Add a Transpose of the source's axes; its output keeps the layout of its input."""
    view = call.view
    order = view.permutation or tuple(range(len(permutation)))
    inside = [0] * len(permutation)
    for axis, source_axis in enumerate(permutation):
        inside[order[axis]] = order[source_axis]
    layer = Transpose(inputs=(view.tensor,), permutation=tuple(inside), **call.identity)
    return call.add(layer, like=view)


def _repeat(call: KerasCall) -> TensorView:
    shape = call.view.shape or (None, None)
    return add_operator(call, (shape[0], call.whole("n", 1), *shape[1:]))


def _pad(call: KerasCall, rank: int) -> TensorView:
    amounts = ((0, 0), (0, 0), *settings.pairs(call.config.get("padding", 1), rank))
    return call.in_layer_order(ops.pad(call, _whole_map(call), amounts))


def _crop(call: KerasCall, rank: int) -> TensorView:
    source = _whole_map(call)
    cuts = settings.pairs(call.config.get("cropping", 0), rank)
    spatial = tuple(
        dim - before - after if isinstance(dim, int) else None
        for dim, (before, after) in zip(_spatial(source, rank), cuts, strict=True)
    )
    starts = (0, 0, *(before for before, _ in cuts))
    return call.in_layer_order(ops.crop(call, source, _with_spatial(source, spatial), starts=starts))


def _upsample(call: KerasCall, rank: int) -> TensorView:
    source = _whole_map(call)
    factors = call.integers("size", rank, 2)
    spatial = tuple(
        dim * factor if isinstance(dim, int) else None
        for dim, factor in zip(_spatial(source, rank), factors, strict=True)
    )
    target, interpolation = _with_spatial(source, spatial), _interpolation(call, "nearest")
    return call.in_layer_order(ops.resize(call, source, target, interpolation))


def _resize(call: KerasCall) -> TensorView:
    source = _whole_map(call)
    target = _with_spatial(source, (call.whole("height"), call.whole("width")))
    return call.in_layer_order(ops.resize(call, source, target, _interpolation(call, "bilinear")))


def _crop_to(call: KerasCall) -> TensorView:
    source = _whole_map(call)
    target = _with_spatial(source, (call.whole("height"), call.whole("width")))
    return call.in_layer_order(ops.crop(call, source, target, steps=(1,) * 4))


def _whole_map(call: KerasCall) -> TensorView:
    return TensorView(call.builder.tensor(call.map))


def _interpolation(call: KerasCall, default: str) -> str:
    name = str(call.config.get("interpolation") or default)
    return {"bilinear": "linear", "bicubic": "cubic"}.get(name, name)


def _spatial(source: TensorView, rank: int) -> Shape:
    return source.tensor.spatial or (None,) * rank


def _with_spatial(source: TensorView, spatial: Shape) -> Shape | None:
    return None if source.shape is None else (*source.shape[:2], *spatial)


LAYERS: dict[str, Handler] = {
    "Flatten": _flatten, "Reshape": _reshape, "Permute": _permute, "RepeatVector": _repeat,
    "Resizing": _resize, "CenterCrop": _crop_to, "RandomCrop": _crop_to, "MaxNumBoundingBoxes": add_same,
    **{f"ZeroPadding{rank}D": partial(_pad, rank=rank) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": partial(_crop, rank=rank) for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": partial(_upsample, rank=rank) for rank in (1, 2, 3)},
}  # fmt: skip
