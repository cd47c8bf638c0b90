"""Few requests for many small reads: neighbours are fetched together, and large gaps are skipped.

A reader of a model asks for headers that lie between payloads, and a payload may be 1 MB or 100 bytes. So what a
request fetches beyond what was asked for is a bet, and its width follows the bets before: it doubles when the next
read goes on where the last one ended, and halves when that lies far away.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable

HEAD = 1 << 16
"""Bytes of the first request: a small network whole, or all nodes of a larger one up to the first weights."""

FIRST_WIDTH, NARROW, WIDE = 1 << 14, 1 << 13, 1 << 18
"""Bytes of a request after a jump, and how far that adapts. Measured over keras.applications: half of it takes a
quarter more requests, twice of it half as many bytes again."""

ALONE = 1 << 20
"""A read of this many bytes is for values, and its answer is not kept."""

KEPT = 1 << 26
"""Bytes that are kept at the most."""

NODE = 1 << 11
"""Bytes that are fetched at an address: the library of HDF5 allots metadata in blocks of this size."""

NEAR = 1 << 16
"""Addresses that lie closer than this are fetched together."""

Fetch = Callable[[int, int], bytes]
"""Returns exactly so many bytes from an offset, or raises."""


class Ranges:
    """A source of bytes over requests for ranges.

    Args:
        fetch: One request.
        size: Of the file.
        fetch_all: Several requests side by side, (offset, length) each.
        pointers: Yields the offsets that a block at an offset leads to. They are fetched side by side, and those
            that these lead to in their turn, before anything is asked for there.

    Attributes:
        path: None: there is no local file.
        size: The number of bytes.
        requests: How many there were.
        fetched: The bytes that were asked for in them.
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
        """Return `length` bytes from `offset`, fewer where the file ends.

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
        """Return `length` bytes from `offset` in one request of their own if they are many."""
        if length < ALONE:
            return self.read(offset, length)
        return self._ask(offset, min(offset + length, self.size))

    def _find(self, offset: int) -> int:
        """Return the index of the block that holds `offset`, or -1."""
        index = bisect_right(self._starts, offset) - 1
        return index if index >= 0 and offset < self._starts[index] + len(self._blocks[index]) else -1

    def _request(self, offset: int, stop: int) -> None:
        """Fetch [offset, stop), whose start is not here, and what is likely to be asked for next."""
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
        if end > self.size:  # a directory at the end of an archive is read from its end on
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
        """Fetch what `blocks` lead to, and what that leads to, level by level."""
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
        """Return the (offset, length) of what is not here at `offsets`, which ascend."""
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
