"""Activations that exporters spell out: swish, hard swish, gelu, mish, hard sigmoid, prelu."""

from __future__ import annotations

from math import isclose, sqrt
from typing import TypeGuard

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.passes.bias import with_role
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, Add, Elementwise, Multiply
from cnnlint.graph.tensor import Tensor


def fuse_activations(builder: GraphBuilder) -> None:
    """Fuse each spelled-out activation into one Activation layer."""
    for layer in builder.of_kind(Activation, Elementwise):
        if isinstance(layer, Activation) and layer.function in ("sigmoid", "hard_sigmoid", "tanh", "relu6"):
            _fuse_product(builder, layer)
        elif isinstance(layer, Elementwise) and layer.function == "erf":
            _fuse_erf(builder, layer)
        elif isinstance(layer, Elementwise) and layer.function == "neg":
            _fuse_prelu(builder, layer)


def _fuse_product(builder: GraphBuilder, gate: Activation) -> None:
    """Fuse a gate and its product: x · sigmoid(x) (swish), x · hard_sigmoid(x), x · tanh(softplus(x)) (mish)."""
    if gate.function == "relu6":
        _fuse_relu6(builder, gate)
        return
    product = builder.sole_consumer(gate.output)
    if not isinstance(product, Multiply) or len(product.inputs) != 2:
        return
    other = next((tensor for tensor in product.inputs if tensor.name != gate.output.name), None)
    if other is None:
        return
    if gate.function == "tanh":
        soft = builder.producer(gate.input)
        is_soft = isinstance(soft, Activation) and soft.function == "softplus" and soft.input.name == other.name
        if soft is not None and is_soft and builder.sole_consumer(soft.output) is gate:
            _fuse(builder, (soft, gate, product), other, "mish")
    elif gate.input.name == other.name:
        _fuse(builder, (gate, product), other, "swish" if gate.function == "sigmoid" else "hard_swish")


def _fuse_relu6(builder: GraphBuilder, clip: Activation) -> None:
    """relu6(x + 3) / 6 is hard sigmoid, and times x hard swish."""
    shifted, scaled = builder.producer(clip.input), builder.sole_consumer(clip.output)
    if not _is_constant(shifted, "add", 3.0) or builder.sole_consumer(clip.input) is not clip:
        return
    source = shifted.input
    if isinstance(scaled, Multiply) and any(tensor.name == source.name for tensor in scaled.inputs):
        sixth = builder.sole_consumer(scaled.output)
        if _is_constant(sixth, "mul", 1 / 6) or _is_constant(sixth, "div", 6.0):
            _fuse(builder, (shifted, clip, scaled, sixth), source, "hard_swish")
        return
    if not (_is_constant(scaled, "mul", 1 / 6) or _is_constant(scaled, "div", 6.0)):
        return
    product = builder.sole_consumer(scaled.output)
    if isinstance(product, Multiply) and any(tensor.name == source.name for tensor in product.inputs):
        _fuse(builder, (shifted, clip, scaled, product), source, "hard_swish")
    else:
        _fuse(builder, (shifted, clip, scaled), source, "hard_sigmoid")


def _fuse_prelu(builder: GraphBuilder, negative: Elementwise) -> None:
    """Fuse relu(x) + α · relu(−x), where α is the slope of a PReLU with its sign changed."""
    source = negative.input
    below = builder.sole_consumer(negative.output)
    slope = builder.sole_consumer(below.output) if below is not None and _is_relu(below) else None
    if below is None or not isinstance(slope, Elementwise) or slope.function != "mul" or len(slope.inputs) != 1:
        return
    added = builder.sole_consumer(slope.output)
    if not isinstance(added, Add) or len(added.inputs) != 2:
        return
    other = next((tensor for tensor in added.inputs if tensor.name != slope.output.name), None)
    above = None if other is None or builder.sole_consumer(other) is None else builder.producer(other)
    if above is None or not _is_relu(above) or above.input.name != source.name:
        return
    alpha = tuple(with_role(weight, "alpha") for weight in slope.weights)
    prelu = Activation(name=added.name, inputs=(source,), function="prelu", weights=alpha)
    builder.fuse(builder.in_order((above, negative, below, slope, added)), prelu)


def _is_relu(layer: Layer) -> bool:
    return isinstance(layer, Activation) and layer.function == "relu"


def _fuse_erf(builder: GraphBuilder, erf: Elementwise) -> None:
    """Fuse gelu: x · (1 + erf(x / √2)) / 2, or x · (1 − erf(−x / √2)) / 2, in any order of the factors."""
    scaling, scale = _scaling(builder, erf)
    plus = builder.sole_consumer(erf.output)
    if not isclose(abs(scale), sqrt(0.5), rel_tol=1e-3):
        return
    if not _is_constant(plus, "add" if scale > 0 else "rsub", 1.0):
        return
    source = scaling[0].input
    chain: list[Layer] = [*scaling, erf, plus]
    half, gated = False, False
    layer: Layer = plus
    while not (half and gated):
        following = builder.sole_consumer(layer.output)
        if _is_constant(following, "mul", 0.5) or _is_constant(following, "div", 2.0):
            half = True
        elif isinstance(following, Multiply) and len(following.inputs) == 2:
            other = next((tensor for tensor in following.inputs if tensor.name != layer.output.name), None)
            halved = builder.producer(other) if other is not None else None
            if other is not None and other.name == source.name:
                gated = True
            elif _is_constant(halved, "mul", 0.5) and halved.input.name == source.name:
                chain.insert(0, halved)
                half = gated = True
            else:
                return
        else:
            return
        chain.append(following)
        layer = following
    _fuse(builder, tuple(chain), source, "gelu")


def _scaling(builder: GraphBuilder, erf: Elementwise) -> tuple[list[Elementwise], float]:
    """Return the layers that only scale what `erf` is taken of, and the factor that they come to."""
    layers, scale = list[Elementwise](), 1.0
    layer = builder.producer(erf.input)
    while isinstance(layer, Elementwise) and len(layer.inputs) == 1 and builder.sole_consumer(layer.output):
        if layer.function == "neg":
            scale = -scale
        elif layer.constant and layer.function == "mul":
            scale *= layer.constant
        elif layer.constant and layer.function == "div":
            scale /= layer.constant
        else:
            break
        layers.insert(0, layer)
        layer = builder.producer(layer.input)
    return layers, scale


def _is_constant(layer: Layer | None, function: str, value: float) -> TypeGuard[Elementwise]:
    return (
        isinstance(layer, Elementwise)
        and layer.function == function
        and layer.constant is not None
        and isclose(layer.constant, value, rel_tol=1e-3)
    )


def _fuse(builder: GraphBuilder, layers: tuple[Layer, ...], source: Tensor, function: str) -> None:
    builder.fuse(layers, Activation(name=layers[-1].name, inputs=(source,), function=function))
