"""Sources of a model's bytes: a local file, memory, a part of either, or anything that reads byte ranges."""

from __future__ import annotations

import io
import mmap
import os
import stat
from typing import TYPE_CHECKING, Protocol

from cnnlint.errors import AbsentError, ModelError, meant_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from _typeshed import WriteableBuffer
    from numpy.typing import NDArray

_BLOCK, _WIDEST_BLOCK = 4096, 65536


class ByteSource(Protocol):
    """Bytes that can be read by range; readers request many small, mostly ascending ranges."""

    @property
    def path(self) -> str | None:
        """The local file with the same bytes; None if there is none."""
        ...

    @property
    def size(self) -> int:
        """The number of bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, or fewer at the end of the source."""
        ...

    def view(self, offset: int, length: int) -> bytes | memoryview:
        """Return `length` bytes from `offset`, memory-mapped if possible."""
        ...

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`, and return the number of bytes read: fewer at the end of the source."""
        ...


class LocalFile:
    """A local file, opened on first access.

    Small ranges are read in blocks, which grow during sequential access: touching a new mapped page costs thirty times
    as much as the system call, and maps neighboring pages too. Values are memory-mapped.

    Args:
        path: As the user wrote it.
        size: Its size in bytes.
        opened: The path to open, if it differs because symbolic links are resolved.

    Attributes:
        opened: The path that is opened.

    Raises:
        ModelError: On access, if the file cannot be opened or has become shorter.
    """

    def __init__(self, path: str, size: int, *, opened: str | None = None) -> None:
        self.path = path
        self.size = size
        self.opened = opened or path
        self._descriptor = -1
        self._map: mmap.mmap | None = None
        self._block = b""
        self._base = 0
        self._width = _BLOCK

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, or fewer at the end of the file."""
        at = offset - self._base
        if at >= 0 and at + length <= len(self._block):
            return self._block[at : at + length]
        if length >= _WIDEST_BLOCK:
            return bytes(self.view(offset, length))
        is_next = 0 <= at - len(self._block) < _WIDEST_BLOCK or 0 <= at <= len(self._block)
        self._width = min(2 * self._width, _WIDEST_BLOCK) if is_next else _BLOCK
        try:
            descriptor = self._open()
            os.lseek(descriptor, offset, os.SEEK_SET)
            self._block = os.read(descriptor, max(self._width, length))
        except OSError as error:
            raise ModelError(f"cannot be read: {error.strerror}", path=self.path) from error
        self._base = offset
        return self._block[:length]

    def view(self, offset: int, length: int) -> memoryview:
        """Return the mapped bytes."""
        if self._map is None:
            try:
                self._map = mmap.mmap(self._open(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                raise ModelError(f"cannot be mapped: {error}", path=self.path) from error
            if len(self._map) < self.size:
                raise ModelError("has become shorter while it was being read", path=self.path)
        return memoryview(self._map)[offset : offset + length]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` by system calls: pages that are mapped would stay in memory, and cost more to touch."""
        filled = 0
        try:
            file = io.FileIO(self._open(), closefd=False)
            file.seek(offset)
            while filled < len(buffer) and (count := file.readinto(buffer[filled:])):
                filled += count
        except OSError as error:
            raise ModelError(f"cannot be read: {error.strerror}", path=self.path) from error
        return filled

    def _open(self) -> int:
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self.opened, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            except OSError as error:
                raise ModelError(f"cannot be opened: {error.strerror}", path=self.path) from error
        return self._descriptor


class Memory:
    """A model in memory, such as a serialized `onnx.ModelProto`."""

    path = None

    def __init__(self, data: bytes | memoryview) -> None:
        self._view = memoryview(data).cast("B")
        self.size = len(self._view)

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, or fewer at the end of the data."""
        return bytes(self._view[offset : offset + length])

    def view(self, offset: int, length: int) -> memoryview:
        """Return the bytes without copying."""
        return self._view[offset : offset + length]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`, and return the number of bytes read."""
        piece = self._view[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)


def local_file(path: str) -> LocalFile:
    """Return the model file at `path`.

    Raises:
        ModelError: It does not exist, is a folder or a device, is empty, or cannot be accessed.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise AbsentError("no such file", path=path, remedy=meant_path(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"cannot be opened: {reason}", path=path) from error
    if stat.S_ISDIR(status.st_mode):
        raise ModelError("is a folder and no SavedModel", path=path, remedy="give the models in it")
    if not stat.S_ISREG(status.st_mode):
        raise ModelError("is not a regular file", path=path)
    if status.st_size == 0:
        raise ModelError("the file is empty", path=path)
    return LocalFile(path, status.st_size)


class Section:
    """A range of a source of bytes, such as an uncompressed member of a zip archive.

    Args:
        source: The bytes of the whole file.
        offset: Start of the range.
        size: Its size in bytes.
    """

    path = None

    def __init__(self, source: ByteSource, offset: int, size: int) -> None:
        self._source = source
        self._offset = offset
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, or fewer at the end of the range."""
        return self._source.read(self._offset + offset, max(min(length, self.size - offset), 0))

    def view(self, offset: int, length: int) -> bytes | memoryview:
        """Return `length` bytes from `offset`, memory-mapped if possible."""
        return self._source.view(self._offset + offset, max(min(length, self.size - offset), 0))

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`, and return the number of bytes read."""
        return self._source.read_into(self._offset + offset, buffer[: max(self.size - offset, 0)])


def pieces(source: ByteSource, offset: int, length: int, buffer: memoryview, step: int) -> Iterator[memoryview]:
    """Yield `length` bytes from `offset` in pieces of a multiple of `step` bytes that fit `buffer`, all read into it.

    Args:
        source: The bytes.
        offset: Start of the range.
        length: Its size.
        buffer: What is read into; a piece is valid until the next one.
        step: At most the size of the buffer.

    Raises:
        ModelError: The source ends before the range does, or cannot be read.
    """
    most = len(buffer) // step * step
    for at in range(0, length, most):
        piece = buffer[: min(most, length - at)]
        if source.read_into(offset + at, piece) != len(piece):
            raise ModelError("is cut off", path=source.path)
        yield piece


def in_steps(values: NDArray[np.generic], buffer: memoryview, step: int) -> Iterator[NDArray[np.generic]]:
    """Yield values in memory [N] in pieces of the size that `Storage.pieces` gives them."""
    most = len(buffer) // (step * values.itemsize) * step
    for at in range(0, values.size, most):
        yield values[at : at + most]


class SourceFile(io.RawIOBase):
    """A source of bytes as a read-only file, for zipfile and h5py.

    Args:
        source: The bytes.

    Attributes:
        failure: The error of a failed read, which a library may have swallowed.
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
        """Fill `buffer` from the current position, and return the number of bytes read."""
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
