"""The layers of a graph as a converter to ONNX leaves them: what two files of one network must have in common."""

from __future__ import annotations

from collections import Counter

from msgspec.structs import asdict

from cnnlint.analysis.context import Context
from cnnlint.graph.graph import Graph
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import (
    Activation,
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    Dropout,
    Elementwise,
    Flatten,
    GlobalPool,
    Pad,
    Reshape,
)

IDENTITY = ("name", "inputs", "outputs", "weights", "origin", "keepdims")


def distinct_layers(graph: Graph, *, scattered_norms: bool = False) -> Counter[tuple[object, ...]]:
    """Count the layers by kind, function, shape, MACs and receptive field.

    Left out are those that a conversion takes away: norms and products of one number right behind a kernel (folded),
    what only training needs, linear activations, empty padding, axes of one that come and go, a Concat that only
    another one reads, and of equal layers without weights on the same tensors all but one.

    Args:
        graph: The network.
        scattered_norms: Leave out all per-channel sums and products too. tf2onnx moves the scale of a norm behind a
            gate, x * gate * scale, onto the gate, and what is left of the norm is none.
    """
    context = Context(graph)
    first = representatives(graph)
    counted: Counter[tuple[object, ...]] = Counter()
    for layer in graph.layers:
        if first.get(layer.name) != layer.name or _is_folded(layer, graph) or _is_joined_again(layer, graph):
            continue
        if scattered_norms and _is_by_channel(layer):
            continue
        function = layer.function if isinstance(layer, Activation) else ""
        shape = tuple(dim if isinstance(dim, int) else "?" for dim in layer.output.sample_shape or ())
        if isinstance(layer, GlobalPool):
            shape = shape[:1]
        counted[layer.kind, function, shape, context.layer_macs(layer), context.receptive_fields[layer.name]] += 1
    return counted


def representatives(graph: Graph) -> dict[str, str]:
    """Return for each layer that does something the first one that does the same with the same tensors.

    A layer with weights is always its own. Layers that do nothing at inference are left out.
    """
    first: dict[object, str] = {}
    found: dict[str, str] = {}
    values: dict[str, object] = {}
    for layer in graph.layers:
        inputs = [values.get(tensor.name, tensor.name) for tensor in layer.inputs]
        if _does_nothing(layer):
            values[layer.output.name] = inputs[0]
            continue
        value = layer.name if layer.weights else (layer.kind, _settings(layer), tuple(inputs))
        # Named by its first layer: nested in one another, the values of a deep net would grow without bound.
        found[layer.name] = name = first.setdefault(value, layer.name)
        values |= {tensor.name: (name, index) for index, tensor in enumerate(layer.outputs)}
    return found


def _does_nothing(layer: Layer) -> bool:
    match layer:
        case Dropout():
            return True
        case Activation():
            return layer.function == "linear"
        case Pad():
            return not any(before or after for before, after in layer.amounts)
        case Reshape() | Flatten():
            # What only adds or takes away axes of one, as gates do.
            before, after = ([dim for dim in tensor.shape or () if dim != 1] for tensor in (layer.input, layer.output))
            return before == after
        case _:
            return False


def _is_folded(layer: Layer, graph: Graph) -> bool:
    if isinstance(layer, Elementwise) and layer.function == "mul" and layer.constant is not None:
        kernel = graph.producer(layer.input)
        return isinstance(kernel, Conv | ConvTranspose | Dense) and graph.sole_successor(kernel) is layer
    return isinstance(layer, BatchNorm)


def _is_by_channel(layer: Layer) -> bool:
    if not isinstance(layer, Elementwise) or len(layer.inputs) != 1:
        return False
    # Of one channel it is a product or a sum with a number.
    return bool(layer.weights) or layer.constant is not None


def _is_joined_again(layer: Layer, graph: Graph) -> bool:
    reader = graph.sole_successor(layer)
    return isinstance(layer, Concat) and isinstance(reader, Concat) and reader.axis == layer.axis


def _settings(layer: Layer) -> str:
    return repr([item for item in asdict(layer).items() if item[0] not in IDENTITY])
