"""Few requests for many small reads: neighbours are fetched together, and large gaps are skipped.

A reader of a model asks for headers that lie between payloads, and a payload may be 1 MB or 100 bytes. So what a
request fetches beyond what was asked for is a bet, and its width follows the bets before: it doubles when the next
read goes on where the last one ended, and halves when that lies far away.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable

HEAD = 1 << 16
"""Bytes of the first request: a small network whole, or all nodes of a larger one up to the first weights."""

FIRST_WIDTH, NARROW, WIDE = 1 << 14, 1 << 13, 1 << 18
"""Bytes of a request after a jump, and how far that adapts. Measured over keras.applications: half of it takes a
quarter more requests, twice of it half as many bytes again."""

ALONE = 1 << 20
"""A read of this many bytes is for values, and its answer is not kept."""

KEPT = 1 << 26
"""Bytes that are kept at the most."""

Floors = tuple[tuple[int, int], ...]

GOES_BACK: Floors = ((32, 1 << 15), (96, 1 << 17), (192, 1 << 18))
"""Widths after so many requests for a reader that comes back to what it skipped, as HDF5 does: its metadata is
spread over the whole file, and without this a DenseNet121 takes 541 requests instead of 433."""


class Ranges:
    """A source of bytes over requests for ranges.

    Args:
        fetch: Returns exactly `length` bytes from `offset`, or raises.
        size: Of the file.
        floors: The narrowest that a request may be after so many requests.

    Attributes:
        path: None: there is no local file.
        size: The number of bytes.
        requests: How many there were.
        fetched: The bytes that were asked for in them.
    """

    path = None

    def __init__(self, fetch: Callable[[int, int], bytes], size: int, *, floors: Floors = ()) -> None:
        self.size = size
        self.requests = 0
        self.fetched = 0
        self._fetch = fetch
        self._floors = floors
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
            index = bisect_right(self._starts, offset) - 1
            if index < 0 or self._starts[index] + len(self._blocks[index]) <= offset:
                index = self._request(offset, stop)
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

    def _request(self, offset: int, stop: int) -> int:
        """Fetch [offset, stop), nothing of which is here, and what is likely to be asked for next; return its index."""
        begin, end = offset, max(stop, HEAD)
        if self.requests or offset:
            goes_on = 0 <= offset - self._end <= self._width
            self._width = min(2 * self._width, WIDE) if goes_on else max(self._width // 2, NARROW)
            floor = max((width for after, width in self._floors if self.requests >= after), default=0)
            self._width = max(self._width, floor)
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
        self._starts.insert(index, begin)
        self._blocks.insert(index, block)
        self._kept += len(block)
        self._end = end
        return index

    def _ask(self, begin: int, end: int) -> bytes:
        if end <= begin:
            return b""
        self.requests += 1
        self.fetched += end - begin
        return self._fetch(begin, end - begin)
