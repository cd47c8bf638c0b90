"""Weights that a rewrite only rearranges, worked out once instead of at every run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnlint.rewrite.permutation import permuted
from cnnlint.runtime.session import processors

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray
    from onnx import NodeProto

    from cnnlint.frontends.onnx.records import GraphRecord


def fold_rearrangements(model: onnx.ModelProto, weights: GraphRecord) -> dict[str, NDArray[Any]]:
    """Take out of `model` the Reshapes and Transposes of initializers, and return what they make by name.

    Weights are read from the file where they lie; nothing else of them is copied than what a Transpose moves.

    Args:
        model: Is changed: the nodes go, and the initializers that only they used.
        weights: The graph whose initializers the model's are.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    folded: dict[str, NDArray[Any]] = {}
    gone: list[int] = []
    for index, node in enumerate(model.graph.node):
        made = _rearranged(node, folded, constants, model, weights)
        if made is not None:
            folded[node.output[0]] = made
            gone.append(index)
    for index in reversed(gone):
        del model.graph.node[index]
    used = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    for index in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[index].name not in used:
            del model.graph.initializer[index]
    return {name: value for name, value in folded.items() if name in used}


def _rearranged(
    node: NodeProto,
    folded: dict[str, NDArray[Any]],
    constants: set[str],
    model: onnx.ModelProto,
    weights: GraphRecord,
) -> NDArray[Any] | None:
    from onnx import helper, numpy_helper  # noqa: PLC0415 - a static lint does without

    if (
        node.domain
        or node.op_type not in {"Reshape", "Transpose"}
        or not all(name in constants or name in folded for name in node.input)
    ):
        return None
    source = folded.get(node.input[0])
    if source is None:
        record = weights.initializers.get(node.input[0])
        if record is None or record.storage is None:
            return None
        source = record.storage.read()
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Transpose":
        return permuted(source, attributes.get("perm") or range(source.ndim)[::-1], threads=processors())
    if len(node.input) < 2 or node.input[1] not in constants:
        return None
    target = next(tensor for tensor in model.graph.initializer if tensor.name == node.input[1])
    extents = [int(extent) for extent in numpy_helper.to_array(target)]
    if not attributes.get("allowzero"):
        extents = [source.shape[axis] if extent == 0 else extent for axis, extent in enumerate(extents)]
    return source.reshape(extents)
