"""Windows, splits and repeats that exporters write as several operators."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.view import without
from cnnlint.graph.dims import product
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Crop,
    Dropout,
    Flatten,
    GlobalPool,
    MaxPool,
    Operator,
    Pad,
    Reshape,
    Resize,
    Split,
)
from cnnlint.graph.tensor import Shape, Tensor


def drop_unit_axes(builder: GraphBuilder) -> None:
    """Remove the Reshapes that add a spatial axis of extent 1 if others drop it again after some windows.

    TensorFlow has no 1-D kernels: its Conv1D adds an axis, slides a 1 × k window, and drops the axis.
    """
    for layer in builder.of_kind(Reshape):
        if (axis := _added_axis(layer)) is not None:
            region = _region(builder, layer, axis)
            if region is not None:
                _narrow(builder, layer, region, axis)


def _added_axis(layer: Reshape) -> int | None:
    """Return the spatial axis of extent 1 that `layer` adds; None if it does anything else."""
    before, after = layer.input.shape, layer.output.shape
    if before is None or after is None or len(before) < 3 or len(after) != len(before) + 1:
        return None
    axes = range(2, len(after))
    return next((axis for axis in axes if after[axis] == 1 and without(after, axis) == before), None)


def _region(builder: GraphBuilder, first: Layer, axis: int) -> list[Layer] | None:
    """Return the layers between `first` and those that drop the axis, in order; None if one needs the axis."""
    region = dict[str, Layer]()
    ahead = [first]
    while ahead:
        output = ahead.pop().output
        if builder.is_output(output):
            return None
        for reader in builder.consumers(output):
            if _drops(reader, axis):
                continue
            if len(reader.inputs) > 1 or _narrowed(reader, axis) is None:
                return None
            region[reader.output.name] = reader
            ahead.append(reader)
    return builder.in_order(region.values()) if region else None


def _drops(layer: Layer, axis: int) -> bool:
    match layer:
        case Flatten():
            return True
        case GlobalPool():
            return not layer.keepdims
        case Reshape():
            before, after = layer.input.shape, layer.output.shape
            return before is not None and after == without(before, axis)
        case _:
            return False


def _narrowed(layer: Layer, axis: int) -> Layer | None:
    """Return `layer` for maps without `axis`; None if it works along it, or is not known not to."""
    place = axis - 2
    match layer:
        case Conv() | ConvTranspose() | MaxPool() | AvgPool():
            size = layer.kernel_size if isinstance(layer, Conv | ConvTranspose) else layer.pool_size
            padding = layer.padding
            if size[place] != 1:
                return None
            if not isinstance(padding, str):
                if padding[place] != (0, 0):
                    return None
                padding = without(padding, place)
            fields: dict[str, Any] = {"strides": without(layer.strides, place), "padding": padding}
            fields["dilation"] = without(layer.dilation, place)
            if isinstance(layer, ConvTranspose):
                if layer.output_padding[place]:
                    return None
                fields["output_padding"] = without(layer.output_padding, place)
            name = "kernel_size" if isinstance(layer, Conv | ConvTranspose) else "pool_size"
            return replace(layer, **fields, **{name: without(size, place)})
        case Pad():
            return replace(layer, amounts=without(layer.amounts, axis)) if layer.amounts[axis] == (0, 0) else None
        case Activation():
            return layer if layer.axis is None and not layer.weights else None
        case BatchNorm() | Dropout() | GlobalPool():
            return layer
        case _:
            return None


def _narrow(builder: GraphBuilder, first: Layer, region: list[Layer], axis: int) -> None:
    builder.bypass(first)
    origin = first.origin
    for layer in region:
        current = builder.producer(layer.output)
        narrow = None if current is None else _narrowed(current, axis)
        if current is None or narrow is None:
            continue
        made = builder.substitute(current, replace(narrow, outputs=(), origin=(*origin, *current.origin)))
        origin = ()
        for reader in builder.consumers(made.output):
            if not isinstance(reader, Reshape):
                continue
            if builder.sole_consumer(made.output) is reader:
                builder.fuse((made, reader), replace(made, outputs=()))
            elif not builder.is_output(reader.output):
                builder.bypass(reader)


def fuse_pads(builder: GraphBuilder) -> None:
    """Fuse a zero padding of spatial axes with the convolutions that read it, if nothing else does."""
    for layer in builder.of_kind(Pad):
        if layer.mode != "constant" or layer.value != 0 or len(layer.inputs) > 1:
            continue
        if any(amount != (0, 0) for amount in layer.amounts[:2]) or min(min(pair) for pair in layer.amounts) < 0:
            continue
        consumers = builder.consumers(layer.output)
        convs = [padded for conv in consumers if (padded := _padded(layer, conv)) is not None]
        if builder.is_output(layer.output) or not convs or len(convs) < len(consumers):
            continue
        for conv, padded in list(zip(consumers, convs, strict=True))[1:]:
            builder.substitute(conv, padded)
        builder.fuse((layer, consumers[0]), replace(convs[0], outputs=()))


def _padded(pad: Pad, conv: object) -> Conv | None:
    """Return the convolution with the padding; None if `conv` is not one, or cannot take it."""
    if not isinstance(conv, Conv) or conv.pads is None or pad.output in conv.inputs[1:]:
        return None
    total = tuple(
        (before + more_before, after + more_after)
        for (before, after), (more_before, more_after) in zip(conv.pads, pad.amounts[2:], strict=True)
    )
    return replace(conv, inputs=(pad.input, *conv.inputs[1:]), padding=total)


def fuse_pooled(builder: GraphBuilder) -> None:
    """Fuse GlobalPool with the Flatten or Reshape after it that only drops or restores axes of extent 1."""
    for layer in builder.of_kind(GlobalPool, AvgPool):
        pool = layer if isinstance(layer, GlobalPool) else _as_global(builder, layer)
        while pool is not None:
            pool = _with_following(builder, pool)


def _as_global(builder: GraphBuilder, layer: AvgPool) -> GlobalPool | None:
    """Replace a mean over the whole map by a GlobalPool; return None if `layer` is not one."""
    if layer.pool_size != layer.input.spatial:
        return None
    if layer.pads is None or any(pads != (0, 0) for pads in layer.pads):
        return None
    made = builder.substitute(layer, GlobalPool(name=layer.name, inputs=layer.inputs, mode="avg", keepdims=True))
    return made if isinstance(made, GlobalPool) else None


def _with_following(builder: GraphBuilder, pool: GlobalPool) -> GlobalPool | None:
    following = builder.sole_consumer(pool.output)
    if not isinstance(following, Flatten | Reshape):
        return None
    before, after = pool.input.shape, following.output.shape
    if before is None or after is None or len(after) not in (2, len(before)):
        return None
    if after[:2] != before[:2] or any(dim != 1 for dim in after[2:]):
        return None
    fused = replace(pool, keepdims=len(after) > 2, outputs=())
    builder.fuse((pool, following), fused)
    made = builder.producer(following.output)
    return made if isinstance(made, GlobalPool) else None


def fuse_chunks(builder: GraphBuilder) -> None:
    """Join the Crops that split a tensor along one axis into a Split."""
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
    """Return the axis that `layer` crops; None if there are none or several."""
    shape, target = layer.input.shape, layer.target
    if shape is None or target is None:
        return None
    axes = [axis for axis, (before, after) in enumerate(zip(shape, target, strict=True)) if before != after]
    return axes[0] if len(axes) == 1 else None


def _parts(builder: GraphBuilder, tensor: Tensor, axis: int) -> list[Crop]:
    """Return the Crops of `tensor` along `axis`, in order, if they cover it without gaps; else nothing."""
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


def fuse_repeats(builder: GraphBuilder) -> None:
    """Fuse Reshape, Tile and Reshape into a Resize, together with a Resize of another axis right before.

    TensorFlow's `repeat` and PyTorch's `repeat_interleave` add an axis of extent 1 after the repeated one, tile it, and
    merge the two; Keras's UpSampling2D does so for each spatial axis in turn.
    """
    made = set[str]()
    for layer in builder.of_kind(Operator):
        region = _repetition(builder, layer)
        if region is None:
            continue
        source = region[0].input
        ahead = builder.producer(source)
        if isinstance(ahead, Resize) and ahead.name in made and builder.sole_consumer(source) is region[0]:
            region.insert(0, ahead)
        target = region[-1].output.shape
        resize = Resize(name=region[0].name, inputs=region[0].inputs, target=target, interpolation="nearest")
        made.add(builder.fuse(region, resize).name)


def _repetition(builder: GraphBuilder, layer: Operator) -> list[Layer] | None:
    """Return the three layers around a Tile that repeat entries along one spatial axis; None if they do not."""
    if layer.op not in ("Tile", "Expand") or len(layer.inputs) != 1:
        return None
    before, after = builder.producer(layer.input), builder.sole_consumer(layer.output)
    if not isinstance(before, Reshape) or not isinstance(after, Reshape) or builder.sole_consumer(layer.input) is None:
        return None
    shapes = (before.input.shape, layer.input.shape, layer.output.shape, after.output.shape)
    if any(shape is None for shape in shapes):
        return None
    source, apart, tiled, joined = (shape or () for shape in shapes)
    if len(apart) != len(tiled):
        return None
    axis = next((axis for axis, (one, other) in enumerate(zip(apart, tiled, strict=True)) if one != other), 0)
    if axis < 3 or apart[axis] != 1 or without(apart, axis) != source or without(tiled, axis) != source:
        return None
    repeated = (*source[: axis - 1], product((source[axis - 1], tiled[axis])), *source[axis:])
    return [before, layer, after] if joined == repeated else None
