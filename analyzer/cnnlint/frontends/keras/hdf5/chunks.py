"""Arrays that are stored in chunks: their index, and the filters that each chunk went through."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import ModelError
from cnnlint.frontends.keras.hdf5.headers import FAULTS, UNDEFINED, Contents
from cnnlint.frontends.keras.hdf5.indexes import DEEPEST
from cnnlint.limits import MAX_HDF5_PIECE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnlint.frontends.sources import ByteSource

DEFLATE, SHUFFLE, CHECKSUM = 1, 2, 3
"""The filters that are undone here; others can only be read by h5py."""


class Chunks(Struct, frozen=True, gc=False):
    """Where the values of an array in chunks are.

    Attributes:
        tree: Address of the B-tree of version 1 that leads to the chunks.
        extents: Of a chunk, in elements.
        size: Of an element, in bytes.
        filters: The content of the message that names the filters; empty if there are none.
    """

    tree: int
    extents: tuple[int, ...]
    size: int
    filters: bytes = b""


class _Stored(Struct, frozen=True, gc=False):
    """A chunk in the file; the bits of `skipped` are set for filters that it did not go through."""

    address: int
    length: int
    skipped: int


def slabs(source: ByteSource, chunks: Chunks, shape: tuple[int, ...], shown: str) -> Iterator[NDArray[np.uint8]]:
    """Yield the bytes of an array in its order, as many rows at a time as a chunk has: [rows, ..., size].

    Args:
        source: The bytes of the file.
        chunks: Where they are.
        shape: Of the array.
        shown: The path as the user wrote it, for messages.

    Raises:
        ModelError: The file is damaged, a chunk went through other filters, or a row of chunks is too large.
    """
    import numpy as np

    contents = Contents(source, shown)
    fits = (0 < each <= max(dim, 1) for each, dim in zip(chunks.extents, shape, strict=False))
    if not shape or len(shape) != len(chunks.extents) or not all(fits):
        raise contents.damaged("its chunks do not fit the array")
    rows, rest, steps = chunks.extents[0], shape[1:], chunks.extents[1:]
    if rows * prod(rest) * chunks.size > MAX_HDF5_PIECE:
        raise ModelError(f"a row of its chunks has more than {MAX_HDF5_PIECE:,} bytes", path=shown)
    try:
        found, filters = dict(_found(contents, chunks)), _filters(chunks.filters)
        for top in range(0, shape[0], rows):
            slab = np.zeros((min(rows, shape[0] - top), *rest, chunks.size), dtype=np.uint8)
            for begin in product(*(range(0, dim, step) for dim, step in zip(rest, steps, strict=True))):
                if (stored := found.get((top, *begin))) is None:
                    continue  # it was never written, and is zero
                chunk = np.frombuffer(_unpacked(contents, stored, chunks, filters), dtype=np.uint8)
                inside = (slice(at, at + step) for at, step in zip(begin, steps, strict=True))
                target = slab[(slice(None), *inside)]
                kept = tuple(slice(extent) for extent in target.shape[:-1])
                target[...] = chunk.reshape(*chunks.extents, chunks.size)[kept]
            yield slab
    except (*FAULTS, zlib.error) as error:
        raise contents.damaged(f"a chunk cannot be read: {error}") from error


def _found(contents: Contents, chunks: Chunks) -> Iterator[tuple[tuple[int, ...], _Stored]]:
    """Yield the chunks by the index of their first element."""
    rank = len(chunks.extents)
    entry = 8 + 8 * (rank + 1) + 8
    waiting, seen = ([] if chunks.tree == UNDEFINED else [(chunks.tree, DEEPEST)]), set[int]()
    while waiting:
        address, above = waiting.pop()
        if address in seen:
            raise contents.damaged("an index of chunks runs in a loop")
        seen.add(address)
        signature, kind, level, count = struct.unpack("<4sBBH16x", contents.take(address, 24))
        if signature != b"TREE" or kind != 1 or level >= above:
            raise contents.damaged("an index of chunks is broken")
        block = contents.take(address + 24, entry * count)
        contents.spend(count)
        for at in range(0, len(block), entry):
            length, skipped, *begin = struct.unpack_from(f"<II{rank}Q", block, at)
            (child,) = struct.unpack_from("<Q", block, at + entry - 8)
            if level:
                waiting.append((child, level))
            else:
                yield tuple(begin), _Stored(child, length, skipped)


def _filters(data: bytes) -> list[int]:
    """Return the numbers of the filters in the order in which they were applied."""
    if not data:
        return []
    version, count = data[:2]
    at, found = 8 if version == 1 else 2, list[int]()
    for _ in range(count):
        (number,) = struct.unpack_from("<H", data, at)
        named = version == 1 or number >= 256
        length = struct.unpack_from("<H", data, at + 2)[0] if named else 0
        (values,) = struct.unpack_from("<H", data, at + (6 if named else 4))
        at += (8 if named else 6) + length + 4 * values
        at += 4 if version == 1 and values % 2 else 0
        found.append(number)
    return found


def _unpacked(contents: Contents, stored: _Stored, chunks: Chunks, filters: list[int]) -> bytes:
    """Return the bytes of a chunk before the filters."""
    import numpy as np

    data = contents.take(stored.address, stored.length)
    expected = prod(chunks.extents) * chunks.size
    for place, number in reversed([*enumerate(filters)]):
        if stored.skipped >> place & 1:
            continue
        if number == DEFLATE:
            data = zlib.decompressobj().decompress(data, expected + 8)
        elif number == SHUFFLE:
            data = np.frombuffer(data, dtype=np.uint8).reshape(chunks.size, -1).T.tobytes()
        elif number == CHECKSUM:
            data = data[:-4]
        else:
            raise ModelError(f"its chunks went through filter {number}, which only h5py undoes", path=contents.shown)
    if len(data) != expected:
        raise contents.damaged("a chunk has another size than its array says")
    return data
