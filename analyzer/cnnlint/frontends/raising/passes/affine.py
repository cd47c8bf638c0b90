"""A multiplication and an addition per channel are what is left of a batch normalisation."""

from __future__ import annotations

from msgspec.structs import replace

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.passes.bias import is_per_feature, with_role
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import BatchNorm, Elementwise, Rescale

SCALES = frozenset({"mul", "div"})
SHIFTS = frozenset({"add", "sub"})


def fuse_affine(builder: GraphBuilder) -> None:
    """Fuse scales and shifts: ahead of the network into Rescale, behind a BatchNorm into it, else into a folded one."""
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
    return len(layer.inputs) == 1 and is_per_feature(layer, 1, layer.output.channels)


def _merge_rescales(builder: GraphBuilder, first: Rescale) -> None:
    layer: Layer = first
    while isinstance(following := builder.sole_consumer(layer.output), Rescale):
        weights = (*layer.weights, *following.weights)
        layer = builder.fuse((layer, following), replace(first, weights=weights, outputs=()))


def _absorb(builder: GraphBuilder, norm: BatchNorm) -> None:
    """Take the scale and shift that Caffe-style files keep behind a normalisation into it."""
    layer: Layer = norm
    wanted = {"gamma": SCALES, "beta": SHIFTS}
    for role, functions in wanted.items():
        following = builder.sole_consumer(layer.output)
        if isinstance(following, Elementwise) and following.function in functions and _is_per_channel(following):
            extra = tuple(with_role(weight, f"extra_{role}") for weight in following.weights)
            layer = builder.fuse((layer, following), replace(norm, weights=(*layer.weights, *extra), outputs=()))
