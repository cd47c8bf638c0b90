"""ONNX files as trees of protobuf fields that can be written as no protobuf library would write them.

A tree keeps what the bytes say: the order of fields, fields said twice, packed numbers. A field may be damaged in its
framing as well as in its content: numbers padded to more bytes than they need, lengths that lie, other wire types.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, EIGHT, SIZED, GROUP, GROUP_END, FOUR = range(6)

MESSAGES: dict[str, dict[int, str]] = {
    "ModelProto": {
        7: "GraphProto", 8: "OperatorSetIdProto", 14: "StringStringEntryProto", 20: "TrainingInfoProto",
        25: "FunctionProto",
    },
    "GraphProto": {
        1: "NodeProto", 5: "TensorProto", 11: "ValueInfoProto", 12: "ValueInfoProto", 13: "ValueInfoProto",
        14: "TensorAnnotation", 15: "SparseTensorProto", 16: "StringStringEntryProto",
    },
    "NodeProto": {5: "AttributeProto", 9: "StringStringEntryProto"},
    "AttributeProto": {
        5: "TensorProto", 6: "GraphProto", 10: "TensorProto", 11: "GraphProto", 14: "TypeProto", 15: "TypeProto",
        22: "SparseTensorProto", 23: "SparseTensorProto",
    },
    "TensorProto": {3: "Segment", 13: "StringStringEntryProto", 16: "StringStringEntryProto"},
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorAnnotation": {2: "StringStringEntryProto"},
    "ValueInfoProto": {2: "TypeProto", 4: "StringStringEntryProto"},
    "TypeProto": {1: "Tensor", 4: "Sequence", 5: "Map", 8: "SparseTensor", 9: "Optional"},
    "Tensor": {2: "TensorShapeProto"},
    "SparseTensor": {2: "TensorShapeProto"},
    "Sequence": {1: "TypeProto"},
    "Optional": {1: "TypeProto"},
    "Map": {2: "TypeProto"},
    "TensorShapeProto": {1: "Dimension"},
    "FunctionProto": {
        7: "NodeProto", 9: "OperatorSetIdProto", 11: "AttributeProto", 12: "ValueInfoProto",
        14: "StringStringEntryProto",
    },
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto", 3: "StringStringEntryProto", 4: "StringStringEntryProto"},
    "Segment": {},
    "OperatorSetIdProto": {},
    "StringStringEntryProto": {},
    "Dimension": {},
}  # fmt: skip
"""The message that each sized field holds, by the message that it stands in (onnx/onnx.proto3)."""

PACKED = {("TensorProto", 1), ("TensorProto", 5), ("TensorProto", 7), ("TensorProto", 11), ("AttributeProto", 8)}
"""Fields that hold packed varints."""

BINARY = {("TensorProto", 9), ("TensorProto", 4), ("TensorProto", 10), ("AttributeProto", 7)}
"""Fields that hold bytes and no text."""


@dataclass(slots=True)
class Field:
    """One field.

    Attributes:
        number: The field's.
        wire: Its wire type.
        value: A number, raw bytes, packed numbers, or the fields of a message.
        message: The message that `value` is made of; "" if it is none.
        inside: The message that the field stands in.
        padding: Bytes by which tag and length are longer than they need to be.
        lie: What is added to the length that is written.
    """

    number: int
    wire: int
    value: int | bytes | list[int] | list[Field]
    message: str = ""
    inside: str = ""
    padding: int = 0
    lie: int = 0

    @property
    def fields(self) -> list[Field]:
        """The fields of a message; [] where there are none."""
        return self.value if self.message and isinstance(self.value, list) else []  # type: ignore[return-value]

    def copy(self) -> Field:
        """Return a copy down to the leaves."""
        value = self.value
        if isinstance(value, list):
            value = [each.copy() for each in value] if self.message else list(value)  # type: ignore[union-attr]
        return Field(self.number, self.wire, value, self.message, self.inside, self.padding, self.lie)

    def first(self, number: int) -> Field | None:
        """Return the first field of that number within this one."""
        return next((each for each in self.fields if each.number == number), None)

    def all(self, number: int) -> list[Field]:
        """Return the fields of that number within this one."""
        return [each for each in self.fields if each.number == number]

    def text(self, number: int) -> str:
        """Return the text of a field within this one; "" where there is none."""
        found = self.first(number)
        return found.value.decode("utf-8", "replace") if found is not None and isinstance(found.value, bytes) else ""


@dataclass(slots=True)
class Model:
    """A model: the fields of its ModelProto, and bytes behind them that are no fields."""

    root: Field
    tail: bytes = b""

    def copy(self) -> Model:
        """Return a copy down to the leaves."""
        return Model(self.root.copy(), self.tail)

    def encode(self) -> bytes:
        """Return the file."""
        return content_of(self.root) + self.tail

    def walk(self) -> Iterator[tuple[Field, Field]]:
        """Yield each field with the one that it stands in, from the root down."""
        stack = [self.root]
        while stack:
            parent = stack.pop()
            for each in parent.fields:
                yield parent, each
                if each.message:
                    stack.append(each)


def parse(data: bytes) -> Model:
    """Return the tree of a file; what is not well-formed becomes bytes."""
    fields, end = _fields(data, "ModelProto")
    return Model(Field(0, SIZED, fields, "ModelProto"), data[end:])


def number_field(number: int, value: int, inside: str) -> Field:
    """Return a varint field."""
    return Field(number, VARINT, value & (2**64 - 1), "", inside)


def text_field(number: int, value: str, inside: str) -> Field:
    """Return a field with text."""
    return Field(number, SIZED, value.encode("utf-8", "surrogatepass"), "", inside)


def message_field(number: int, inside: str, *fields: Field) -> Field:
    """Return a field with a message of `fields`."""
    return Field(number, SIZED, list(fields), MESSAGES[inside][number], inside)


def varint(value: int, padding: int = 0) -> bytes:
    """Encode an unsigned number, in more bytes than it takes if `padding` asks for it."""
    found = bytearray()
    value &= 2**64 - 1
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    if padding:
        found[-1] |= 0x80
        found += b"\x80" * (padding - 1) + b"\x00"
    return bytes(found)


def content_of(field: Field) -> bytes:
    """Return the bytes between a field's length and the next field."""
    value = field.value
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return varint(value)
    if field.message:
        return b"".join(map(encode, value))  # type: ignore[arg-type]
    return b"".join(map(varint, value))  # type: ignore[arg-type]


def encode(field: Field) -> bytes:
    """Return a field as it stands in a file."""
    tag = varint(field.number << 3 | field.wire, field.padding)
    content = content_of(field)
    if field.wire == SIZED:
        return tag + varint(max(0, len(content) + field.lie), field.padding) + content
    if field.wire == GROUP:
        return tag + content + varint(field.number << 3 | GROUP_END)
    if field.wire in {EIGHT, FOUR}:
        width = 8 if field.wire == EIGHT else 4
        return tag + content[:width].ljust(width, b"\x00")
    return tag + content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes, inside: str) -> tuple[list[Field], int]:
    """Return the fields that `data` begins with, and where what is no field begins."""
    found = list[Field]()
    at, kinds = 0, MESSAGES[inside]
    while at < len(data):
        start = at
        try:
            tag, at = _varint(data, at)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                value, at = _varint(data, at)
                found.append(Field(number, wire, value, "", inside))
            elif wire in {EIGHT, FOUR}:
                stop = at + (8 if wire == EIGHT else 4)
                found.append(Field(number, wire, data[at:stop], "", inside))
                at = stop
            elif wire == SIZED:
                size, at = _varint(data, at)
                if at + size > len(data):
                    return found, start
                found.append(_sized(number, data[at : at + size], inside, kinds.get(number, "")))
                at += size
            else:
                return found, start
        except IndexError:
            return found, start
    return found, at


def _sized(number: int, content: bytes, inside: str, message: str) -> Field:
    if message:
        fields, end = _fields(content, message)
        if end == len(content):
            return Field(number, SIZED, fields, message, inside)
    elif (inside, number) in PACKED:
        try:
            at, numbers = 0, list[int]()
            while at < len(content):
                value, at = _varint(content, at)
                numbers.append(value)
        except IndexError:
            pass
        else:
            return Field(number, SIZED, numbers, "", inside)
    return Field(number, SIZED, content, "", inside)
