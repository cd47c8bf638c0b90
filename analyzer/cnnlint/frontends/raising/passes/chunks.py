"""Slices that together are a whole tensor are one split of it, as TorchScript writes a chunk."""

from __future__ import annotations

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.graph.layers import Crop, Split
from cnnlint.graph.tensor import Shape, Tensor


def fuse_chunks(builder: GraphBuilder) -> None:
    """Join the Crops of one tensor that follow one another along one axis from its begin to its end."""
    tried = set[tuple[str, int]]()
    for layer in builder.of_kind(Crop):
        axis = _cut_axis(layer)
        if axis is None or (layer.input.name, axis) in tried:
            continue
        tried.add((layer.input.name, axis))
        parts = _parts(builder, layer.input, axis)
        if len(parts) > 1:
            sizes = tuple((part.target or ())[axis] for part in parts)
            builder.join(parts, Split(name=layer.name, inputs=layer.inputs, axis=axis, sizes=sizes))


def _cut_axis(layer: Crop) -> int | None:
    """Return the one axis along which `layer` takes a part."""
    shape, target = layer.input.shape, layer.target
    if shape is None or target is None:
        return None
    axes = [axis for axis, (before, after) in enumerate(zip(shape, target, strict=True)) if before != after]
    return axes[0] if len(axes) == 1 else None


def _parts(builder: GraphBuilder, tensor: Tensor, axis: int) -> list[Crop]:
    """Return the Crops of `tensor` along `axis`, in order, if they cover it without a gap; else nothing."""
    crops = [layer for layer in builder.consumers(tensor) if isinstance(layer, Crop) and _cut_axis(layer) == axis]
    begun = [(crop.starts[axis], crop) for crop in crops if crop.starts is not None]
    ordered = sorted(begun, key=lambda pair: pair[0])
    shape: Shape = tensor.shape or ()
    end = 0
    for start, crop in ordered:
        size = (crop.target or ())[axis]
        if start != end or not isinstance(size, int):
            return []
        end += size
    return [crop for _, crop in ordered] if end == shape[axis] and len(ordered) == len(crops) else []
