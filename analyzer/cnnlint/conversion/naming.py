"""Name a converted graph as the user's model is named: inputs, outputs, weights and the layers that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cnnlint.conversion.constants import rename_inputs, unique_name

if TYPE_CHECKING:
    import onnx

    from cnnlint.conversion.constants import Constants

BATCH = "batch"
"""What the dynamic batch is called."""

NUMBERED = re.compile(r"__\d+(:\d+)?$")
"""How tf2onnx ends the names that it makes up: a number, and which output of a node it is."""

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def weight_paths(model: Any) -> dict[int, str]:
    """Return what each variable of a Keras model is called, by its id: its layer's path, then its own name."""
    return {
        id(variable): f"{path}/{_own_name(variable, layer)}"
        for path, layer in _layers(model, "")
        for variable in layer.weights
    }


def kernel_layers(model: Any) -> set[str]:
    """Return the paths of the layers of a Keras model that hold a kernel, names of nested models before them."""
    return {path for path, layer in _layers(model, "") if any("kernel" in variable.name for variable in layer.weights)}


def _layers(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        if hasattr(layer, "layers"):
            yield from _layers(layer, f"{path}/")
        else:
            yield path, layer


def _own_name(variable: Any, layer: Any) -> str:
    # Layers inside a layer (an attention's projections) have names of their own between the two.
    _, found, rest = variable.path.partition(f"{layer.name}/")
    return rest if found else variable.name


def drop_numbers(graph: onnx.GraphProto) -> None:
    """Take tf2onnx's running numbers out of the names of nodes and what they produce.

    The numbers go on from one conversion to the next, so that the same model would never be named the same twice.
    """
    taken = {name for node in graph.node for name in (node.name, *node.output)}
    taken |= {value.name for value in (*graph.input, *graph.output, *graph.initializer)}
    fixed = {value.name for value in (*graph.input, *graph.output)}
    renamed: dict[str, str] = {}
    for node in graph.node:
        number = NUMBERED.search(node.name)
        if number is not None:
            stem = node.name[: number.start()]
            node.name = unique_name(f"{stem}/{node.op_type}" if stem in taken else stem, taken)
            taken.add(node.name)
        for index, name in enumerate(node.output):
            if NUMBERED.search(name) and name not in fixed:
                renamed[name] = unique_name(f"{node.name}:{index}", taken)
                taken.add(renamed[name])
    rename_tensors(graph, renamed)


def name_layers(constants: Constants, paths: set[str]) -> None:
    """Call kernels, biases and the nodes that read them by the layer in `paths` that they belong to.

    tf2onnx gives a node that it made of two no scope (`Conv__123`), its kernel often no name; then the bias may tell.
    """
    renamed: dict[str, str] = {}
    taken = {name for node in constants.graph.node for name in (node.name, *node.output)}
    for node in constants.graph.node:
        if node.op_type not in WEIGHTED or len(node.input) < 2 or node.input[1] not in constants.values:
            continue
        # Never the output: it may be called after a norm that was folded.
        candidates = [node.input[1], node.name, *node.input[2:]]
        found = (_layer_of(constants.labels.get(name, name), paths) for name in candidates)
        path = next((path for path in found if path is not None), None)
        if path is None:
            continue
        for name, role in zip(node.input[1:], ("kernel", "bias"), strict=False):
            if name in constants.values:
                constants.labels.setdefault(name, f"{path}/{role}")
        if "/" not in node.name:
            node.name = unique_name(f"{path}/{node.op_type}", taken)
            renamed[node.output[0]] = unique_name(f"{node.name}:0", taken)
            taken |= {node.name, renamed[node.output[0]]}
    rename_tensors(constants.graph, renamed)


def name_constants(constants: Constants) -> None:
    """Call constants that have no name of the model's by the first node that reads them."""
    for node in constants.graph.node:
        for index, name in enumerate(node.input):
            if name in constants.values and ("/" not in name or NUMBERED.search(name)):
                constants.labels.setdefault(name, f"{node.name}/input_{index}")


def _layer_of(name: str, paths: set[str]) -> str | None:
    """Return the longest of `paths` that is `name` or stands above it."""
    while name:
        if name in paths:
            return name
        name = name.rpartition("/")[0]
    return None


def name_interface(graph: onnx.GraphProto, inputs: Mapping[str, str], outputs: list[str]) -> None:
    """Call the inputs of `graph` and its outputs, these in order, as the user's model does.

    A tensor that is in the way of a name gives way. The batch, where it is open, becomes "batch".
    """
    wanted = dict(inputs) | {value.name: name for value, name in zip(graph.output, outputs, strict=True)}
    present = {name for node in graph.node for name in (*node.input, *node.output)}
    present |= {value.name for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)}
    names: dict[str, str] = {}
    targets = set[str]()
    for name, target in wanted.items():
        # Where an input and an output have one name, the input keeps it.
        names[name] = unique_name(target, targets)
        targets.add(names[name])
    for name in (present & targets) - wanted.keys():
        names[name] = unique_name(f"{name}_inner", present | targets)
    rename_tensors(graph, names)
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_param = BATCH


def rename_tensors(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Let the tensor x be called `names[x]` wherever `graph` and its subgraphs speak of it."""
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        rename_inputs(node, names)
        for index, name in enumerate(node.output):
            if name in names:
                node.output[index] = names[name]
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                rename_tensors(inner, names)
