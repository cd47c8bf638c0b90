"""A part of a file that is read as a file of its own."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from cnnlint.errors import ModelError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from cnnlint.frontends.onnx.source import ByteSource


class Section:
    """A range of a source of bytes; a member that is stored in a zip archive is read in place this way.

    Args:
        source: The bytes of the whole file.
        offset: Where the range starts.
        size: Its bytes.
    """

    path = None

    def __init__(self, source: ByteSource, offset: int, size: int) -> None:
        self._source = source
        self._offset = offset
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, fewer where the range ends."""
        return self._source.read(self._offset + offset, max(min(length, self.size - offset), 0))

    def view(self, offset: int, length: int) -> bytes | memoryview:
        """Return `length` bytes from `offset`, mapped and not copied where that can be done."""
        return self._source.view(self._offset + offset, max(min(length, self.size - offset), 0))


class SourceFile(io.RawIOBase):
    """A source of bytes as a read-only file, for zipfile and h5py.

    Args:
        source: The bytes.

    Attributes:
        failure: Why the source could not be read, which a library on the way may swallow.
    """

    def __init__(self, source: ByteSource) -> None:
        super().__init__()
        self._source = source
        self._position = 0
        self.failure: ModelError | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to `offset` and return the new position."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._source.size}[whence]
        if start + offset < 0:
            raise ValueError(f"negative seek position {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` from the position on and return how many bytes there were."""
        target = memoryview(buffer).cast("B")
        wanted = max(min(len(target), self._source.size - self._position), 0)
        try:
            chunk = self._source.read(self._position, wanted)
        except ModelError as error:
            self.failure = error
            raise
        target[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)
