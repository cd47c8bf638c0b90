"""What the parts of one reading share, and what a file declares of tensors: ValueInfoProto and TypeProto -> record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint import limits
from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.datatypes import NAMES
from cnnlint.frontends.onnx.records import ValueRecord
from cnnlint.frontends.onnx.wire import int32, members, signed, text, varint

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.external import Folder
    from cnnlint.frontends.onnx.records import AttributeValue
    from cnnlint.frontends.sources import ByteSource
    from cnnlint.graph.tensor import Dim

MAX_SUBGRAPHS = 64
"""Deepest nesting of subgraphs; protobuf itself stops at 100 messages, which is 33 subgraphs."""


class Reading:
    """The state of one reading.

    Networks repeat themselves: thousands of nodes hold the same few dozen attributes and types, byte for byte.
    The memos decode each once.

    Args:
        source: The model's bytes.
        folder: Where its external data lies; None for a model in memory, whose external data stays unread.
    """

    __slots__ = ("attributes", "folder", "source", "types")

    def __init__(self, source: ByteSource, folder: Folder | None) -> None:
        self.source = source
        self.folder = folder
        self.attributes: dict[bytes, tuple[str, AttributeValue | None, str]] = {}
        self.types: dict[bytes, ValueRecord] = {}

    def text(self, start: int, stop: int) -> str:
        """Read the string at [start, stop)."""
        return text(self.source.read(start, stop - start))

    def error(self, cause: str, remedy: str | None = None) -> ModelError:
        """Return an error about this model."""
        return ModelError(cause, path=self.source.path, remedy=remedy)


_UNDECLARED = ValueRecord("", None, "")
_OTHER_KINDS = {0x22: "sequence", 0x2A: "map", 0x3A: "opaque", 0x4A: "optional"}


def value_info(reading: Reading, data: bytes) -> ValueRecord:
    """Decode a ValueInfoProto."""
    name, declared = "", _UNDECLARED
    for tag, value in members(data):
        if tag == 0x0A:
            name = text(value)
        elif tag == 0x12:
            key = value
            known = reading.types.get(key)
            if known is None:
                known = reading.types[key] = value_type(key)
            declared = known
    return ValueRecord(name, declared.shape, declared.dtype)


def value_type(data: bytes) -> ValueRecord:
    """Decode a TypeProto to a record without a name; the elements of a sequence or map are not looked at."""
    record = _UNDECLARED
    for tag, value in members(data):
        if tag in {0x0A, 0x42}:
            record = _tensor_type(value)
        elif tag in _OTHER_KINDS:
            record = ValueRecord("", None, _OTHER_KINDS[tag])
    return record


def _tensor_type(data: bytes) -> ValueRecord:
    dtype, shape = "", None
    for tag, value in members(data):
        if tag == 0x08:
            dtype = NAMES.get(int32(varint(value, 0)[0]), "")
        elif tag == 0x12:
            shape = _shape(value)
    return ValueRecord("", shape, dtype)


def _shape(data: bytes) -> tuple[Dim, ...] | None:
    dims: list[Dim] = []
    for tag, value in members(data):
        if tag == 0x0A:
            dims.append(_dim(value))
    return limits.extents(tuple(dims))


def _dim(data: bytes) -> Dim:
    """Decode a Dimension; the -1 that some exporters write for a dynamic extent is None."""
    dim: Dim = None
    for tag, value in members(data):
        if tag == 0x08:
            extent = signed(varint(value, 0)[0])
            dim = extent if extent >= 0 else None
        elif tag == 0x12:
            dim = text(value) or None if len(value) <= limits.MAX_SYMBOL else None
    return dim
