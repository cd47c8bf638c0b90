"""The outside of a converted model: names and batch of its inputs and outputs, operators that were left over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cnnlint.convert.constants import rename_inputs, unique_name

if TYPE_CHECKING:
    import onnx

BATCH = "batch"
"""What the dynamic batch is called."""


def rename_interface(graph: onnx.GraphProto, inputs: Mapping[str, str], outputs: list[str]) -> None:
    """Call the inputs of `graph` and its outputs, these in order, as the user's model does.

    A tensor that is in the way of a name gives way. An output that is also an input or another output is the
    caller's to avoid: a trace never makes one.
    """
    wanted = dict(inputs)
    for value, name in zip(graph.output, outputs, strict=True):
        wanted[value.name] = name
    present = {name for node in graph.node for name in (*node.input, *node.output)}
    present |= {value.name for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer)}
    names: dict[str, str] = {}
    targets = set[str]()
    for name, target in wanted.items():
        # An input and an output of one name: the input keeps it.
        names[name] = unique_name(target, targets)
        targets.add(names[name])
    for name in (present & targets) - wanted.keys():
        names[name] = unique_name(f"{name}_inner", present | targets)
    _rename(graph, names)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        rename_inputs(node, names)
        for index, name in enumerate(node.output):
            if name in names:
                node.output[index] = names[name]
        for inner in _subgraphs(node):
            _rename(inner, names)


def set_batch_symbol(graph: onnx.GraphProto) -> None:
    """Give the first extent of every input and output that is open the symbol "batch"."""
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and not dims[0].HasField("dim_value"):
            dims[0].dim_param = BATCH


def leftover_operators(model: onnx.ModelProto) -> list[str]:
    """Return the nodes that no operator set of `model` defines, as "type (name)", each type once."""
    from onnx import defs

    opsets = {item.domain: item.version for item in model.opset_import}
    found: dict[str, str] = {}
    for node in _all_nodes(model.graph):
        if not (node.domain in opsets and defs.has(node.op_type, opsets[node.domain], node.domain)):
            found.setdefault(node.op_type, node.name)
    return [f"{kind} ({name})" for kind, name in found.items()]


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for inner in _subgraphs(node):
            yield from _all_nodes(inner)


def _subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
