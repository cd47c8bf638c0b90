"""The protobuf wire format: varints, and the fields of messages that may be too large for memory.

Encoding: https://protobuf.dev/programming-guides/encoding/. A tag is `number << 3 | wire type`; wire types
are 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. 3 and 4, groups, do not occur in ONNX files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnlint.frontends.sources import ByteSource

MAX_VARINT = 10
"""Bytes of the longest varint: 64 bits, 7 per byte."""

_LONGEST_HEADER = 2 * MAX_VARINT
_NARROW, _WIDE = 128, 4096


class WireError(Exception):
    """The bytes are not a protobuf message; `str()` is the reason, in one clause."""


class TruncatedError(WireError):
    """A field extends beyond the end of its message.

    Args:
        reason: In one clause.
        tag: The field's tag; 0 if the tag itself is cut off.
    """

    def __init__(self, reason: str, tag: int = 0) -> None:
        super().__init__(reason)
        self.tag = tag


def varint(data: bytes, pos: int) -> tuple[int, int]:
    """Decode the varint at `pos`: its value, unsigned, and the position after it.

    Raises:
        WireError: It is longer than 10 bytes or has more than 64 bits.
        TruncatedError: The data ends within it.
    """
    head = data[pos : pos + 2]
    if len(head) == 2 and head[1] < 0x80 <= head[0]:
        return head[0] & 0x7F | head[1] << 7, pos + 2
    value = shift = 0
    for byte in data[pos : pos + MAX_VARINT]:
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                raise WireError("a number has more than 64 bits")
            return value, pos
        shift += 7
    if shift == 7 * MAX_VARINT:
        raise WireError("a number takes more than 10 bytes")
    raise TruncatedError("it ends in the middle of a number")


def encoded(value: int) -> bytes:
    """Encode a varint."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def signed(value: int) -> int:
    """Convert an unsigned varint to int64."""
    return value - (1 << 64) if value >> 63 else value


def int32(value: int) -> int:
    """Convert an unsigned varint to int32, which is also the type of enumerations.

    Raises:
        WireError: It has more bits, which protobuf would cut off, reading 2^32 + 1 as 1.
    """
    number = signed(value)
    if not -(1 << 31) <= number < 1 << 31:
        raise WireError("a code has more than 32 bits")
    return number


def once(seen: bool, field: str) -> None:
    """Check that a singular field occurs only once.

    Protobuf would take the last value, or merge messages; no writer writes several.

    Raises:
        WireError: It occurs again.
    """
    if seen:
        raise WireError(f"it gives {field} twice")


def varints(data: bytes) -> list[int]:
    """Decode packed varints, unsigned."""
    values: list[int] = []
    pos, end = 0, len(data)
    while pos < end:
        value = data[pos]
        pos += 1
        if value > 0x7F:
            value, pos = varint(data, pos - 1)
        values.append(value)
    return values


def content(data: bytes, pos: int) -> tuple[int, int, int]:
    """Find the field at `pos`: its tag, and the start and end of its content, which may be beyond the data.

    Raises:
        WireError: The tag is invalid, or belongs to a group.
        TruncatedError: The data ends within the field's header.
    """
    try:
        tag = data[pos]
        start = pos + 1
        if tag > 0x7F:
            tag, start = varint(data, pos)
        if tag & 7 == 2 and tag > 7:
            length = data[start]
            if length > 0x7F:
                length, start = varint(data, start)
                return tag, start, start + length
            return tag, start + 1, start + 1 + length
    except IndexError:
        raise TruncatedError("it ends in the middle of a field") from None
    if tag < 8 or tag > 0xFFFF_FFFF:
        raise WireError(f"{tag} is not the tag of a field")
    wire = tag & 7
    if wire == 0:
        return tag, start, varint(data, start)[1]
    if wire == 5:
        return tag, start, start + 4
    if wire == 1:
        return tag, start, start + 8
    raise WireError("it holds a group" if wire < 5 else f"{wire} is not a wire type")


def fields(source: ByteSource, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Walk the message at [start, end) of `source`: each field's tag, and its content's start and end.

    Content is not read, except close to a header. A varint's content is its bytes.

    Raises:
        WireError: The message is malformed.
        TruncatedError: It is cut off.
    """
    window = b""
    pos = base = limit = start
    width = _NARROW
    while pos < end:
        if pos + _LONGEST_HEADER > limit < end:
            # Read ahead while fields are consecutive; after a skipped payload, start with a short read.
            width = min(2 * width, _WIDE) if pos <= limit else _NARROW
            window, base = source.read(pos, min(width, end - pos)), pos
            limit = base + len(window)
        at = pos - base
        try:
            tag, size = window[at], window[at + 1]
        except IndexError:
            raise TruncatedError("it ends in the middle of a field") from None
        if tag < 0x80 and tag & 7 == 2 and size < 0x80 and tag > 7:
            begin = pos + 2
            stop = begin + size
        else:
            tag, begin, stop = content(window, at)
            begin += base
            stop += base
        if stop > end:
            raise TruncatedError(f"a field of {stop - begin:,} bytes is cut off after {end - begin:,}", tag)
        yield tag, begin, stop
        pos = stop


def members(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Walk a small message in memory: each field's tag and content.

    Raises:
        WireError: The message is malformed.
        TruncatedError: It is cut off.
    """
    pos, end = 0, len(data)
    while pos < end:
        tag, start, pos = content(data, pos)
        yield tag, data[start:pos]
    closed(pos, end)


def entry(data: bytes) -> tuple[str, str]:
    """Decode a StringStringEntryProto: its key and value."""
    key = found = ""
    for tag, value in members(data):
        if tag == 0x0A:
            key = text(value)
        elif tag == 0x12:
            found = text(value)
    return key, found


def text(data: bytes) -> str:
    """Decode UTF-8; invalid bytes are escaped, so names stay printable and distinct."""
    return data.decode("utf-8", "backslashreplace")


def closed(pos: int, end: int) -> None:
    """Check that the last field of a message ends with it.

    Raises:
        TruncatedError: It does not.
    """
    if pos != end:
        raise TruncatedError(f"a field is cut off by {pos - end:,} bytes")


def head(tag: int, length: int) -> bytes:
    """Return what stands in front of the `length` bytes of a field."""
    return encoded(tag) + encoded(length)


def message(tag: int, content: bytes) -> bytes:
    """Return a length-delimited field."""
    return head(tag, len(content)) + content
