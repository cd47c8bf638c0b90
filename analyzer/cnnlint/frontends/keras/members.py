"""The files in a `.keras` archive: members of a zip file, or files of a folder."""

from __future__ import annotations

import bz2
import lzma
import mmap
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from cnnlint.errors import ModelError
from cnnlint.frontends.sources import Memory, Section, SourceFile, local_file
from cnnlint.limits import MAX_JSON_BYTES, MAX_LZMA_DICTIONARY, UNPACKED_A_BYTE, UNPACKED_SPARE

if TYPE_CHECKING:
    from cnnlint.frontends.sources import ByteSource

LOCAL_HEADER = 30
"""Bytes of a zip local file header before the name and the extra field."""

CHUNK = 1 << 20
"""Bytes to unpack at a time."""

AGAIN = "copy or download it again"

FAULTS = (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, EOFError, OverflowError, IndexError)
"""Exceptions when reading a damaged directory."""


class TooLargeError(ModelError):
    """A member unpacks to more than is allowed for an archive of this size, or needs too much memory."""


class _TooMuchMemoryError(Exception):
    """Unpacking needs more memory than is allowed."""


class Members(Protocol):
    """Named files that belong together."""

    @property
    def names(self) -> frozenset[str]:
        """The names."""
        ...

    @property
    def size(self) -> int:
        """The total stored size in bytes."""
        ...

    def text(self, name: str) -> bytes:
        """Return the content of a small file.

        Raises:
            ModelError: It is damaged or too large.
        """
        ...

    def content(self, name: str) -> ByteSource:
        """Return the content of a large file, which is read on demand.

        Raises:
            TooLargeError: It unpacks to more than is allowed for an archive of this size, or needs too much memory.
            ModelError: It is damaged, or cannot be unpacked.
        """
        ...


class ZipMembers:
    """Members of a zip archive.

    Args:
        path: Path of the archive; only for messages if `source` is given.
        source: The bytes of an archive that is not a local file.

    Raises:
        ModelError: The archive is cut off or damaged.
    """

    def __init__(self, path: str, source: ByteSource | None = None) -> None:
        self._path = path
        self._is_local = source is None
        self._source = local_file(path) if source is None else source
        file = SourceFile(self._source)
        try:
            with zipfile.ZipFile(cast("BinaryIO", file)) as archive:
                self._infos = {info.filename: info for info in archive.infolist()}
        except FAULTS as error:
            if file.failure is not None:
                raise file.failure from error
            raise ModelError("is a zip archive that is cut off or damaged", path=path, remedy=AGAIN) from error
        self.names = frozenset(self._infos)
        self.size = self._source.size
        self._budget = UNPACKED_SPARE + UNPACKED_A_BYTE * self.size

    def text(self, name: str) -> bytes:
        """Return the content of a small member."""
        info = self._infos[name]
        if info.file_size > MAX_JSON_BYTES:
            raise _too_large(name, MAX_JSON_BYTES, self._path)
        text = b"".join(self._unpacked(info, MAX_JSON_BYTES))
        if zlib.crc32(text) != info.CRC:
            raise ModelError(f"{name} is damaged: its checksum does not match", path=self._path, remedy=AGAIN)
        return text

    def content(self, name: str) -> ByteSource:
        """Return the content of a member: in place if it is stored uncompressed, as Keras does, else unpacked."""
        info = self._infos[name]
        if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
            return self._stored(info)
        if not self._is_local:
            raise ModelError(
                f"{name} is compressed, so all of it would have to be downloaded",
                path=self._path,
                remedy="download it and lint the file",
            )
        if info.file_size > self._budget:
            raise _too_large(name, self._budget, self._path)
        unpacked = Unpacked(self._unpacked(info, self._budget))
        self._budget -= unpacked.size
        return unpacked

    def _stored(self, info: zipfile.ZipInfo) -> Section:
        """Return the raw bytes of a member, compressed or not.

        Sizes and offsets are taken from the central directory, where all tools write them.
        """
        header = self._source.read(info.header_offset, LOCAL_HEADER)
        if len(header) < LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
            raise ModelError("is a zip archive whose directory is damaged", path=self._path, remedy=AGAIN)
        name_length, extra_length = struct.unpack_from("<HH", header, 26)
        start = info.header_offset + LOCAL_HEADER + name_length + extra_length
        if start + info.compress_size > self.size:
            raise ModelError(f"is cut off in {info.filename}", path=self._path, remedy=AGAIN)
        return Section(self._source, start, info.compress_size)

    def _unpacked(self, info: zipfile.ZipInfo, most: int) -> Iterator[bytes]:
        """Yield a member's content in pieces, at most `most` bytes regardless of its declared size."""
        if info.flag_bits & 1:
            raise ModelError(f"{info.filename} is encrypted", path=self._path)
        stored = self._stored(info)
        made = 0
        try:
            for piece in _pieces(stored, info.compress_type):
                made += len(piece)
                if made > most:
                    raise _too_large(info.filename, most, self._path)
                yield piece
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, struct.error) as error:
            raise ModelError(
                f"{info.filename} is damaged and cannot be unpacked", path=self._path, remedy=AGAIN
            ) from error
        except _TooMuchMemoryError as error:
            raise TooLargeError(f"{info.filename} is not unpacked: {error}", path=self._path) from error
        except NotImplementedError as error:
            raise ModelError(f"{info.filename} cannot be unpacked: {error}", path=self._path) from error


class FolderMembers:
    """Files of a folder, as `save_model(..., zipped=False)` writes and model hubs store them."""

    def __init__(self, path: str) -> None:
        self._path = path
        sizes = {entry.name: entry.stat().st_size for entry in os.scandir(path) if entry.is_file()}
        self.names = frozenset(sizes)
        self.size = sum(sizes.values())

    def text(self, name: str) -> bytes:
        """Return the content of a small file."""
        with open(os.path.join(self._path, name), "rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
        if len(text) > MAX_JSON_BYTES:
            raise _too_large(name, MAX_JSON_BYTES, self._path)
        return text

    def content(self, name: str) -> ByteSource:
        """Return the content of a large file."""
        return local_file(os.path.join(self._path, name))


class Unpacked(Memory):
    """The content of a compressed member, in a temporary file that is deleted with it.

    Args:
        pieces: The content.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as this object
        size = sum(self._file.write(piece) for piece in pieces)
        self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        super().__init__(memoryview(mapped))

    def __del__(self) -> None:
        self._file.close()

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from the file: pages that are mapped would stay in memory."""
        self._file.seek(offset)
        return self._file.readinto(buffer)


class _Decompressor(Protocol):
    """The interface of the decompressors of bz2 and lzma."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


class _Inflater:
    """The same interface for zlib."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes:
        made = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail
        return made


def _pieces(stored: Section, method: int) -> Iterator[bytes]:
    """Yield the unpacked content of a member in pieces of at most `CHUNK` bytes.

    Raises:
        NotImplementedError: Python cannot unpack its compression method.
        EOFError: It ends too early.
    """
    at = 0
    unpacker: _Decompressor
    if method == zipfile.ZIP_STORED:
        yield from (stored.read(at, CHUNK) for at in range(0, stored.size, CHUNK))
        return
    if method == zipfile.ZIP_DEFLATED:
        unpacker = _Inflater()
    elif method == zipfile.ZIP_BZIP2:
        unpacker = bz2.BZ2Decompressor()
    elif method == zipfile.ZIP_LZMA:
        unpacker, at = _lzma(stored)
    else:
        raise NotImplementedError(f"method {method} of compression is not known")
    while not unpacker.eof:
        data = b""
        if unpacker.needs_input:
            data = stored.read(at, CHUNK)
            at += len(data)
            if not data:
                if method == zipfile.ZIP_LZMA:  # may have no end marker
                    return
                raise EOFError
        yield unpacker.decompress(data, CHUNK)


def _lzma(stored: Section) -> tuple[lzma.LZMADecompressor, int]:
    """Return the decompressor of an LZMA member, and the offset of its data."""
    head = stored.read(0, 9)
    (length, packed, dictionary) = struct.unpack("<2xHBI", head)
    if length != 5 or packed >= 9 * 5 * 5:
        raise ValueError("no properties of LZMA")
    if dictionary > MAX_LZMA_DICTIONARY:
        raise _TooMuchMemoryError(
            f"that takes {dictionary:,} bytes of memory, and {MAX_LZMA_DICTIONARY:,} are the limit"
        )
    chain = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": dictionary,
        "lc": packed % 9,
        "lp": packed // 9 % 5,
        "pb": packed // 45,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[chain]), 9


def _too_large(name: str, most: int, path: str) -> TooLargeError:
    return TooLargeError(f"{name} unpacks to more than {most:,} bytes, which is the limit for this file", path=path)
