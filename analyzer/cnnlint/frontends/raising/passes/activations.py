"""Activations that exporters write as several operators: swish, hard swish, gelu, mish, hard sigmoid, prelu.

Each is a pattern of layers in a row. It is an activation only if a product in it multiplies by the input of its first
layer.
"""

from __future__ import annotations

from math import isclose, prod, sqrt

from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.passes.normalization import with_role
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation, Add, Elementwise, Multiply
from cnnlint.graph.patterns import Many, Match, Maybe, Op
from cnnlint.graph.tensor import Tensor


def _activation(*functions: str) -> Op[Activation]:
    return Op(Activation, where=lambda layer: layer.function in functions)


def _constant(**numbers: float) -> Op[Elementwise]:
    """Return an element with one constant: the number for its function."""
    return Op(Elementwise, where=lambda layer: _is_near(layer.constant, numbers.get(layer.function)))


def _is_near(constant: float | None, number: float | None) -> bool:
    return constant is not None and number is not None and isclose(constant, number, rel_tol=1e-3)


def _factor(layer: Elementwise) -> float | None:
    """Return the constant that a layer multiplies by; None if it does something else."""
    if len(layer.inputs) != 1:
        return None
    if layer.function == "neg":
        return -1.0
    if not layer.constant or layer.function not in ("mul", "div"):
        return None
    return layer.constant if layer.function == "mul" else 1 / layer.constant


PRODUCT = Op(Multiply, where=lambda layer: len(layer.inputs) == 2)

# x · tanh(softplus(x))
MISH = _activation("softplus") >> _activation("tanh") >> PRODUCT

# x · sigmoid(x)
GATE = _activation("sigmoid", "hard_sigmoid")
SWISH = GATE >> PRODUCT

# relu6(x + 3) / 6, and times x; or times x first
SHIFT, CLIP, SIXTH = _constant(add=3.0), _activation("relu6"), _constant(mul=1 / 6, div=6.0)
TIMES = Maybe(Multiply, where=lambda layer: len(layer.inputs) == 2)
HARD_SIGMOID = SHIFT >> CLIP >> SIXTH >> TIMES
HARD_SWISH = SHIFT >> CLIP >> PRODUCT >> SIXTH

# x · (1 + erf(x / √2)) / 2, or x · (1 − erf(−x / √2)) / 2, with factors in any order
SCALES = Many(Elementwise, where=lambda layer: _factor(layer) is not None, least=1)
ERF, PLUS = Op(Elementwise, where=lambda layer: layer.function == "erf"), _constant(add=1.0, rsub=1.0)
HALF = _constant(mul=0.5, div=2.0)
HALF_BEFORE, HALF_AFTER = Maybe(Elementwise, where=HALF.fits), Maybe(Elementwise, where=HALF.fits)
GELU = SCALES >> ERF >> PLUS >> HALF_BEFORE >> PRODUCT >> HALF_AFTER

# relu(x) + α · relu(−x), where α is the slope of a PReLU with its sign changed
NEGATIVE, BELOW = Op(Elementwise, where=lambda layer: layer.function == "neg"), _activation("relu")
SLOPE = Op(Elementwise, where=lambda layer: layer.function == "mul" and len(layer.inputs) == 1)
SUM = Op(Add, where=lambda layer: len(layer.inputs) == 2)
PRELU = NEGATIVE >> BELOW >> SLOPE >> SUM


def fuse_activations(builder: GraphBuilder) -> None:
    """Fuse each of these patterns into one Activation layer."""
    for match in MISH.find(builder):
        if _multiplies_source(match, PRODUCT):
            _fuse(builder, match.layers, "mish")
    for match in HARD_SWISH.find(builder):
        if _multiplies_source(match, PRODUCT):
            _fuse(builder, match.layers, "hard_swish")
    for match in HARD_SIGMOID.find(builder):
        gated = match.get(TIMES) is not None and _multiplies_source(match, TIMES)
        _fuse(builder, match.layers if gated else match.layers[:3], "hard_swish" if gated else "hard_sigmoid")
    for match in SWISH.find(builder):
        if _multiplies_source(match, PRODUCT):
            _fuse(builder, match.layers, "swish" if match[GATE].function == "sigmoid" else "hard_swish")
    for match in GELU.find(builder):
        _fuse_gelu(builder, match)
    for match in PRELU.find(builder):
        _fuse_prelu(builder, match)


def _other(product: Layer, operand: Layer) -> Tensor | None:
    """Return the operand of `product` other than the output of `operand`."""
    return next((tensor for tensor in product.inputs if tensor.name != operand.output.name), None)


def _multiplies_source(match: Match, product: Op[Multiply]) -> bool:
    layers = match.layers
    before = layers[layers.index(match[product]) - 1]
    other = _other(match[product], before)
    return other is not None and other.name == layers[0].input.name


def _fuse(builder: GraphBuilder, layers: tuple[Layer, ...], function: str) -> None:
    builder.fuse(layers, Activation(name=layers[-1].name, inputs=(layers[0].input,), function=function))


def _fuse_gelu(builder: GraphBuilder, match: Match) -> None:
    """Fuse a gelu, whose factor ½ may be before the product, after it, or on its other operand."""
    scale = prod(_factor(layer) or 0.0 for layer in match.all(SCALES))
    if not isclose(abs(scale), sqrt(0.5), rel_tol=1e-3) or match[PLUS].function != ("add" if scale > 0 else "rsub"):
        return
    before, after = match.get(HALF_BEFORE), match.get(HALF_AFTER)
    layers = match.layers if after is None else match.layers[:-1]
    other = _other(match[PRODUCT], before or match[PLUS])
    halved = None if other is None else builder.producer(other)
    source = layers[0].input
    if other is not None and other.name == source.name:
        if before is not None:
            _fuse(builder, layers, "gelu")
        elif after is not None:
            _fuse(builder, match.layers, "gelu")
    elif before is None and halved is not None and HALF.fits(halved) and halved.input.name == source.name:
        _fuse(builder, (halved, *layers), "gelu")


def _fuse_prelu(builder: GraphBuilder, match: Match) -> None:
    other = _other(match[SUM], match[SLOPE])
    above = None if other is None or builder.sole_consumer(other) is None else builder.producer(other)
    source = match[NEGATIVE].input
    if above is None or not BELOW.fits(above) or above.input.name != source.name:
        return
    alpha = tuple(with_role(weight, "alpha") for weight in match[SLOPE].weights)
    prelu = Activation(name=match[SUM].name, inputs=(source,), function="prelu", weights=alpha)
    builder.fuse(builder.in_order((above, *match.layers)), prelu)
