"""Weights that a rewrite only rearranges: views of the file, not copies of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnlint.rewrite.permutation import contiguous

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray
    from onnx import NodeProto

    from cnnlint.frontends.onnx.records import GraphRecord


def rearranged_weights(model: onnx.ModelProto, weights: GraphRecord) -> dict[str, NDArray[Any]]:
    """Return what the Reshapes and Transposes of initializers in `model` make, by name, as views where possible.

    Args:
        model: The model; what it adds to the original are small constants.
        weights: The original graph, whose initializers lie in its file.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found: dict[str, NDArray[Any]] = {}
    for node in model.graph.node:
        if node.domain or node.op_type not in {"Reshape", "Transpose"}:
            continue
        source = found.get(node.input[0])
        if source is None:
            source = _values(node.input[0], constants, weights)
        made = None if source is None else _rearranged(node, source, constants)
        if made is not None:
            found[node.output[0]] = made
    return found


def _values(name: str, constants: dict[str, onnx.TensorProto], weights: GraphRecord) -> NDArray[Any] | None:
    record = weights.initializers.get(name)
    if name not in constants or record is None or record.storage is None:
        return None
    values = record.storage.read()
    return values if values.dtype.kind == "f" else None


def _rearranged(node: NodeProto, source: NDArray[Any], constants: dict[str, onnx.TensorProto]) -> NDArray[Any] | None:
    from onnx import helper, numpy_helper

    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == "Transpose":
        return source.transpose(attributes.get("perm") or range(source.ndim)[::-1])
    target = constants.get(node.input[1]) if len(node.input) > 1 else None
    if target is None:
        return None
    extents = [int(extent) for extent in numpy_helper.to_array(target)]
    if not attributes.get("allowzero"):
        extents = [source.shape[axis] if extent == 0 else extent for axis, extent in enumerate(extents)]
    return (source if source.flags.c_contiguous else contiguous(source)).reshape(extents)
