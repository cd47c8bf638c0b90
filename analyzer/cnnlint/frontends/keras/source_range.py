"""A range of a source of bytes that reads like a file of its own."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from cnnlint.errors import ModelError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from cnnlint.frontends.onnx.source import ByteSource


class SourceRange(io.RawIOBase):
    """A read-only file over `length` bytes of `source` from `offset`, for zipfile and h5py.

    Args:
        source: The bytes, such as those of a remote file.
        offset: Where the range starts.
        length: Its bytes; None for all to the end.

    Attributes:
        failure: Why the source could not be read, which a library on the way may swallow.
    """

    def __init__(self, source: ByteSource, offset: int = 0, length: int | None = None) -> None:
        super().__init__()
        self._source = source
        self._offset = offset
        self._length = source.size - offset if length is None else length
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
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
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
        wanted = max(min(len(target), self._length - self._position), 0)
        try:
            chunk = self._source.read(self._offset + self._position, wanted)
        except ModelError as error:
            self.failure = error
            raise
        target[: len(chunk)] = chunk
        self._position += len(chunk)
        return len(chunk)
