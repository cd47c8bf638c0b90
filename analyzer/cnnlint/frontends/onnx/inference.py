"""Shapes from onnx's own inference, for operators outside the vocabulary; the only import of onnx for reading."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cnnlint import limits
from cnnlint.frontends.onnx.functions import all_nodes, expansion
from cnnlint.frontends.onnx.records import GraphRecord, ModelRecord, NodeRecord, ValueRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


def infer(model: ModelRecord, nodes: Iterable[NodeRecord]) -> Mapping[str, ValueRecord]:
    """Return what onnx infers of the tensors of `model`, weights left in the file; {} where it cannot.

    Args:
        model: The file. One whose function calls come to more than `limits.MAX_INLINED` is not inferred.
        nodes: Its nodes with the calls written out. Where their shape arithmetic comes to more than
            `limits.MAX_FOLDED_IN_ALL` elements, onnx, which knows no limit, is told not to follow it.
    """
    if model.source is None or expansion(model.graph.nodes, model) > limits.MAX_INLINED:
        return {}
    import onnx.checker
    import onnx.shape_inference

    from cnnlint.frontends.onnx.skeleton import read_bytes
    from cnnlint.frontends.onnx.strip import shapes_only

    follows = elements_followed(nodes, model.graph) <= limits.MAX_FOLDED_IN_ALL
    try:
        inferred = onnx.shape_inference.infer_shapes(shapes_only(model.source), strict_mode=False, data_prop=follows)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError, ValueError, RuntimeError):
        return {}
    graph = read_bytes(inferred.SerializeToString()).graph
    return {**graph.value_infos, **{value.name: value for value in graph.outputs}}


def elements_followed(nodes: Iterable[NodeRecord], graph: GraphRecord) -> int:
    """Return how many elements of shapes onnx's data propagation would hold at most."""
    sizes = {name: limits.product(record.shape) or 0 for name, record in graph.initializers.items()}
    sizes = {name: size for name, size in sizes.items() if size <= limits.MAX_FOLDED}
    total = 0
    for node in all_nodes(nodes):
        given = [sizes.get(name, 1) for name in node.inputs]
        if node.op_type == "Shape":
            made = limits.MAX_RANK
        elif node.op_type == "Concat":
            made = sum(given)
        else:
            made = max(given, default=1)
        # a tensor that is no shape is followed by nobody, but every operator could make one
        if made > 1:
            total += made
            sizes.update(dict.fromkeys(node.outputs, made))
        if total > limits.MAX_FOLDED_IN_ALL:
            break
    return total
