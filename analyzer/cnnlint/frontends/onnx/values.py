"""ValueInfoProto and TypeProto -> record: what the file declares of a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint import limits
from cnnlint.frontends.onnx.datatypes import NAMES
from cnnlint.frontends.onnx.records import ValueRecord
from cnnlint.frontends.onnx.wire import closed, content, int32, signed, text, varint

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.context import Context
    from cnnlint.graph.tensor import Dim

_UNDECLARED = ValueRecord("", None, "")
_OTHER_KINDS = {0x22: "sequence", 0x2A: "map", 0x3A: "opaque", 0x4A: "optional"}


def value_info(context: Context, data: bytes) -> ValueRecord:
    """Decode a ValueInfoProto."""
    name, declared = "", _UNDECLARED
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if tag == 0x0A:
            name = text(data[start:pos])
        elif tag == 0x12:
            key = data[start:pos]
            known = context.types.get(key)
            if known is None:
                known = context.types[key] = value_type(key)
            declared = known
    closed(pos, end)
    return ValueRecord(name, declared.shape, declared.dtype)


def value_type(data: bytes) -> ValueRecord:
    """Decode a TypeProto to a record without a name; the elements of a sequence or map are not looked at."""
    record = _UNDECLARED
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if tag in {0x0A, 0x42}:
            record = _tensor_type(data[start:pos])
        elif tag in _OTHER_KINDS:
            record = ValueRecord("", None, _OTHER_KINDS[tag])
    closed(pos, end)
    return record


def _tensor_type(data: bytes) -> ValueRecord:
    dtype, shape = "", None
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if tag == 0x08:
            dtype = NAMES.get(int32(varint(data, start)[0]), "")
        elif tag == 0x12:
            shape = _shape(data[start:pos])
    closed(pos, end)
    return ValueRecord("", shape, dtype)


def _shape(data: bytes) -> tuple[Dim, ...] | None:
    dims: list[Dim] = []
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if tag == 0x0A:
            dims.append(_dim(data[start:pos]))
    closed(pos, end)
    return limits.extents(tuple(dims))


def _dim(data: bytes) -> Dim:
    """Decode a Dimension; the -1 that some exporters write for a dynamic extent is None."""
    dim: Dim = None
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if tag == 0x08:
            extent = signed(varint(data, start)[0])
            dim = extent if extent >= 0 else None
        elif tag == 0x12:
            dim = text(data[start:pos]) or None if pos - start <= limits.MAX_SYMBOL else None
    closed(pos, end)
    return dim
