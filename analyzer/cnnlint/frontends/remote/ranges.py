"""Combine many small reads into few range requests: nearby reads share a request, and large gaps are skipped.

A reader of a model reads headers between payloads of 100 bytes to many megabytes. So each request reads ahead by an
adaptive amount, which doubles when the next read continues where the last one ended, and halves when it is far away.
What lies beyond a payload is foreseen (`foresight`) and requested together with what is needed now: that saves no
request, but round trips. Whatever is not foreseen is fetched on demand, and what is foreseen wrongly costs kilobytes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

from cnnlint.frontends.remote.foresight import Strides

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
        fetch_all: Makes several requests concurrently, for (offset, length) each. Without it, nothing is foreseen.
        pointers: Yields the offsets that the block at an offset refers to. They are prefetched concurrently, and then
            those that these blocks refer to. Without it, where the reader goes next is learned from where it has been.

    Attributes:
        path: None, since it is not a local file.
        size: The number of bytes.
        requests: Number of requests so far.
        round_trips: How often the reader has waited for the server; requests made together take one.
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
        self.round_trips = 0
        self.fetched = 0
        self._fetch = fetch
        self._fetch_all = fetch_all
        self._pointers = pointers
        self._strides = Strides() if pointers is None and fetch_all is not None else None
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
        if self._strides is not None:
            self._strides.note(offset, length)
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
        foreseen = self._strides.foreseen() if self._strides is not None and self.requests else ()
        spans = self._missing([(begin, end), *foreseen])
        self._end = sum(spans[0])
        blocks = self._fetched(spans)
        if self._pointers is not None:
            self._follow(blocks, self._pointers)

    def _follow(self, blocks: list[tuple[int, bytes]], pointers: Callable[[int, bytes], Iterable[int]]) -> None:
        """Prefetch what `blocks` refer to, level by level."""
        while blocks and self._kept <= KEPT:
            offsets = {offset for begin, block in blocks for offset in pointers(begin, block)}
            blocks = self._fetched(self._missing((offset, offset + NODE) for offset in sorted(offsets)))

    def _fetched(self, spans: list[tuple[int, int]]) -> list[tuple[int, bytes]]:
        """Fetch each (offset, length) in one round trip, and return the blocks with their offsets."""
        if len(spans) < 2 or self._fetch_all is None:
            blocks = [self._ask(begin, begin + length) for begin, length in spans]
        else:
            blocks = self._fetch_all(spans)
            self.requests += len(spans)
            self.round_trips += 1
            self.fetched += sum(length for _, length in spans)
        for (begin, _), block in zip(spans, blocks, strict=True):
            self._keep(begin, block)
        return [(begin, block) for (begin, _), block in zip(spans, blocks, strict=True)]

    def _missing(self, spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the (offset, length) of the uncached of `spans`, (begin, end) in ascending order, near ones as one."""
        found = list[tuple[int, int]]()
        for begin, end in spans:
            if begin >= self.size or self._find(begin) >= 0:
                continue
            index = bisect_left(self._starts, begin)
            free = min([end, self.size, *self._starts[index : index + 1]])
            first, length = found[-1] if found else (0, -1)
            if length >= 0 and begin - first - length < NEAR and bisect_left(self._starts, first) == index:
                found[-1] = first, max(free - first, length)
            else:
                found.append((begin, free - begin))
        return found

    def _keep(self, begin: int, block: bytes) -> None:
        index = bisect_left(self._starts, begin)
        self._starts.insert(index, begin)
        self._blocks.insert(index, block)
        self._kept += len(block)

    def _ask(self, begin: int, end: int) -> bytes:
        if end <= begin:
            return b""
        self.requests += 1
        self.round_trips += 1
        self.fetched += end - begin
        return self._fetch(begin, end - begin)
