"""Names that the user recognises: those of Keras layers and PyTorch modules, which exporters wrap and number."""

from __future__ import annotations

import re

from cnnlint.frontends.onnx.records import ModelRecord
from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.graph.layer import Layer
from cnnlint.graph.layers import Activation

INNER = frozenset(
    {
        "batchnorm", "moments", "convolution", "separable_conv2d", "Cast", "ReadVariableOp", "merged_input", "Repeat",
        "Tensordot",
    }
)  # fmt: skip
"""Scopes that Keras's own layers open inside theirs."""

AROUND = frozenset({"Pad", "Squeeze", "Unsqueeze"})
"""Operators that stand around the one that a layer is named after."""

TRACED = re.compile(r"_\d+$")
"""What Keras appends to every scope when it traces a model again."""


def rename(builder: GraphBuilder, model: ModelRecord) -> None:
    """Give layers the names of the Keras layers or PyTorch modules that they come from, where the file has them."""
    if model.producer.startswith("tf2onnx"):
        scopes = {layer.name: scope for layer in builder if (scope := _scope(layer)) is not None}
        paths = {layer: "/".join(_layer_scope(path)) for layer, path in _without_root(scopes).items()} if scopes else {}
    elif model.producer.startswith("pytorch"):
        paths = {layer.name: module for layer in builder if (module := _module(layer))}
    else:
        return
    names, taken, scopes_taken = dict[str, str](), set[str](), set[str]()
    for layer in builder:
        name = paths.get(layer.name)
        if name is None:
            continue
        scopes_taken.add(name.rpartition("/")[0])
        if name in taken or (name in scopes_taken and isinstance(layer, Activation)):
            name += "/" + (layer.function if isinstance(layer, Activation) else layer.kind.lower())
        if name not in taken:
            taken.add(name)
            names[layer.name] = name
    builder.rename(names)


def _module(layer: Layer) -> str:
    """Return the PyTorch module of a layer: by its weights' names, by what the exporter noted, or by its node's."""
    if layer.weights and (found := re.fullmatch(r"([\w.]+)\.weight", layer.weights[0].key)):
        return found[1]
    scope = next((part.scope for part in layer.origin if part.scope), "")
    if scope or not layer.origin:
        return scope
    module = ""
    for step in layer.origin[0].name.split("/")[1:-1]:
        # "/layer1/layer1.0/conv1/Conv": a member of a Sequential repeats the name of it
        parent, _, last = module.rpartition(".")
        before = parent if last and step.startswith(f"{last}.") else module
        module = f"{before}.{step}" if before else step
    return module


def _scope(layer: Layer) -> list[str] | None:
    """Return the scopes and the name of the layer's node; those of its kernel for a node that tf2onnx made."""
    parts = [part for part in layer.origin if part.op not in AROUND] or layer.origin
    own = [part.name for part in parts if TRACED.sub("", part.name.split("/")[0]).rstrip("_") != part.op]
    candidates = own + [weight.key for weight in layer.weights]
    name = next((name for name in candidates if "/" in name and not name.startswith("const_fold")), None)
    if name is None:
        return None
    return name.partition(":")[0].split("/")


def _layer_scope(path: list[str]) -> list[str]:
    """Return the scopes without the operator's own name and those that the layer opened inside its own."""
    if path[-2:] == ["separable_conv2d", "depthwise"]:
        return [*path[:-2], "depthwise"]
    if path[-1] == "separable_conv2d" and len(path) > 1:
        return [*path[:-1], "pointwise"]
    end = max(len(path) - 1, 1)
    while end > 1 and path[end - 1] in INNER:
        end -= 1
    return path[:end]


def _without_root(scopes: dict[str, list[str]]) -> dict[str, list[str]]:
    """Take off the scopes that all layers share, and the suffix of a second trace where all have it."""
    paths = scopes
    while len({path[0] for path in paths.values()}) == 1 and all(len(path) > 1 for path in paths.values()):
        root = next(iter(paths.values()))[0]
        paths = {layer: path[1:] for layer, path in paths.items()}
        if TRACED.search(root) and all(TRACED.search(path[0]) for path in paths.values() if len(path) > 1):
            paths = {layer: [*(TRACED.sub("", step) for step in path[:-1]), path[-1]] for layer, path in paths.items()}
    return paths
