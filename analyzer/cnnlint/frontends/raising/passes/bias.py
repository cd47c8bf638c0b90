"""A constant added behind a convolution or a dense layer is its bias."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.graph.layers import Conv, ConvTranspose, Dense, Elementwise
from cnnlint.graph.tensor import Weight


def fuse_bias(builder: GraphBuilder) -> None:
    """Fuse Conv, ConvTranspose or Dense without a bias with the Add of one value per output feature behind it."""
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
    """Return whether the constant of `layer` has one value per feature along `axis` and none elsewhere."""
    shape = layer.constant_shape
    if shape is None or not layer.weights:
        return False
    axis %= len(shape)
    return shape[axis] == features and all(dim == 1 for index, dim in enumerate(shape) if index != axis)


def with_role(weight: Weight, role: str) -> Weight:
    """Return `weight` in another role."""
    return replace(weight, role=role)
