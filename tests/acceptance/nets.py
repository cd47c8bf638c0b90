"""Small ONNX files that hold one thing each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT
IMAGE = helper.make_tensor_value_info("x", FLOAT, [1, 3, 8, 8])
OUTPUT = helper.make_tensor_value_info("y", FLOAT, None)


def value(name: str, shape: Sequence[int | str] | None, dtype: int = FLOAT) -> onnx.ValueInfoProto:
    """Declare a tensor."""
    return helper.make_tensor_value_info(name, dtype, shape)


def array(name: str, *shape: int, dtype: type = np.float32) -> onnx.TensorProto:
    """Return an initializer of ones."""
    return numpy_helper.from_array(np.ones(shape, dtype), name)


def node(op: str, inputs: str, outputs: str, name: str = "", domain: str = "", **attributes: object) -> onnx.NodeProto:
    """Return a node; names of tensors have spaces between."""
    return helper.make_node(op, inputs.split(), outputs.split(), name=name, domain=domain, **attributes)


CONV = node("Conv", "x w", "y", "conv")
KERNEL = array("w", 4, 3, 3, 3)


def model(
    nodes: Sequence[onnx.NodeProto] = (CONV,),
    initializers: Sequence[onnx.TensorProto] = (KERNEL,),
    *,
    inputs: Sequence[onnx.ValueInfoProto] = (IMAGE,),
    outputs: Sequence[onnx.ValueInfoProto] = (OUTPUT,),
    opset: int = 17,
    functions: Sequence[onnx.FunctionProto] = (),
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    """Return a model that is not checked in any way."""
    graph = helper.make_graph(nodes, "net", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)


def write(path: Path, proto: onnx.ModelProto) -> Path:
    """Write a model and return its path."""
    path.write_bytes(proto.SerializeToString())
    return path


def external(location: str, **entries: int) -> onnx.TensorProto:
    """Return the kernel with its values in another file."""
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[4, 3, 3, 3], data_location=TensorProto.EXTERNAL)
    for key, text in (("location", location), *entries.items()):
        tensor.external_data.add(key=key, value=str(text))
    return tensor


def claimed(*dims: int, raw: bytes | None = None) -> onnx.TensorProto:
    """Return an initializer that claims `dims` and holds `raw`."""
    tensor = TensorProto(name="w", data_type=FLOAT, dims=dims)
    if raw is not None:
        tensor.raw_data = raw
    return tensor
