"""A range of a mapped file that reads like a file of its own."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class ByteRange(io.RawIOBase):
    """A read-only file over `length` bytes of `buffer` from `offset`.

    HDF5 jumps to and fro in a file; a member that is stored in a zip archive is read in place this way, while the
    seek of `zipfile` reads all that lies between.

    Args:
        buffer: The bytes of the whole file.
        offset: Where the range starts.
        length: Its bytes.
    """

    def __init__(self, buffer: memoryview, offset: int, length: int) -> None:
        super().__init__()
        self._view = buffer[offset : offset + length]
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to `offset` and return the new position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._view)}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` from the position on and return how many bytes there were."""
        target = memoryview(buffer).cast("B")
        chunk = self._view[self._position : self._position + len(target)]
        target[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)

    def close(self) -> None:
        """Let go of the bytes."""
        if not self.closed:
            self._view.release()
        super().close()
