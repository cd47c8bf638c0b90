"""Bounds-checked access to the bytes of an HDF5 file; object headers, types, shapes and layouts."""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import ModelError
from cnnlint.limits import HDF5_BYTES_A_PART, HDF5_SPARE_PARTS, MAX_HDF5_PARTS, MAX_HDF5_PIECE

if TYPE_CHECKING:
    from cnnlint.frontends.sources import ByteSource

MAGIC = b"\x89HDF\r\n\x1a\n"

UNDEFINED = (1 << 64) - 1
"""The address of something that is not in the file."""

LAST_START = 1 << 16
"""The signature is at 0, or after a user block at 512, 1024, 2048, ..."""

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT, FILTERS = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08, 0x0B
ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0C, 0x10, 0x11, 0x15
"""Types of messages in an object's header."""

KEPT = frozenset(
    [DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT, FILTERS, ATTRIBUTE, SYMBOL_TABLE, ATTRIBUTE_INFO]
)  # fmt: skip

SHARED = 2
"""Flag of a message that is stored elsewhere."""

FAULTS = (struct.error, IndexError, ValueError, OverflowError)
"""Exceptions when reading a damaged structure, including invalid UTF-8."""


class Contents:
    """The bytes of an HDF5 file.

    Args:
        source: The bytes of the whole file.
        shown: The path as the user wrote it, for messages.

    Attributes:
        root: The address of the header of the root group.

    Raises:
        ModelError: It is not an HDF5 file, is cut off, or has addresses of an unusual width.
    """

    def __init__(self, source: ByteSource, shown: str) -> None:
        self.shown = shown
        self._source = source
        self._base = 0
        self._size = source.size
        self._left = min(MAX_HDF5_PARTS, HDF5_SPARE_PARTS + source.size // HDF5_BYTES_A_PART)
        try:
            self.root = self._superblock()
        except struct.error as error:
            raise self.damaged("its start is cut off") from error

    def take(self, address: int, length: int) -> bytes:
        """Return `length` bytes from `address`.

        Raises:
            ModelError: They are outside the file, or more has been read than a valid file holds.
        """
        self.spend(1 + (length >> 8))
        if address + length > self._size:
            raise self.damaged("it points outside the file")
        if length > MAX_HDF5_PIECE:
            raise self.damaged(f"a part has {length:,} bytes, and the limit is {MAX_HDF5_PIECE:,}")
        data = self._source.read(self._base + address, length)
        if len(data) != length:
            raise self.damaged("it is cut off")
        return data

    def up_to(self, address: int, length: int) -> bytes:
        """Return `length` bytes from `address`, or fewer at the end of the file.

        Raises:
            ModelError: The address is outside the file.
        """
        return self.take(address, min(length, max(self._size - address, 0)))

    def spend(self, parts: int) -> None:
        """Count parts that are read.

        Raises:
            ModelError: There are more than a valid file of this size holds.
        """
        self._left -= parts
        if self._left < 0:
            raise self.damaged("its parts refer to one another endlessly")

    def place(self, address: int, length: int) -> int | None:
        """Return the offset in the source of `length` bytes from `address`; None if they are outside the file."""
        return None if address + length > self._size else self._base + address

    def damaged(self, cause: str) -> ModelError:
        """Return the error to raise."""
        return ModelError(
            f"its HDF5 part is damaged or cut off: {cause}", path=self.shown, remedy="copy or save it again"
        )

    def _superblock(self) -> int:
        start = 0
        head = self._source.read(0, 96)
        while not head.startswith(MAGIC):
            start = 2 * start or 512
            if start > min(LAST_START, self._source.size):
                raise self.damaged("its signature is missing")
            head = self._source.read(start, 96)
        self._base = start
        self._size -= start
        version = head[8] if len(head) > 8 else -1
        if version in (0, 1):
            widths, at = head[13:15], 24 if version == 0 else 28
            end, root = struct.unpack_from("<16xQ16xQ", head, at)
        elif version in (2, 3):
            widths = head[9:11]
            end, root = struct.unpack_from("<28xQQ", head)
        else:
            raise self.damaged("it is of an unknown version")
        if widths != b"\x08\x08":
            raise self.damaged("its addresses are not 8 bytes wide")
        if end > self._source.size:
            raise self.damaged(f"it should have {end:,} bytes but has {self._source.size:,}")
        return root


class Message(Struct, frozen=True, gc=False):
    """A message of an object's header.

    Attributes:
        kind: Its type.
        flags: `SHARED` and others.
        data: Its content.
        address: Address of the content.
    """

    kind: int
    flags: int
    data: bytes
    address: int


def read_header(contents: Contents, address: int) -> list[Message]:
    """Return the relevant messages in the header of the object at `address`, in the file's order.

    Raises:
        ModelError: It is not a header.
    """
    head = contents.up_to(address, 64)
    if head.startswith(b"OHDR"):
        return _version_2(contents, address, head)
    if not head or head[0] != 1:
        raise contents.damaged("an object has no header")
    (length,) = struct.unpack_from("<8xI", head)
    return _messages(contents, [(address + 16, length)], struct.Struct("<HHB3x"), b"", 0)


def _version_2(contents: Contents, address: int, head: bytes) -> list[Message]:
    flags = head[5]
    at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(head[at : at + width], "little")
    layout = struct.Struct("<BHB2x" if flags & 4 else "<BHB")
    return _messages(contents, [(address + at + width, length)], layout, b"OCHK", 4)


def _messages(
    contents: Contents, blocks: list[tuple[int, int]], layout: struct.Struct, signature: bytes, checksum: int
) -> list[Message]:
    """Return the messages in the blocks of a header; a block may refer to the next.

    Checksums are ignored: they can be forged, so the content must be checked anyway.
    """
    messages = list[Message]()
    seen = {address for address, _ in blocks}
    for address, length in blocks:  # grows during iteration
        block = contents.take(address, length)
        at = 0
        while at + layout.size <= length:
            kind, size, flags = layout.unpack_from(block, at)
            at += layout.size
            contents.spend(1)
            if at + size > length:
                raise contents.damaged("a message is longer than its header")
            if kind in KEPT:
                messages.append(Message(kind, flags, block[at : at + size], address + at))
            elif kind == CONTINUATION:
                begin, extent = struct.unpack_from("<QQ", block, at)
                if begin in seen or extent < len(signature) + checksum:
                    raise contents.damaged("a header runs in a loop")
                seen.add(begin)
                blocks.append((begin + len(signature), extent - len(signature) - checksum))
            at += size
    return messages


FLOATS = {
    (2, 10, 5, 0, 10, 15): "float16",
    (4, 23, 8, 0, 23, 127): "float32",
    (8, 52, 11, 0, 52, 1023): "float64",
    (2, 7, 8, 0, 7, 127): "bfloat16",
}
"""Size, position and width of the exponent, position and width of the mantissa, bias -> type."""

CODES = {"float16": "f2", "float32": "f4", "float64": "f8", "bool": "b1"}
"""NumPy's type codes."""

INTEGER, FLOAT, STRING, OPAQUE, ENUMERATION, SEQUENCE = 0, 1, 3, 5, 8, 9
"""Classes of types; others can only be read by h5py."""

MOST_AXES = 32


class ElementType(Struct, frozen=True, gc=False):
    """The type of an element.

    Attributes:
        name: Such as "float32"; "string" for text, "void16" for two uninterpreted bytes.
        size: Its size in bytes.
        code: NumPy's type code, "<f4"; "" if NumPy cannot read the bytes directly.
        text: How strings are stored: "fixed", "variable"; "" for other types.
    """

    name: str
    size: int
    code: str = ""
    text: str = ""


class Layout(Struct, frozen=True, gc=False):
    """Where the values of an array are stored.

    Attributes:
        kind: "plain" if contiguous, "chunked" for chunks that may be compressed, "elsewhere" for other files, and
            "none" for values that were never written.
        address: Address of plain values; of the index of chunks, 0 if only h5py can read it.
        length: Size of plain values in bytes.
        chunk: The extents of a chunk.
    """

    kind: str
    address: int = 0
    length: int = 0
    chunk: tuple[int, ...] = ()


def element_type(contents: Contents, data: bytes) -> ElementType:
    """Return the type that a datatype message describes.

    Raises:
        ModelError: It contradicts itself.
    """
    version_and_class, bits, size = struct.unpack_from("<BB2xI", data)
    kind = version_and_class & 15
    order = ">" if bits & 1 else "<"
    if not size:
        raise contents.damaged("a type of no size")
    if kind == INTEGER:
        name = f"{'' if bits & 8 else 'u'}int{8 * size}"
        whole = struct.unpack_from("<8xHH", data) == (0, 8 * size) and size in (1, 2, 4, 8)
        return ElementType(name, size, f"{order}{'i' if bits & 8 else 'u'}{size}" if whole else "")
    if kind == FLOAT:
        name = FLOATS.get((size, *struct.unpack_from("<12xBBBBI", data)), "")
        if not name:
            return ElementType(f"float{8 * size}", size)
        return ElementType(name, size, f"{order}{CODES[name]}" if name in CODES else f"|V{size}")
    if kind == STRING:
        return ElementType("string", size, text="fixed")
    if kind == SEQUENCE:
        return ElementType("string", size, text="variable" if bits & 15 == 1 and size == 16 else "")
    if kind == ENUMERATION:
        base = element_type(contents, data[8:])
        is_bool = base.size == 1 and b"FALSE\0" in data[20:36] and b"TRUE\0" in data[20:36]
        return ElementType("bool", 1, "|b1") if is_bool else base
    return ElementType(f"void{8 * size}", size, f"|V{size}" if kind == OPAQUE else "")


def shape_of(contents: Contents, data: bytes) -> tuple[int, ...]:
    """Return the shape that a dataspace message describes; (0,) for a null dataspace.

    Raises:
        ModelError: It is of an unknown version, or of more axes than HDF5 has.
    """
    version, rank, flags, kind = data[:4]
    del flags
    if version not in (1, 2) or rank > MOST_AXES:
        raise contents.damaged("the shape of an array cannot be read")
    if version == 2 and kind == 2:
        return (0,)
    return struct.unpack_from(f"<{rank}Q", data, 8 if version == 1 else 4)


def layout_of(data: bytes, address: int) -> Layout:
    """Return the layout that a layout message with content at `address` describes.

    Layouts from before HDF5 1.6, and chunks with an index of HDF5 1.10, are left to h5py.
    """
    version = data[0]
    kind = data[1] if version >= 3 else 2
    if kind == 0:
        return Layout("plain", address + 4, struct.unpack_from("<2xH", data)[0])
    if kind == 1:
        begin, length = struct.unpack_from("<2xQQ", data)
        return Layout("none") if begin == (1 << 64) - 1 else Layout("plain", begin, length)
    if kind == 2 and version == 3:
        rank, tree = struct.unpack_from("<2xBQ", data)
        # after the extents, in elements, comes the size of an element
        return (
            Layout("chunked", tree, chunk=struct.unpack_from(f"<{rank - 1}I", data, 11)) if rank else Layout("chunked")
        )
    return Layout("elsewhere" if kind == 3 else "chunked")


def decoded_texts(
    contents: Contents, kind: ElementType, shape: tuple[int, ...], data: bytes
) -> list[tuple[int, int, int] | str]:
    """Return the strings in `data`, or (heap, index, length) for those of variable length.

    Raises:
        ModelError: There are fewer than the shape says.
    """
    count = prod(shape)
    if count * kind.size > len(data):
        raise contents.damaged("an attribute is cut off")
    contents.spend(count)
    if kind.text == "variable":
        references = (struct.unpack_from("<IQI", data, 16 * index) for index in range(count))
        return [(heap, index, length) for length, heap, index in references]
    pieces = (data[kind.size * index : kind.size * (index + 1)] for index in range(count))
    return [piece.rstrip(b"\0").decode() for piece in pieces]
