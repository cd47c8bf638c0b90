"""AttributeProto -> name and value."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, cast

from cnnlint.frontends.onnx.records import GraphRecord, TensorRecord, ValueRecord
from cnnlint.frontends.onnx.tensors import sparse_tensor, tensor
from cnnlint.frontends.onnx.values import value_type
from cnnlint.frontends.onnx.wire import WireError, closed, content, fields, int32, once, signed, text, varint, varints

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cnnlint.frontends.onnx.context import Context
    from cnnlint.frontends.onnx.records import AttributeValue

INLINE = 1024
"""Messages up to this many bytes are read whole; of larger ones, fields that hold payloads stay in the file."""

# Kinds are the codes of AttributeProto.AttributeType. Those that hold one value are the ones with a default.
_DEFAULTS: dict[int, AttributeValue] = {
    1: 0.0,
    2: 0,
    3: b"",
    4: TensorRecord("", (), "", None),
    5: GraphRecord("", (), {}, (), (), {}),
    11: TensorRecord("", (), "", None),
    13: ValueRecord("", None, ""),
}
_LISTS = frozenset({6, 7, 8, 9, 10, 12, 14})
_MESSAGES = frozenset({4, 5, 11, 13})
"""Kinds of one value that is a message: protobuf would merge two of them."""
_KINDS = _LISTS | _DEFAULTS.keys()


def attribute(context: Context, start: int, end: int, depth: int) -> tuple[str, AttributeValue | None, str]:
    """Read the AttributeProto at [start, end): its name, its value, and the attribute that it refers to.

    The value is None for a reference and for types that are not known.

    Raises:
        WireError: It is malformed.
        ModelError: A tensor in it is wrong, or its subgraphs are nested too deep.
    """
    source = context.source
    if end - start <= INLINE:
        return decode_attribute(context, source.read(start, end - start), start, depth)
    light: list[bytes] = []
    found: dict[int, list[AttributeValue]] = {}
    field = start
    for tag, begin, stop in fields(source, start, end):
        if tag in _HEAVY:
            kind, read = _HEAVY[tag]
            once(kind in _MESSAGES and kind in found, "the value of an attribute")
            found.setdefault(kind, []).append(read(context, begin, stop, depth))
        elif tag != 0x6A:  # doc_string
            light.append(source.read(field, stop - field))
        field = stop
    return decode_attribute(context, b"".join(light), start, depth, found)


def decode_attribute(
    context: Context,
    data: bytes,
    base: int,
    depth: int,
    found: dict[int, list[AttributeValue]] | None = None,
) -> tuple[str, AttributeValue | None, str]:
    """Decode the AttributeProto that lies at `base`; `found` are values, by kind, that `data` leaves out."""
    name = reference = ""
    declared = 0
    found = {} if found is None else found
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        if tag == 0x0A:
            name = text(data[start:pos])
        elif tag == 0xA0:
            declared = int32(varint(data, start)[0])
        elif tag == 0xAA:
            reference = text(data[start:pos])
        elif tag in _PLAIN:
            kind, decode = _PLAIN[tag]
            once(kind in _MESSAGES and kind in found, "the value of an attribute")
            found.setdefault(kind, []).extend(decode(data[start:pos]))
        elif tag in _HEAVY:
            kind, read = _HEAVY[tag]
            once(kind in _MESSAGES and kind in found, "the value of an attribute")
            found.setdefault(kind, []).append(read(context, base + start, base + pos, depth))
    closed(pos, end)
    # Files of IR version 1 do not declare the type: it is that of the field in use.
    kind = declared if declared in _KINDS else next(iter(found), 0)
    values = found.get(kind, ())
    if kind in _LISTS:
        return name, cast("AttributeValue", tuple(values)), reference
    return name, values[-1] if values else _DEFAULTS.get(kind), reference


def _floats(data: bytes) -> Sequence[float]:
    if len(data) % 4:
        raise WireError("a list of floats ends within one")
    return struct.unpack(f"<{len(data) // 4}f", data)


def _integers(data: bytes) -> Sequence[int]:
    return [signed(value) for value in varints(data)]


def _string(data: bytes) -> Sequence[bytes]:
    return (data,)


def _type(data: bytes) -> Sequence[ValueRecord]:
    return (value_type(data),)


def _tensor(context: Context, start: int, stop: int, _depth: int) -> TensorRecord:
    return tensor(context, start, stop)


def _sparse_tensor(context: Context, start: int, stop: int, _depth: int) -> TensorRecord:
    return sparse_tensor(context, start, stop)


def _graph(context: Context, start: int, stop: int, depth: int) -> GraphRecord:
    return context.graph(context, start, stop, depth + 1)


# By tag: the kind of attribute that the field belongs to, and how its content is decoded.
_PLAIN: dict[int, tuple[int, Callable[[bytes], Sequence[AttributeValue]]]] = {
    0x15: (1, _floats),
    0x18: (2, _integers),
    0x22: (3, _string),
    0x3A: (6, _floats),
    0x3D: (6, _floats),
    0x40: (7, _integers),
    0x42: (7, _integers),
    0x4A: (8, _string),
    0x72: (13, _type),
    0x7A: (14, _type),
}
# The same for fields that may hold payloads, which are read in place.
_HEAVY: dict[int, tuple[int, Callable[[Context, int, int, int], AttributeValue]]] = {
    0x2A: (4, _tensor),
    0x32: (5, _graph),
    0x52: (9, _tensor),
    0x5A: (10, _graph),
    0xB2: (11, _sparse_tensor),
    0xBA: (12, _sparse_tensor),
}
