"""Normalizations that exporters write as several operators, and constants between layers: biases, scales, shifts."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.graph.dims import product
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Add,
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    Elementwise,
    GlobalPool,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    Multiply,
    Reduce,
    Rescale,
    Reshape,
)
from cnnlint.graph.tensor import Tensor, Weight


def fuse_bias(builder: GraphBuilder) -> None:
    """Fuse Conv, ConvTranspose or Dense without a bias with the Add of one value per output feature after it."""
    for layer in builder.of_kind(Conv, ConvTranspose, Dense):
        if layer.use_bias:
            continue
        added = builder.sole_consumer(layer.output)
        if not isinstance(added, Elementwise) or added.function != "add" or len(added.inputs) != 1:
            continue
        if not is_per_feature(added, layer.channel_axis, layer.out_channels):
            continue
        biases = tuple(with_role(weight, "bias") for weight in added.weights)
        builder.fuse((layer, added), replace(layer, use_bias=True, weights=(*layer.weights, *biases)))


def is_per_feature(layer: Elementwise, axis: int, features: object) -> bool:
    """Return whether the constant of `layer` varies only along `axis`, with one value per feature."""
    shape = layer.constant_shape
    if shape is None or not layer.weights:
        return False
    axis %= len(shape)
    return shape[axis] == features and all(dim == 1 for index, dim in enumerate(shape) if index != axis)


def with_role(weight: Weight, role: str) -> Weight:
    """Return `weight` in another role."""
    return replace(weight, role=role)


SCALES = frozenset({"mul", "div"})
SHIFTS = frozenset({"add", "sub"})


def fuse_affine(builder: GraphBuilder) -> None:
    """Fuse scales and shifts: at an input into Rescale, after a BatchNorm into it, else into a folded BatchNorm."""
    rescaled = {tensor.name for tensor in builder.inputs}
    for layer in builder.of_kind(Elementwise):
        if layer.inputs and layer.input.name in rescaled and _is_constant(layer):
            made = builder.substitute(layer, Rescale(name=layer.name, inputs=layer.inputs, weights=layer.weights))
            rescaled.add(made.output.name)
    for layer in builder.of_kind(Rescale, BatchNorm, Elementwise):
        if isinstance(layer, Rescale):
            _merge_rescales(builder, layer)
        elif isinstance(layer, BatchNorm):
            _absorb(builder, layer)
        elif layer.function in SCALES and _is_per_channel(layer):
            shift = builder.sole_consumer(layer.output)
            if isinstance(shift, Elementwise) and shift.function in SHIFTS and _is_per_channel(shift):
                weights = (
                    *(with_role(weight, "gamma") for weight in layer.weights),
                    *(with_role(weight, "beta") for weight in shift.weights),
                )
                folded = BatchNorm(name=layer.name, inputs=layer.inputs, epsilon=None, folded=True, weights=weights)
                builder.fuse((layer, shift), folded)


def _is_constant(layer: Elementwise) -> bool:
    return layer.function in SCALES | SHIFTS and len(layer.inputs) == 1 and layer.constant_shape is not None


def _is_per_channel(layer: Elementwise) -> bool:
    # one number is no norm, though a map may have one channel: which axis that is, a batch of one may hide
    return len(layer.inputs) == 1 and layer.output.channels != 1 and is_per_feature(layer, 1, layer.output.channels)


def _merge_rescales(builder: GraphBuilder, first: Rescale) -> None:
    layer: Layer = first
    while isinstance(following := builder.sole_consumer(layer.output), Rescale):
        weights = (*layer.weights, *following.weights)
        layer = builder.fuse((layer, following), replace(first, weights=weights, outputs=()))


def _absorb(builder: GraphBuilder, norm: BatchNorm) -> None:
    """Merge the scale and shift after a normalization, as in files from Caffe, into it."""
    layer: Layer = norm
    wanted = {"gamma": SCALES, "beta": SHIFTS}
    for role, functions in wanted.items():
        following = builder.sole_consumer(layer.output)
        if isinstance(following, Elementwise) and following.function in functions and _is_per_channel(following):
            extra = tuple(with_role(weight, f"extra_{role}") for weight in following.weights)
            layer = builder.fuse((layer, following), replace(norm, weights=(*layer.weights, *extra), outputs=()))


def drop_scalars(builder: GraphBuilder) -> None:
    """Remove scalars from the weights of elementwise layers.

    In a format that marks weights as trainable or not, scalars are weights, such as the count in Keras's Normalization.
    """
    for layer in builder.of_kind(Elementwise, Rescale):
        if any(_is_bare(weight) for weight in layer.weights):
            kept = tuple(weight for weight in layer.weights if not _is_bare(weight))
            builder.substitute(layer, replace(layer, weights=kept, outputs=()))


def _is_bare(weight: Weight) -> bool:
    return weight.size == 1 and weight.trainable is None


LONGEST = 24
"""Most layers of a decomposed normalization; Keras's has fourteen."""


def fuse_norms(builder: GraphBuilder) -> None:
    """Fuse each region that normalizes one tensor by its own mean and variance along the same axes."""
    for layer in builder.of_kind(Reduce, GlobalPool):
        axes = _averaged(layer)
        if axes is not None and (region := _region(builder, layer, axes)) is not None:
            _fuse(builder, layer, axes, region)


def _averaged(layer: Layer) -> tuple[int, ...] | None:
    """Return the axes of a mean that keeps them; None for another layer."""
    if isinstance(layer, Reduce) and layer.function == "mean" and layer.keepdims:
        return layer.axes
    if isinstance(layer, GlobalPool) and layer.mode == "avg" and layer.keepdims:
        return tuple(range(2, len(layer.output.shape or ())))
    return None


def _region(builder: GraphBuilder, mean: Layer, axes: tuple[int, ...]) -> list[Layer] | None:
    """Return the layers from `mean` to the tensor where all paths from it and from its input have joined again."""
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
    """Return whether the region has a square root, and its only output is a tensor of the source's shape."""
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
    """Merge the product and the sum after a normalization into it, if it has no scale or shift of its own."""
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


def fuse_groups(builder: GraphBuilder) -> None:
    """Fuse Reshape, InstanceNorm and Reshape, and the scale and shift per channel that PyTorch adds after them."""
    for layer in builder.of_kind(InstanceNorm):
        before, after = builder.producer(layer.input), builder.sole_consumer(layer.output)
        if not isinstance(before, Reshape) or not isinstance(after, Reshape):
            continue
        groups = _groups(before)
        if groups is None or builder.sole_consumer(layer.input) is None or after.output.shape != before.input.shape:
            continue
        norm = replace(layer, inputs=before.inputs, outputs=())
        if groups != before.input.channels:
            # Weights per group are placeholders for required inputs of the operator; a layer's are per channel.
            weights = tuple(weight for weight in layer.weights if weight.size != groups)
            norm = GroupNorm(
                name=layer.name, inputs=before.inputs, groups=groups, epsilon=layer.epsilon, weights=weights
            )
        absorb_affine(builder, builder.fuse((before, layer, after), norm))


def _groups(layer: Reshape) -> int | None:
    """Return the number of groups if `layer` reshapes a map from (N, C, H, W) to (N, groups, ...)."""
    before, after = layer.input.shape, layer.output.shape
    if before is None or after is None or len(before) < 3 or len(after) < 3 or before[0] != after[0]:
        return None
    channels, groups = before[1], after[1]
    if not isinstance(channels, int) or not isinstance(groups, int) or groups < 1 or channels % groups:
        return None
    return groups if product(before[1:]) == product(after[1:]) else None
