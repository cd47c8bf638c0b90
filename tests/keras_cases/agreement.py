"""Compare a graph with what Keras says of the same model, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnnlint.graph.graph import Graph
from cnnlint.graph.tensor import Shape


def disagreements(graph: Graph, truth: dict[str, Any]) -> list[str]:
    """Return every way in which the graph differs from Keras: totals, and each layer's parameters and shapes."""
    found = list[str]()
    trainable = sum(weight.size for weight in graph.weights if weight.trainable is not False)
    if graph.parameters != truth["parameters"]:
        found.append(f"parameters: {graph.parameters}, Keras has {truth['parameters']}")
    if trainable != truth["trainable_parameters"]:
        found.append(f"trainable parameters: {trainable}, Keras has {truth['trainable_parameters']}")
    layers = dict(flat_layers(truth))
    found += _shape_disagreements(graph, layers)
    found += _parameter_disagreements(graph, layers)
    return found


def flat_layers(truth: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the layers by path, those of nested models in their place, inputs left out."""
    for layer in truth["layers"]:
        path = f"{prefix}{layer['name']}"
        if "layers" in layer:
            yield from flat_layers(layer, f"{path}/")
        elif layer["class"] != "InputLayer":
            yield path, layer


def _shape_disagreements(graph: Graph, layers: dict[str, dict[str, Any]]) -> Iterator[str]:
    shapes = dict[str, list[Shape | None]]()
    for layer in graph.layers:
        for part in layer.origin:
            shapes.setdefault(part.name, []).append(part.shape)
    last = graph.source.layout == "channels_last"
    for path, layer in layers.items():
        if path not in shapes:
            yield f"{path} ({layer['class']}) is missing"
            continue
        for call in layer["output_shapes"]:
            expected = tuple(call[0])
            if layer["class"] == "EinsumDense" and None in expected[1:]:
                # Keras takes its word from the user's output_shape, where None stands for any extent.
                same = any(shape is not None and len(shape) == len(expected) for shape in shapes[path])
            else:
                same = any(shape is not None and _agrees(shape, expected, last) for shape in shapes[path])
            if not same:
                yield f"{path} ({layer['class']}): {shapes[path]}, Keras has {expected}"


def _agrees(shape: Shape, expected: tuple[int | None, ...], channels_last: bool) -> bool:
    """Return whether a shape is Keras' own, with the channels in front where it is a map.

    A tensor of three axes may be a signal or a row of tokens, one of five a volume or a row of maps.
    """
    forms = {expected}
    if channels_last and len(expected) > 2:
        first = (expected[0], expected[-1], *expected[1:-1])
        forms = {first, expected} if len(expected) in (3, 5) else {first}
    return any(
        len(shape) == len(form)
        and all(
            theirs == ours if theirs is not None else not isinstance(ours, int)
            for ours, theirs in zip(shape, form, strict=True)
        )
        for form in forms
    )


def _parameter_disagreements(graph: Graph, layers: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Compare the weights of each layer; layers that became one of the graph are compared together."""
    held = dict[frozenset[str], dict[str, int]]()
    for layer in graph.layers:
        names = frozenset(_owner(part.name, layers) for part in layer.origin)
        held.setdefault(names, {}).update({weight.key: weight.size for weight in layer.weights})
    joined = list[tuple[set[str], dict[str, int]]]()
    for names, weights in held.items():
        touching = [group for group in joined if group[0] & names]
        merged: tuple[set[str], dict[str, int]] = (set(names), dict(weights))
        for group in touching:
            merged[0].update(group[0])
            merged[1].update(group[1])
            joined.remove(group)
        joined.append(merged)
    for names, weights in joined:
        expected = sum(layers[name]["parameters"] for name in names if name in layers)
        if sum(weights.values()) != expected:
            yield f"{sorted(names)}: {sum(weights.values())} parameters, Keras has {expected}"


def _owner(name: str, layers: dict[str, dict[str, Any]]) -> str:
    """Return the layer of Keras that a part belongs to: itself, or the wrapper around it."""
    while name not in layers and "/" in name:
        name = name.rpartition("/")[0]
    return name
