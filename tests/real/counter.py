"""A counter of multiply-accumulates that knows nothing of cnnlint: from the shapes of one run under onnxruntime.

Every node that multiplies has its operands made outputs of the graph; the model runs on a batch of one with graph
optimization off, and each node is counted from the arrays that it really got and made. Nodes inside of functions and
control flow are not seen: such a model has no count here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

Shape = tuple[int, ...]

MULTIPLIES = {
    "Conv", "ConvInteger", "QLinearConv", "FusedConv", "ConvTranspose", "DeformConv", "Gemm", "MatMul", "MatMulInteger",
    "QLinearMatMul", "Einsum", "LSTM", "GRU", "RNN",
}  # fmt: skip

HIDES = {"If", "Loop", "Scan", "DynamicQuantizeLSTM", "Attention", "MultiHeadAttention", "STFT", "DFT"}
"""What multiplies where no output shows it."""


class UncountableError(Exception):
    """The model multiplies where this counter does not see it."""


def macs_of_one_sample(path: Path, feeds: Mapping[str, np.ndarray[Any, Any]]) -> int:
    """Return the multiply-accumulates of a run of the model at `path` on `feeds`, a batch of one sample.

    Products of constants alone count too, as the run does them; no optimizer has made them beforehand.

    Raises:
        UncountableError: A function or a subgraph may multiply.
    """
    model = onnx.load(path)
    if hidden := sorted({node.op_type for node in model.graph.node if node.op_type in HIDES} | set(_local(model))):
        raise UncountableError(f"{', '.join(hidden)} may multiply inside")
    counted = [node for node in model.graph.node if node.op_type in MULTIPLIES]
    shapes = _shapes(model, counted, feeds)
    return sum(macs(node, shapes) for node in counted)


def macs(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    """Return the multiply-accumulates of one node from the shapes of its operands."""
    if node.op_type == "Einsum" and len(node.input) == 1:
        return 0  # a sum or a transpose
    said = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    left, right = _operands(node, shapes)
    match node.op_type:
        case "Conv" | "ConvInteger" | "QLinearConv" | "FusedConv" | "DeformConv":
            # each output element sums over the kernel's taps and input channels of its group
            return prod(shapes[node.output[0]]) * prod(right[1:])
        case "ConvTranspose":
            # each input element is multiplied with every tap of every output channel of its group
            return prod(left) * prod(right[1:])
        case "Gemm":
            return prod(shapes[node.output[0]]) * left[0 if said.get("transA") else 1]
        case "MatMul" | "MatMulInteger" | "QLinearMatMul":
            return prod(shapes[node.output[0]]) * left[-1]
        case "Einsum":
            return _einsum(said["equation"].decode(), [shapes[name] for name in node.input])
        case _:
            steps, batch = (left[1], left[0]) if said.get("layout") else (left[0], left[1])
            # the kernels of all gates and directions, for the step's input and for the state
            return steps * batch * (prod(right) + prod(shapes[node.input[2]]))


def _operands(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> tuple[Shape, Shape]:
    second = 3 if node.op_type.startswith("QLinear") else 1
    return shapes[node.input[0]], shapes[node.input[second]]


def _einsum(equation: str, operands: list[Shape]) -> int:
    """Return the product of all labels' extents, for the two operands of which one sum of products is made."""
    if len(operands) > 2:
        raise UncountableError("an Einsum of more than two operands has no one order of products")
    extents = dict[str, int]()
    for labels, shape in zip(equation.replace(" ", "").split("->")[0].split(","), operands, strict=True):
        extents |= {label: max(size, extents.get(label, 1)) for label, size in zip(labels, shape, strict=True)}
    return prod(extents.values())


def _local(model: onnx.ModelProto) -> list[str]:
    local = {(function.domain, function.name) for function in model.functions}
    return [node.op_type for node in model.graph.node if (node.domain, node.op_type) in local]


def _shapes(
    model: onnx.ModelProto, nodes: list[onnx.NodeProto], feeds: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, Shape]:
    """Return the shapes of all operands and results of `nodes` as they are in a run.

    A Shape node is put behind each tensor, so that shapes come out and not the arrays.
    """
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    constants = {node.output[0]: node for node in model.graph.node if node.op_type == "Constant"}
    wanted = {name for node in nodes for name in (*node.input, *node.output[:1]) if name}
    shapes |= {
        name: tuple(constants[name].attribute[0].t.dims)
        for name in wanted & set(constants)
        if constants[name].attribute[0].name == "value"
    }
    asked = sorted(wanted - set(shapes))
    shapes |= {name: feeds[name].shape for name in asked if name in feeds}
    asked = [name for name in asked if name not in feeds]
    del model.graph.output[:]
    for index, name in enumerate(asked):
        model.graph.node.append(onnx.helper.make_node("Shape", [name], [f"__shape_{index}"]))
        model.graph.output.append(onnx.helper.make_tensor_value_info(f"__shape_{index}", onnx.TensorProto.INT64, None))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run(None, dict(feeds))
    return shapes | {name: tuple(int(size) for size in value) for name, value in zip(asked, values, strict=True)}
