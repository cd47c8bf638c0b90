"""Tensors of the file that are weights of the network."""

from __future__ import annotations

from cnnlint.frontends.onnx.records import TensorRecord
from cnnlint.graph.dtype import is_floating
from cnnlint.graph.tensor import Weight

QUANTIZED = ("int8", "uint8", "int4", "uint4", "int2", "uint2")
"""Element types that quantised weights are stored in."""


def is_parameter(record: TensorRecord) -> bool:
    """Return whether a tensor of the file is a weight and not a number, an axis or a shape."""
    return record.shape != () and (is_floating(record.dtype) or record.dtype in QUANTIZED)


def weight_of(record: TensorRecord, role: str) -> Weight:
    """Return the weight that a tensor of the file is."""
    return Weight(key=record.name, shape=record.shape, dtype=record.dtype, role=role, storage=record.storage)
