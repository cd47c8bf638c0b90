"""Where a model's bytes come from: a mapped file, memory, or anything that reads byte ranges."""

from __future__ import annotations

import mmap
import os
import stat
from typing import Protocol

from cnnlint.errors import ModelError

class ByteSource(Protocol):
    """Bytes that can be read by range; a reader asks for many small, mostly ascending ranges."""

    @property
    def path(self) -> str | None:
        """The local file that holds the bytes at the same offsets; None if there is none."""
        ...

    @property
    def size(self) -> int:
        """The number of bytes."""
        ...

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, fewer where the source ends."""
        ...

    def view(self, offset: int, length: int) -> bytes | memoryview:
        """Return `length` bytes from `offset`, mapped and not copied where that can be done."""
        ...


class MappedFile:
    """A local file, mapped at the first access.

    Raises:
        ModelError: The file cannot be opened, or is shorter than it was said to be.
    """

    def __init__(self, path: str, size: int, *, opened: str | None = None) -> None:
        self.path = path
        self.size = size
        self._opened = opened or path
        self._map: mmap.mmap | None = None

    def _mapped(self) -> mmap.mmap:
        if self._map is None:
            try:
                with open(self._opened, "rb") as file:
                    self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise ModelError(f"cannot be opened: {reason}", path=self.path) from error
            if len(self._map) < self.size:
                raise ModelError("was truncated while it was being read", path=self.path)
        return self._map

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, fewer where the file ends."""
        return (self._map or self._mapped())[offset : offset + length]

    def view(self, offset: int, length: int) -> memoryview:
        """Return the mapped bytes themselves."""
        return memoryview(self._mapped())[offset : offset + length]


class Memory:
    """A model in memory, such as a serialised `onnx.ModelProto`."""

    path = None

    def __init__(self, data: bytes | memoryview) -> None:
        self._view = memoryview(data).cast("B")
        self.size = len(self._view)

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, fewer where the data ends."""
        return bytes(self._view[offset : offset + length])

    def view(self, offset: int, length: int) -> memoryview:
        """Return the bytes themselves."""
        return self._view[offset : offset + length]


def local_file(path: str) -> MappedFile:
    """Return the model file at `path`.

    Raises:
        ModelError: There is no such file, it is a folder or a device, it is empty, or it cannot be looked at.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise ModelError("no such file", path=path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"cannot be opened: {reason}", path=path) from error
    if stat.S_ISDIR(status.st_mode):
        raise ModelError("is a folder, not an ONNX file", path=path)
    if not stat.S_ISREG(status.st_mode):
        raise ModelError("is not a regular file", path=path)
    if status.st_size == 0:
        raise ModelError("the file is empty", path=path)
    return MappedFile(path, status.st_size)
