"""Give a converted graph the names of the user's model: inputs, outputs, weights and layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cnnlint.conversion.constants import rename_inputs, unique_name
from cnnlint.runtime.nodes import subgraphs

if TYPE_CHECKING:
    import onnx

    from cnnlint.conversion.constants import Constants

BATCH = "batch"
"""Name of the dynamic batch dimension."""

NUMBERED = re.compile(r"__\d+(:\d+)?$")
"""The end of names that tf2onnx generates: a number, and the index of the node's output."""

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def weight_paths(model: Any) -> dict[int, str]:
    """Return the name of each variable of a Keras model, by id: the layer's path, then the variable's own name."""
    return {
        id(variable): f"{path}/{_own_name(variable, layer)}"
        for path, layer in _layers(model, "")
        for variable in layer.weights
    }


def kernel_layers(model: Any) -> set[str]:
    """Return the paths of the layers of a Keras model that have a kernel, prefixed with the names of nested models."""
    return {path for path, layer in _layers(model, "") if any("kernel" in variable.name for variable in layer.weights)}


def _layers(model: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        if hasattr(layer, "layers"):
            yield from _layers(layer, f"{path}/")
        else:
            yield path, layer


def _own_name(variable: Any, layer: Any) -> str:
    # The names of layers inside a layer (an attention's projections) come between the two.
    _, found, rest = variable.path.partition(f"{layer.name}/")
    return rest if found else variable.name


def drop_numbers(graph: onnx.GraphProto) -> None:
    """Remove tf2onnx's running numbers from the names of nodes and their outputs.

    The count continues from one conversion to the next, so names would differ every time.
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
    """Name kernels, biases and the nodes that read them after their layer in `paths`.

    tf2onnx gives a node that it fused no scope (`Conv__123`), and often no name to its kernel; then the bias may tell.
    """
    renamed: dict[str, str] = {}
    taken = {name for node in constants.graph.node for name in (node.name, *node.output)}
    for node in constants.graph.node:
        if node.op_type not in WEIGHTED or len(node.input) < 2 or node.input[1] not in constants.values:
            continue
        # Never the output: it may have the name of a norm that was folded.
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
    """Name constants that have no name in the model after the first node that reads them."""
    for node in constants.graph.node:
        for index, name in enumerate(node.input):
            if name in constants.values and ("/" not in name or NUMBERED.search(name)):
                constants.labels.setdefault(name, f"{node.name}/input_{index}")


def _layer_of(name: str, paths: set[str]) -> str | None:
    """Return the longest of `paths` that is `name` or one of its parents."""
    while name:
        if name in paths:
            return name
        name = name.rpartition("/")[0]
    return None


def name_interface(graph: onnx.GraphProto, inputs: Mapping[str, str], outputs: list[str]) -> None:
    """Name the inputs of `graph`, and its outputs in order, as in the user's model.

    An inner tensor that already has such a name is renamed. An open batch dimension becomes "batch".
    """
    wanted = dict(inputs) | {value.name: name for value, name in zip(graph.output, outputs, strict=True)}
    present = {name for node in graph.node for name in (*node.input, *node.output)}
    present |= {value.name for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)}
    names: dict[str, str] = {}
    targets = set[str]()
    for name, target in wanted.items():
        # If an input and an output share a name, the input keeps it.
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
    """Rename the tensors that are keys of `names` throughout `graph` and its subgraphs."""
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        rename_inputs(node, names)
        for index, name in enumerate(node.output):
            if name in names:
                node.output[index] = names[name]
        for inner in subgraphs(node):
            rename_tensors(inner, names)
