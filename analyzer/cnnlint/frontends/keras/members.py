"""The files that a `.keras` archive is made of: members of a zip file, or files of a folder."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from cnnlint.errors import ModelError
from cnnlint.frontends.keras.hdf5 import Hdf5Source
from cnnlint.frontends.keras.source_range import SourceRange

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.source import ByteSource

MAX_TEXT = 1 << 28
"""Bytes of JSON that are read; the largest of keras.applications has less than a million."""

LOCAL_HEADER = 30
"""Bytes of a zip local file header before the name and the extra field."""


class Members(Protocol):
    """Named files that belong together."""

    @property
    def names(self) -> frozenset[str]:
        """The names."""
        ...

    def text(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises:
            ModelError: It is damaged, or too large to be what it should be.
        """
        ...

    def hdf5(self, name: str) -> Hdf5Source:
        """Return where the HDF5 file `name` lies.

        Raises:
            ModelError: The archive's directory points outside the archive.
        """
        ...


class ZipMembers:
    """Members of a zip archive.

    Args:
        path: Of the archive; only for messages if there is `content`.
        content: The bytes of an archive that is no local file.

    Raises:
        ModelError: The archive is cut off or damaged.
    """

    def __init__(self, path: str, content: ByteSource | None = None) -> None:
        self._path = path
        self._content = content
        try:
            self._archive = zipfile.ZipFile(path if content is None else cast("BinaryIO", SourceRange(content)))
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise ModelError(
                "is a zip archive that is cut off or damaged", path=path, remedy="copy or download it again"
            ) from error
        self.names = frozenset(self._archive.namelist())

    def __enter__(self) -> ZipMembers:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def text(self, name: str) -> bytes:
        """Return the content of a small member."""
        info = self._archive.getinfo(name)
        if info.file_size > MAX_TEXT:
            raise ModelError(f"{name} claims {info.file_size:,} bytes", path=self._path)
        try:
            with self._archive.open(info) as member:
                return member.read(MAX_TEXT)
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise ModelError(f"{name} cannot be read: {error}", path=self._path) from error
        except Exception as error:  # a decompressor's own error: zlib.error, lzma.LZMAError
            raise ModelError(f"{name} cannot be unpacked: {error}", path=self._path) from error

    def hdf5(self, name: str) -> Hdf5Source:
        """Return where a member lies: in place if it is stored, as Keras does it; by name if it is compressed."""
        info = self._archive.getinfo(name)
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            if self._content is not None:
                raise ModelError(
                    f"{name} is compressed, so that all of it would have to be downloaded",
                    path=self._path,
                    remedy="download it and lint the file",
                )
            return Hdf5Source(self._path, self._path, member=name)
        header, size = self._header(info)
        if len(header) < LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
            raise ModelError("is a zip archive whose directory is damaged", path=self._path)
        name_length, extra_length = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
        start = info.header_offset + LOCAL_HEADER + name_length + extra_length
        if start + info.file_size > size:
            raise ModelError(f"is cut off in {name}", path=self._path, remedy="copy or download it again")
        return Hdf5Source(self._path, self._path, offset=start, length=info.file_size, content=self._content)

    def _header(self, info: zipfile.ZipInfo) -> tuple[bytes, int]:
        """Return the local header of a member, and the size of the archive."""
        if self._content is not None:
            return self._content.read(info.header_offset, LOCAL_HEADER), self._content.size
        with open(self._path, "rb") as file:
            file.seek(info.header_offset)
            return file.read(LOCAL_HEADER), file.seek(0, os.SEEK_END)


class FolderMembers:
    """Files of a folder, as `save_model(..., zipped=False)` and model hubs have them."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.names = frozenset(entry.name for entry in os.scandir(path) if entry.is_file())

    def text(self, name: str) -> bytes:
        """Return the content of a small file."""
        target = os.path.join(self._path, name)
        if os.path.getsize(target) > MAX_TEXT:
            raise ModelError(f"{name} is too large to be a configuration", path=self._path)
        with open(target, "rb") as file:
            return file.read(MAX_TEXT)

    def hdf5(self, name: str) -> Hdf5Source:
        """Return the file's place."""
        target = os.path.join(self._path, name)
        return Hdf5Source(target, target)
