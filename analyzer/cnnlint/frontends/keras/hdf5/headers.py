"""The bytes of an HDF5 file, handed out within bounds, and the headers of its objects."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import ModelError
from cnnlint.limits import HDF5_BYTES_A_PART, HDF5_SPARE_PARTS, MAX_HDF5_PARTS, MAX_HDF5_PIECE

if TYPE_CHECKING:
    from cnnlint.frontends.sources import ByteSource

MAGIC = b"\x89HDF\r\n\x1a\n"

UNDEFINED = (1 << 64) - 1
"""The address of what is not in the file."""

LAST_START = 1 << 16
"""The signature stands at 0, or behind a block of the user's own at 512, 1024, 2048, ..."""

DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT = 0x01, 0x02, 0x03, 0x06, 0x07, 0x08
ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, ATTRIBUTE_INFO = 0x0C, 0x10, 0x11, 0x15
"""Kinds of messages in an object's header."""

KEPT = frozenset(
    [DATASPACE, LINK_INFO, DATATYPE, LINK, EXTERNAL, LAYOUT, ATTRIBUTE, SYMBOL_TABLE, ATTRIBUTE_INFO]
)  # fmt: skip

SHARED = 2
"""The flag of a message that stands elsewhere."""

FAULTS = (struct.error, IndexError, ValueError, OverflowError)
"""What reading a damaged structure raises, a text that is no UTF-8 included."""


class Contents:
    """The bytes of an HDF5 file.

    Args:
        source: The bytes, from the file's first on.
        shown: The path as the user wrote it, for messages.

    Attributes:
        root: The address of the header of the root group.

    Raises:
        ModelError: It is no HDF5 file, is cut off, or has addresses of an unusual width.
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
            ModelError: They lie outside the file, or more has been read than a sound file holds.
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
        """Return `length` bytes from `address`, fewer where the file ends.

        Raises:
            ModelError: The address lies outside the file.
        """
        return self.take(address, min(length, max(self._size - address, 0)))

    def spend(self, parts: int) -> None:
        """Count parts that are read.

        Raises:
            ModelError: They are more than a sound file of this size holds.
        """
        self._left -= parts
        if self._left < 0:
            raise self.damaged("its parts refer to one another without end")

    def place(self, address: int, length: int) -> int | None:
        """Return where `length` bytes from `address` start in the source; None if they lie outside the file."""
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
            raise self.damaged(f"it should have {end:,} bytes and has {self._source.size:,}")
        return root


class Message(Struct, frozen=True, gc=False):
    """A message of an object's header.

    Attributes:
        kind: What it tells.
        flags: `SHARED` and others.
        data: Its content.
        address: Where the content lies.
    """

    kind: int
    flags: int
    data: bytes
    address: int


def read_header(contents: Contents, address: int) -> list[Message]:
    """Return the messages in the header of the object at `address` that are of use, in the file's order.

    Raises:
        ModelError: It is no header.
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
    """Return the messages in the blocks of a header; one block leads to the next.

    Checksums are not looked at: what is damaged is told by what it says, and a checksum can be made to fit.
    """
    messages = list[Message]()
    seen = {address for address, _ in blocks}
    for address, length in blocks:  # grows meanwhile
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
                    raise contents.damaged("a header runs in a circle")
                seen.add(begin)
                blocks.append((begin + len(signature), extent - len(signature) - checksum))
            at += size
    return messages
