"""Layers that move values: flatten, reshape, permute, pad, crop, scale up, resize."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.lowering.call import Call
from cnnlint.frontends.keras.lowering.operators import add_operator, add_same
from cnnlint.frontends.raising.view import View, is_row, to_channels_last
from cnnlint.graph.dims import product, quotient
from cnnlint.graph.layers import Crop, Flatten, Pad, Reshape, Resize, Transpose
from cnnlint.graph.tensor import Dim, Shape


def _flatten(call: Call) -> View:
    view = call.view
    if call.channels_first and view.rank is not None and view.rank > 2:
        # Keras moves the channels behind before it flattens.
        view = view.transposed(to_channels_last(view.rank))
    return flatten(call, view)


def flatten(call: Call, view: View) -> View:
    """Add a Flatten of what the source sees."""
    if view.rank == 1:
        return reshape(call, view, (*(view.shape or ()), 1))
    if view.permutation is not None and not view.is_channels_last:
        view = View(call.draft.tensor(view))
    moved = view.is_channels_last and any(dim != 1 for dim in view.tensor.spatial or ())
    order = "channels_last" if moved else "channels_first"
    return call.add(Flatten(inputs=(view.tensor,), order=order, **call.identity()))


def _reshape(call: Call) -> View:
    target = settings.items(call.config.get("target_shape")) or []
    shape = call.view.shape
    return reshape(call, call.view, (shape[0] if shape else None, *target))


def reshape(call: Call, view: View, target: tuple[Dim, ...]) -> View:
    """Add what a change of shape means; −1 in `target` stands for what is left."""
    shape = view.shape
    if -1 in target:
        rest = None if shape is None else quotient(product(shape), product(dim for dim in target if dim != -1))
        target = tuple(rest if dim == -1 else dim for dim in target)
    if shape is not None and len(shape) > 2 and len(target) == 2 and target == (shape[0], product(shape[1:])):
        return flatten(call, view)
    if len(target) > 3 and view.is_channels_last and shape is not None and _keeps_ends(shape, target):
        # Only the spatial axes are regrouped: the channels may stay in front.
        layer = Reshape(inputs=(view.tensor,), target=(*target[:1], *target[-1:], *target[1:-1]), **call.identity())
        return View(call.draft.add(layer, dtype=call.dtype)[0], to_channels_last(len(target)))
    # Where the channels come last anyway, the rest of the network sees tokens: no Transpose is needed to say so.
    tokens = view.is_channels_last and shape is not None and len(target) == 3 and _keeps_ends(shape, target)
    inputs = (view.tensor if tokens or is_row(view.shape) else call.draft.tensor(view),)
    return call.add_oriented(lambda shape: Reshape(inputs=inputs, target=shape, **call.identity()), target)


def _keeps_ends(shape: Shape, target: Shape) -> bool:
    """Return whether the batch and the last axis stay."""
    return (shape[:1], shape[-1:]) == (target[:1], target[-1:])


def _permute(call: Call) -> View:
    dims = (0, *(settings.items(call.config.get("dims")) or []))
    return transpose(call, call.view, dims)


def transpose(call: Call, view: View, permutation: tuple[int, ...]) -> View:
    """Add a Transpose of the source's axes whose output has the same order of axes as its input."""
    order = view.permutation or tuple(range(len(permutation)))
    inside = [0] * len(permutation)
    for axis, source_axis in enumerate(permutation):
        inside[order[axis]] = order[source_axis]
    layer = Transpose(inputs=(view.tensor,), permutation=tuple(inside), **call.identity())
    return call.add(layer, like=view)


def _repeat(call: Call) -> View:
    shape = call.view.shape or (None, None)
    return add_operator(call, (shape[0], call.whole("n", 1), *shape[1:]))


def _pad(call: Call, rank: int) -> View:
    amounts = ((0, 0), (0, 0), *settings.pairs(call.config.get("padding", 1), rank))
    return call.add_map(Pad(inputs=(call.map(),), amounts=amounts, **call.identity()))


def _crop(call: Call, rank: int) -> View:
    source = call.map()
    cuts = settings.pairs(call.config.get("cropping", 0), rank)
    spatial = tuple(
        dim - before - after if isinstance(dim, int) else None
        for dim, (before, after) in zip(source.spatial or (None,) * rank, cuts, strict=True)
    )
    target, starts = _with_spatial(source.shape, spatial), (0, 0, *(before for before, _ in cuts))
    return call.add_map(Crop(inputs=(source,), target=target, starts=starts, **call.identity()))


def _upsample(call: Call, rank: int) -> View:
    source = call.map()
    factors = call.integers("size", rank, 2)
    spatial = tuple(
        dim * factor if isinstance(dim, int) else None
        for dim, factor in zip(source.spatial or (None,) * rank, factors, strict=True)
    )
    return call.add_map(
        Resize(
            inputs=(source,),
            target=_with_spatial(source.shape, spatial),
            interpolation=_interpolation(call, "nearest"),
            **call.identity(),
        )
    )


def _resize(call: Call) -> View:
    source = call.map()
    target = _with_spatial(source.shape, (call.whole("height"), call.whole("width")))
    interpolation = _interpolation(call, "bilinear")
    return call.add_map(
        Resize(inputs=(source,), target=target, interpolation=interpolation, **call.identity()), dtype=call.dtype
    )


def _crop_to(call: Call) -> View:
    source = call.map()
    target = _with_spatial(source.shape, (call.whole("height"), call.whole("width")))
    return call.add_map(Crop(inputs=(source,), target=target, steps=(1,) * 4, **call.identity()))


def _interpolation(call: Call, default: str) -> str:
    name = str(call.config.get("interpolation") or default)
    return {"bilinear": "linear", "bicubic": "cubic"}.get(name, name)


def _with_spatial(shape: Shape | None, spatial: Shape) -> Shape | None:
    return None if shape is None else (*shape[:2], *spatial)


LAYERS: dict[str, Callable[[Call], View]] = {
    "Flatten": _flatten, "Reshape": _reshape, "Permute": _permute, "RepeatVector": _repeat,
    "Resizing": _resize, "CenterCrop": _crop_to, "RandomCrop": _crop_to, "MaxNumBoundingBoxes": add_same,
    **{f"ZeroPadding{rank}D": partial(_pad, rank=rank) for rank in (1, 2, 3)},
    **{f"Cropping{rank}D": partial(_crop, rank=rank) for rank in (1, 2, 3)},
    **{f"UpSampling{rank}D": partial(_upsample, rank=rank) for rank in (1, 2, 3)},
}  # fmt: skip
