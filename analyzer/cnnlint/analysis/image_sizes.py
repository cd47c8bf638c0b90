"""The image sizes that a network takes: what ties it to one, the smallest, and those that frozen padding allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

from msgspec import Struct
from msgspec.structs import replace

from cnnlint import limits
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    Attention,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Crop,
    Dense,
    DepthToSpace,
    Dropout,
    Einsum,
    Elementwise,
    Flatten,
    GlobalPool,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    MatMul,
    MaxPool,
    Operator,
    Pad,
    Recurrent,
    Reduce,
    Rescale,
    Reshape,
    Resize,
    Split,
    Transpose,
)
from cnnlint.graph.tensor import Shape, Tensor
from cnnlint.graph.window import same_pads

Shapes = Mapping[str, Shape | None]

LONG = 30_240
"""Pixels that many strides divide, for the ratio of an image's extents to a map's."""

LARGEST = 1 << 14
"""The largest extent that is tried."""


class Tie(Struct, frozen=True):
    """What ties a network to one image size.

    Attributes:
        layer: The layer's name.
        cause: What it holds, as a clause.
    """

    layer: str
    cause: str


class ImageSizes(Struct, frozen=True, kw_only=True):
    """The sizes of images that a network takes.

    Attributes:
        smallest: The smallest extents, along each axis of the image.
        step: Pixels more of an image for one position more of the last map, along each axis; 0 where unknown.
        frozen: Layers whose amounts of padding are those that the rule "same" gives at the present size.
        period: The sizes at which that rule gives the same amounts repeat after so many pixels; 1 without such layers.
        remainders: What is left of such a size's distance from the present one when divided by the period.
    """

    smallest: tuple[int, ...]
    step: tuple[int, ...]
    frozen: tuple[str, ...] = ()
    period: int = 1
    remainders: tuple[int, ...] = (0,)

    def at_least(self, extents: Sequence[int], now: Sequence[int]) -> tuple[int, ...]:
        """Return the smallest allowed size of at least `extents`, where `now` is the present size."""
        return tuple(
            next(
                size for size in range(least, least + self.period) if (size - present) % self.period in self.remainders
            )
            for least, present in zip(extents, now, strict=True)
        )


def ties(opened: Graph, closed: Graph) -> tuple[Tie, ...]:
    """Return what ties a network to the present image size.

    A layer that is not known to work alike at each position, or on each whole map, ties it.

    Args:
        opened: The network, the extents of its images unknown.
        closed: The same with its present extents.
    """
    now = _known(closed)
    pools = [layer.pool_size for layer in opened.of_kind(MaxPool, AvgPool)]
    found = list[Tie]()
    follow = set[str]()  # what a layer makes that was found, and what is made of that
    for layer in opened.layers:
        cause = ""
        if not any(tensor.name in follow for tensor in layer.inputs) and any(map(_open_axes, layer.inputs)):
            cause = _cause(layer, now) or _whole(layer, now, pools)
        if cause:
            found.append(Tie(layer.name, cause))
        if cause or any(tensor.name in follow for tensor in layer.inputs):
            follow.update(tensor.name for tensor in layer.outputs)
    return tuple(found)


def stuck(opened: Graph, closed: Graph, wide: Graph) -> tuple[Tie, ...]:
    """Return the layers that do not grow with the image: they read more than at present and give as much.

    Args:
        opened: The network, the extents of its images unknown.
        closed: The same with its present extents.
        wide: The same on larger images.
    """
    now, then = _known(closed), _known(wide)
    found = list[Tie]()
    for layer in opened.layers:
        made = layer.output.name if layer.outputs else ""
        grows = any(now.get(tensor.name) != then.get(tensor.name) for tensor in layer.inputs if tensor.name in now)
        if grows and _open_axes(layer.output) and now.get(made) is not None and now.get(made) == then.get(made):
            extents = "×".join(str(dim) for dim in (now[made] or ())[1:])
            found.append(Tie(layer.name, f"it gives {extents} whatever the image"))
    return tuple(found)


def _open_axes(tensor: Tensor) -> frozenset[int]:
    shape = tensor.shape or ()
    return frozenset(axis for axis, dim in enumerate(shape) if axis and not isinstance(dim, int))


def _known(graph: Graph) -> dict[str, Shape | None]:
    tensors = (*graph.inputs, *(tensor for layer in graph.layers for tensor in layer.outputs))
    return {tensor.name: tensor.shape for tensor in tensors}


def _cause(layer: Layer, now: Shapes) -> str:
    """Return what a layer that reads a map of open extents holds of the present ones; "" if it holds nothing."""
    axes = _open_axes(layer.input)
    rank = layer.input.rank or 0
    made = now.get(layer.output.name)
    lost = len(_open_axes(layer.output)) < len(axes)
    extents = "×".join(str(dim) for dim in (made or ())[1:]) or "fixed extents"
    match layer:
        case Conv() | ConvTranspose() | MaxPool() | AvgPool() | DepthToSpace() | Pad():
            if 1 in axes and not isinstance(layer, Pad):
                return "the number of its channels depends on the image"
            return f"it gives {extents} whatever it reads" if lost else ""
        case GlobalPool() | Reduce() | Transpose() | Dropout():
            return ""
        case Activation():
            if layer.axis is not None and layer.axis % rank in axes:
                return "its softmax runs over positions"
            return _held(layer)
        case BatchNorm():
            return "its statistics are of positions" if layer.channel_axis in axes else _held(layer)
        case LayerNorm() | GroupNorm() | InstanceNorm() | LocalResponseNorm() | Rescale():
            return _held(layer)
        case Elementwise() | Concat():
            return _held(layer) or _mixed(layer)
        case Split():
            return "it cuts positions into parts of fixed sizes" if layer.axis % rank in axes else ""
        case Flatten():
            return f"it flattens its map to a vector of {prod(_numbers(made)):,} values"
        case Reshape():
            return "" if _reshapes_alike(layer) else f"it reshapes to {extents}"
        case Resize():
            return f"it resizes to {'×'.join(str(dim) for dim in (made or ())[2:])}" if lost else ""
        case Crop():
            return f"it cuts out {extents}" if lost else ""
        case Dense():
            if layer.axis % rank not in axes:
                return ""
            return f"its kernel has a row for each of {layer.in_features or 'so many'} positions"
        case MatMul() | Einsum() | Attention():
            return "it multiplies positions with one another, as attention does"
        case Recurrent():
            return "it steps along positions"
        case _:
            kind = layer.op if isinstance(layer, Operator) else layer.kind
            return f"what {kind} does with positions is not known"


def _numbers(shape: Shape | None) -> tuple[int, ...]:
    return tuple(dim for dim in (shape or ())[1:] if isinstance(dim, int))


def _held(layer: Layer) -> str:
    """Return the weight that has a value for each position, as a clause; "" if there is none."""
    shape = layer.input.shape or ()
    closed = {1, *(dim for dim in shape[1:] if isinstance(dim, int))}
    for weight in layer.weights:
        if weight.size is not None and weight.size not in closed:
            return f"it holds a weight of {'×'.join(map(str, weight.shape or ()))}, with values for each position"
    constant = layer.constant_shape if isinstance(layer, Elementwise) else None
    axes = {axis - len(shape) for axis in _open_axes(layer.input)}
    for place, dim in enumerate(constant or ()):
        if place - len(constant or ()) in axes and dim != 1:
            return f"it holds a weight of {'×'.join(map(str, constant or ()))}, with values for each position"
    return ""


def _mixed(layer: Elementwise | Concat) -> str:
    """Return the input of fixed extents that meets one of open extents, as a clause; "" if there is none."""
    joined = layer.axis % (layer.output.rank or 1) if isinstance(layer, Concat) else None
    rank = max(tensor.rank or 0 for tensor in layer.inputs)
    grown = {axis + rank - (tensor.rank or 0) for tensor in layer.inputs for axis in _open_axes(tensor)}
    for tensor in layer.inputs:
        shape = tensor.shape or ()
        for axis, dim in enumerate(shape, start=rank - len(shape)):
            if axis in grown and axis != joined and isinstance(dim, int) and dim != 1:
                return f"{tensor.name} has {dim:,} positions whatever the image"
    return ""


def _reshapes_alike(layer: Reshape) -> bool:
    """Return whether positions are kept, or all become one axis."""
    before, after = _open_axes(layer.input), _open_axes(layer.output)
    return len(after) == len(before) or (len(after) == 1 and layer.output.rank == 3)


def _whole(layer: Layer, now: Shapes, pools: Sequence[tuple[int, ...]]) -> str:
    """Return that a pooling is one of the whole map: the only one of its window, which covers all of the map."""
    if not isinstance(layer, MaxPool | AvgPool) or pools.count(layer.pool_size) > 1:
        return ""
    extents = _numbers(now.get(layer.input.name))[1:]
    covers = len(extents) == len(layer.pool_size) and all(
        taps >= extent for taps, extent in zip(layer.pool_size, extents, strict=True)
    )
    return (
        f"its window of {'×'.join(map(str, layer.pool_size))} is the whole map" if covers and prod(extents) > 1 else ""
    )


class _Network(Struct, frozen=True, eq=False):
    """A network whose shapes follow from the size of its images.

    Attributes:
        opened: The network, the extents of its images unknown.
        now: The shapes at present.
        images: The inputs that are images.
    """

    opened: Graph
    now: Shapes
    images: frozenset[str]

    def shapes(self, image: Sequence[int]) -> dict[str, Shape | None] | None:
        """Return the shape of each tensor for images of these extents; None if one cannot be told."""
        shapes = dict[str, Shape | None]()
        for tensor in self.opened.inputs:
            shape = tensor.shape or ()
            shapes[tensor.name] = (*shape[:2], *image) if tensor.name in self.images else tensor.shape
        for layer in self.opened.layers:
            fed = tuple(replace(each, shape=shapes.get(each.name)) for each in layer.inputs)
            if not any(map(_open_axes, (*layer.inputs, *layer.outputs))):
                shapes.update((tensor.name, tensor.shape) for tensor in layer.outputs)
                continue
            results = self._results(layer, fed)
            if results is None:
                return None
            shapes.update(zip((each.name for each in layer.outputs), results, strict=False))
        return shapes

    def _results(self, layer: Layer, fed: tuple[Tensor, ...]) -> tuple[Shape | None, ...] | None:
        if layer.infers_shape:
            results = tuple(map(limits.extents, replace(layer, inputs=fed).output_shapes()))
            return None if None in results else results
        before, after = self.now.get(layer.input.name), self.now.get(layer.output.name)
        given, declared = fed[0].shape, layer.output.shape
        if before is None or after is None or given is None or declared is None:
            return None
        sources, targets = sorted(_open_axes(layer.input)), sorted(_open_axes(layer.output))
        if len(sources) != len(targets):
            return None
        made = list(declared)
        for source, target in zip(sources, targets, strict=True):
            there, here, grown = before[source], after[target], given[source]
            if not isinstance(there, int) or not isinstance(here, int) or not isinstance(grown, int) or not there:
                return None
            made[target] = here + grown - there if isinstance(layer, Crop) else grown * here // there
        return (tuple(made),)


def image_sizes(opened: Graph, closed: Graph, images: Mapping[str, tuple[int, ...]]) -> ImageSizes | None:
    """Return the sizes of images that a network takes; None if the shapes cannot be told.

    Args:
        opened: The network, the extents of its images unknown.
        closed: The same with its present extents.
        images: The present extents of each input that is an image.
    """
    network = _Network(opened, _known(closed), frozenset(images))
    now = next(iter(images.values()))
    far = tuple(extent + LONG for extent in now)
    shapes = [network.shapes(size) for size in (now, far)]
    near, wide = shapes
    if near is None or wide is None:
        return None
    frozen = [layer for layer in opened.of_kind(Conv, MaxPool, AvgPool) if _is_frozen(layer, near, opened)]
    ratios = [_ratio(near[layer.output.name], wide[layer.output.name]) for layer in frozen]
    period = max((max(ratio) for ratio in ratios), default=1)
    if any(0 in ratio for ratio in ratios):
        return None
    last = next(
        (tensor for layer in reversed(opened.layers) for tensor in layer.outputs if len(_open_axes(tensor)) > 0), None
    )
    step = _ratio(near[last.name], wide[last.name]) if last is not None else ()
    remainders = [0]
    for more in range(1, period):
        at = network.shapes([extent + more for extent in now])
        if at is not None and all(_pads_alike(layer, at) for layer in frozen):
            remainders.append(more)
    found = ImageSizes(
        smallest=now,
        step=step if len(step) == len(now) else (0,) * len(now),
        frozen=tuple(layer.name for layer in frozen),
        period=period,
        remainders=tuple(remainders),
    )
    smallest = [
        _least(lambda size, axis=axis: _fits(network.shapes([*now[:axis], size, *now[axis + 1 :]])), extent)
        for axis, extent in enumerate(now)
    ]
    return replace(found, smallest=found.at_least(smallest, now))


def foretells(opened: Graph, closed: Graph, wide: Graph, images: Mapping[str, Sequence[int]]) -> bool:
    """Return whether the shapes on larger images that follow from the layers are those of `wide`.

    Args:
        opened: The network, the extents of its images unknown.
        closed: The same with its present extents.
        wide: The same on larger images.
        images: The larger extents, by input.
    """
    shapes = _Network(opened, _known(closed), frozenset(images)).shapes(next(iter(images.values())))
    return shapes is not None and all(
        shape is None or shapes.get(name, shape) == shape for name, shape in _known(wide).items()
    )


def _is_frozen(layer: Conv | MaxPool | AvgPool, shapes: Shapes, graph: Graph) -> bool:
    """Return whether a file holds amounts of padding that the rule "same" gave for the present extents alone.

    Symmetric amounts are most often meant as they are, unless the file comes from TensorFlow, which has no others.
    """
    pads, extents = layer.padding, (shapes.get(layer.input.name) or ())[2:]
    if isinstance(pads, str) or not any(map(any, pads)) or all(step == 1 for step in layer.strides):
        return False
    lopsided = any(before != after for before, after in pads)
    return (lopsided or graph.source.producer.startswith("tf2onnx")) and _same(layer, extents) == pads


def _pads_alike(layer: Conv | MaxPool | AvgPool, shapes: Shapes) -> bool:
    return _same(layer, (shapes.get(layer.input.name) or ())[2:]) == layer.padding


def _same(layer: Conv | MaxPool | AvgPool, extents: Shape) -> tuple[tuple[int, int], ...]:
    kernel = layer.kernel_size if isinstance(layer, Conv) else layer.pool_size
    axes = zip(extents, kernel, layer.strides, layer.dilation, strict=False)
    return tuple(same_pads(extent, *rest) for extent, *rest in axes if isinstance(extent, int))


def _ratio(near: Shape | None, far: Shape | None) -> tuple[int, ...]:
    """Return the pixels to a position along each axis that grew from `near` to `far`; 0 where they are no number."""
    pairs = zip((near or ())[1:], (far or ())[1:], strict=False)
    grown = [b - a for a, b in pairs if isinstance(a, int) and isinstance(b, int) and a != b]
    return tuple(LONG // more if more > 0 and LONG % more == 0 else 0 for more in grown)


def _fits(shapes: Shapes | None) -> bool:
    """Return whether no tensor is empty."""
    return shapes is not None and all(
        dim > 0 for shape in shapes.values() for dim in (shape or ())[1:] if isinstance(dim, int)
    )


def _least(fits: Callable[[int], bool], present: int) -> int:
    """Return the smallest extent that fits, by halving: a network that takes a size takes all larger ones."""
    low, high = 0, present
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
