"""Layer and instance normalisations that exporters spell out: mean, variance, square root and what joins them."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.passes.bias import with_role
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Add, Elementwise, GlobalPool, InstanceNorm, LayerNorm, Multiply, Reduce
from cnnlint.graph.tensor import Tensor, Weight

LONGEST = 24
"""Layers that a spelled-out normalisation takes at most; Keras's takes fourteen."""


def fuse_norms(builder: GraphBuilder) -> None:
    """Fuse each region that normalises one tensor by its own mean and variance along the same axes."""
    for layer in builder.of_kind(Reduce, GlobalPool):
        axes = _averaged(layer)
        if axes is not None and (region := _region(builder, layer, axes)) is not None:
            _fuse(builder, layer, axes, region)


def _averaged(layer: Layer) -> tuple[int, ...] | None:
    """Return the axes that `layer` takes the mean along and keeps; None if it does not."""
    if isinstance(layer, Reduce) and layer.function == "mean" and layer.keepdims:
        return layer.axes
    if isinstance(layer, GlobalPool) and layer.mode == "avg" and layer.keepdims:
        return tuple(range(2, len(layer.output.shape or ())))
    return None


def _region(builder: GraphBuilder, mean: Layer, axes: tuple[int, ...]) -> list[Layer] | None:
    """Return the layers from `mean` to the tensor where all that comes of it and of its input has met again."""
    source = mean.input
    inside: dict[str, Layer] = {mean.output.name: mean}
    region: list[Layer] = [mean]
    ahead = [reader for reader in builder.consumers(source) if reader is not mean] + builder.consumers(mean.output)
    while ahead and len(region) < LONGEST:
        layer = ahead.pop(0)
        if layer.output.name in inside or not _joins(layer, axes, source, inside):
            continue
        inside[layer.output.name] = layer
        region.append(layer)
        ahead += builder.consumers(layer.output)
        if _is_whole(builder, region, inside, source):
            return builder.in_order(region)
    return None


def _joins(layer: Layer, axes: tuple[int, ...], source: Tensor, inside: dict[str, Layer]) -> bool:
    if not isinstance(layer, Elementwise) and _averaged(layer) != axes:
        return False
    names = {tensor.name for tensor in layer.inputs}
    return bool(names & inside.keys()) and names <= {*inside, source.name}


def _is_whole(builder: GraphBuilder, region: list[Layer], inside: dict[str, Layer], source: Tensor) -> bool:
    """Return whether a root of a variance is in the region, and one tensor of the source's shape leaves it."""
    last = region[-1]
    if last.output.shape != source.shape or not isinstance(last, Add | Multiply | Elementwise):
        return False
    if not any(isinstance(layer, Elementwise) and layer.function in ("sqrt", "rsqrt") for layer in region):
        return False
    seen_outside = [
        layer
        for layer in region
        if any(reader.output.name not in inside for reader in builder.consumers(layer.output))
        or not builder.consumers(layer.output)
    ]
    return seen_outside == [last]


def _fuse(builder: GraphBuilder, mean: Layer, axes: tuple[int, ...], region: list[Layer]) -> None:
    source = mean.input
    spatial = tuple(range(2, len(source.shape or ())))
    constants = [layer.constant for layer in region if isinstance(layer, Elementwise) and layer.function == "add"]
    epsilon = next((value for value in constants if value is not None and 0 < value < 0.1), 1e-5)
    layer: LayerNorm | InstanceNorm
    if axes == spatial and spatial:
        layer = InstanceNorm(name=mean.name, inputs=(source,), epsilon=epsilon, weights=_weights(region))
    else:
        layer = LayerNorm(name=mean.name, inputs=(source,), axes=axes, epsilon=epsilon, weights=_weights(region))
    absorb_affine(builder, builder.fuse(region, layer))


def absorb_affine(builder: GraphBuilder, norm: Layer) -> None:
    """Take the product and the sum behind a normalisation that has none of its own into it."""
    for role, function in (("gamma", "mul"), ("beta", "add")):
        following = builder.sole_consumer(norm.output)
        if not isinstance(following, Elementwise) or following.function != function or len(following.inputs) != 1:
            continue
        if following.weights and norm.weight(role) is None:
            extra = tuple(with_role(weight, role) for weight in following.weights)
            norm = builder.fuse((norm, following), replace(norm, weights=(*norm.weights, *extra), outputs=()))


def _weights(region: list[Layer]) -> tuple[Weight, ...]:
    roles = {"mul": "gamma", "add": "beta", "sub": "beta", "rsub": "beta"}
    return tuple(
        with_role(weight, roles.get(layer.function, "constant"))
        for layer in region
        if isinstance(layer, Elementwise)
        for weight in layer.weights
        if weight.size is None or weight.size > 1
    )
