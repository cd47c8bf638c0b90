"""Combine many small reads into few range requests: nearby reads share a request, and large gaps are skipped.

A reader of a model reads headers between payloads of 100 bytes to many megabytes. So each request reads ahead by an
adaptive amount, which doubles when the next read continues where the last one ended, and halves when it is far away.

HDF5 scatters the headers of groups and datasets among the values, and a reader follows them one by one: 231 round trips
for ResNet50, and 25 with `Pointers`, which recognizes nodes by their signatures and prefetches the addresses in them.
This is only a heuristic: whatever it misses is fetched on demand, and a false match costs a few kilobytes. Layout:
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, the disk format of levels 0 and 1, which is h5py's
default.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator

HEAD = 1 << 16
"""Bytes of the first request: a whole small network, or the nodes of a larger one."""

FIRST_WIDTH, NARROW, WIDE = 1 << 14, 1 << 13, 1 << 18
"""Bytes of a request after a jump, and the limits of its adaptation. Measured over keras.applications: half of it needs
a quarter more requests, twice of it half again as many bytes."""

ALONE = 1 << 20
"""A read of this many bytes is for values, and is not cached."""

KEPT = 1 << 26
"""Most bytes in the cache."""

NODE = 1 << 11
"""Bytes to fetch at an address: HDF5 allocates metadata in blocks of this size."""

NEAR = 1 << 16
"""Addresses closer than this are fetched together."""

Fetch = Callable[[int, int], bytes]
"""Returns exactly this many bytes from an offset, or raises."""


class Ranges:
    """A source of bytes over range requests.

    Args:
        fetch: Makes one request.
        size: Size of the file.
        fetch_all: Makes several requests concurrently, for (offset, length) each.
        pointers: Yields the offsets that the block at an offset refers to. They are prefetched concurrently, and then
            those that these blocks refer to.

    Attributes:
        path: None, since it is not a local file.
        size: The number of bytes.
        requests: Number of requests so far.
        fetched: Number of bytes requested so far.
    """

    path = None

    def __init__(
        self,
        fetch: Fetch,
        size: int,
        *,
        fetch_all: Callable[[list[tuple[int, int]]], list[bytes]] | None = None,
        pointers: Callable[[int, bytes], Iterable[int]] | None = None,
    ) -> None:
        self.size = size
        self.requests = 0
        self.fetched = 0
        self._fetch = fetch
        self._fetch_all = fetch_all
        self._pointers = pointers
        self._starts = list[int]()
        self._blocks = list[bytes]()
        self._kept = 0
        self._width = FIRST_WIDTH
        self._end = 0
        self._base, self._block = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, or fewer at the end of the file.

        Raises:
            ModelError: The server fails.
        """
        at = offset - self._base
        if at >= 0 and at + length <= len(self._block):
            return self._block[at : at + length]
        if length >= ALONE:
            return self.view(offset, length)
        stop = min(offset + length, self.size)
        parts = list[bytes]()
        while offset < stop:
            index = self._find(offset)
            if index < 0:
                self._request(offset, stop)
                index = self._find(offset)
            self._base, self._block = self._starts[index], self._blocks[index]
            part = self._block[offset - self._base : stop - self._base]
            parts.append(part)
            offset += len(part)
        return b"".join(parts)

    def view(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, in a separate request if there are many."""
        if length < ALONE:
            return self.read(offset, length)
        return self._ask(offset, min(offset + length, self.size))

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`, and return the number of bytes read: fewer at the end of the file."""
        data = self.view(offset, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _find(self, offset: int) -> int:
        """Return the index of the block that holds `offset`, or -1."""
        index = bisect_right(self._starts, offset) - 1
        return index if index >= 0 and offset < self._starts[index] + len(self._blocks[index]) else -1

    def _request(self, offset: int, stop: int) -> None:
        """Fetch [offset, stop), whose start is not cached, and read ahead."""
        begin, end = offset, max(stop, HEAD)
        if self.requests or offset:
            goes_on = 0 <= offset - self._end <= self._width
            self._width = min(2 * self._width, WIDE) if goes_on else max(self._width // 2, NARROW)
            end = max(stop, offset + self._width)
        if self._kept > KEPT:
            self._starts.clear()
            self._blocks.clear()
            self._kept = 0
        index = bisect_left(self._starts, offset)
        if end > self.size:  # the directory at the end of an archive is read backward
            before = self._starts[index - 1] + len(self._blocks[index - 1]) if index else 0
            begin, end = max(before, min(offset, self.size - self._width)), self.size
        if index < len(self._starts):
            end = min(end, self._starts[index])
        block = self._ask(begin, end)
        self._keep(begin, block)
        self._end = end
        if self._pointers is not None:
            self._follow([(begin, block)], self._pointers)

    def _follow(self, blocks: list[tuple[int, bytes]], pointers: Callable[[int, bytes], Iterable[int]]) -> None:
        """Prefetch what `blocks` refer to, level by level."""
        while blocks and self._kept <= KEPT:
            offsets = {offset for begin, block in blocks for offset in pointers(begin, block)}
            spans = self._missing(sorted(offsets))
            if self._fetch_all is not None:
                found = self._fetch_all(spans)
            else:
                found = [self._fetch(begin, length) for begin, length in spans]
            self.requests += len(spans)
            blocks = [(begin, block) for (begin, _), block in zip(spans, found, strict=True)]
            for begin, block in blocks:
                self.fetched += len(block)
                self._keep(begin, block)

    def _missing(self, offsets: Iterable[int]) -> list[tuple[int, int]]:
        """Return the (offset, length) of uncached blocks at `offsets`, which are sorted."""
        spans = list[tuple[int, int]]()
        for offset in offsets:
            if offset >= self.size or self._find(offset) >= 0:
                continue
            index = bisect_left(self._starts, offset)
            end = min([offset + NODE, self.size, *self._starts[index : index + 1]])
            begin, length = spans[-1] if spans else (0, -1)
            if length >= 0 and offset - begin - length < NEAR and bisect_left(self._starts, begin) == index:
                spans[-1] = begin, max(end - begin, length)
            else:
                spans.append((offset, end - offset))
        return spans

    def _keep(self, begin: int, block: bytes) -> None:
        index = bisect_left(self._starts, begin)
        self._starts.insert(index, begin)
        self._blocks.insert(index, block)
        self._kept += len(block)

    def _ask(self, begin: int, end: int) -> bytes:
        if end <= begin:
            return b""
        self.requests += 1
        self.fetched += end - begin
        return self._fetch(begin, end - begin)


SIGNATURES = re.compile(rb"\x89HDF\r\n\x1a\n|TREE|SNOD|HEAP")

ENTRY = struct.Struct("<8xQI4xQQ")
"""A symbol table entry: the address of an object's header, the cache type, and for a group its tree and heap."""

IS_GROUP = 1

KEY_AND_CHILD = struct.Struct("<8xQ")

UNDEFINED = (1 << 64) - 1


class Pointers:
    """Finds addresses in the blocks of a file that contains an HDF5 file at any offset.

    The start of the HDF5 file is read before its nodes; with several shards, only the last one is followed.
    """

    def __init__(self) -> None:
        self._start = 0

    def __call__(self, begin: int, block: bytes) -> Iterator[int]:
        """Yield the file offsets that the nodes in `block`, which is at `begin`, point to."""
        for found in SIGNATURES.finditer(block):
            at = found.start()
            try:
                if found[0] == b"TREE":
                    addresses = _tree(block, at)
                elif found[0] == b"SNOD":
                    addresses = _symbols(block, at)
                elif found[0] == b"HEAP":
                    addresses = struct.unpack_from("<24xQ", block, at)
                else:
                    self._start = begin + at
                    continue
            except struct.error:  # cut off by the end of the block
                continue
            yield from (self._start + address for address in addresses if address != UNDEFINED)


def _tree(block: bytes, at: int) -> tuple[int, ...]:
    """Return the children of a node of a group's B-tree."""
    kind, count = struct.unpack_from("<4xBxH", block, at)
    return tuple(KEY_AND_CHILD.unpack_from(block, at + 24 + 16 * index)[0] for index in range(0 if kind else count))


def _symbols(block: bytes, at: int) -> tuple[int, ...]:
    """Return the headers of the objects in a symbol table node, and the trees and heaps of the groups among them."""
    addresses = list[int]()
    for index in range(struct.unpack_from("<6xH", block, at)[0]):
        header, cached, tree, heap = ENTRY.unpack_from(block, at + 8 + 40 * index)
        addresses += [header, tree, heap] if cached == IS_GROUP else [header]
    return tuple(addresses)
