"""Where a reader will look next: at the addresses in HDF5's nodes, or as far on as it has learned to expect.

HDF5 scatters the headers of groups and datasets among the values, and a reader follows them one by one: 231 round trips
for ResNet50, and 21 with `Pointers`, which recognizes nodes by their signatures and yields their addresses. Layout:
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, the disk format of levels 0 and 1, which is h5py's
default.

In ONNX files each weight's header alone says where the next one is. But networks repeat themselves: the steps from
header to header recur with the period of a block, and where channels grow from block to block, they grow evenly.
`Strides` guesses the next step in each of these ways, and believes the one that has been right lately. It counts apart
how often a way was right after it had been right, and after it had been wrong: where a new stage begins, all ways are
wrong once, and what tells is how soon they were right again.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

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


SKIP = 1 << 12
"""A read that skips more than this many bytes is a landing; less is read on the way."""

PERIODS = range(1, 9)
"""Landings after which steps may recur."""

MEMORY = 4 * PERIODS[-1]
"""Steps that are remembered: three growths over the longest period."""

INERTIA = 0.9
"""How much of what a guess has taught still counts after the next one."""

DOUBT = 0.3
"""Guesses gone wrong that a way begins with, so that one right guess is not taken for certainty."""

ODDS = 0.4
"""The chance that all landings that are foreseen are right. Measured over keras.applications and timm, with four round
trips in ten saved for one request in six more and a quarter more bytes; at 0.5 it is a round trip in thirty more, for
one request in seventeen less."""

MOST_FORESEEN = 16
"""Most landings that are foreseen at a time."""

LONGEST = 1 << 16
"""Most bytes that are foreseen at a landing."""

SLACK = 3 << 10
"""Bytes that a landing may be off: names in headers differ, and so do small weights on the way."""


class Strides:
    """Learns from where reads have landed where the next ones will."""

    def __init__(self) -> None:
        self._steps = list[int]()
        self._extents = list[int]()
        self._landed = self._reached = 0
        self._ways = [_Way(period, grows) for grows in (False, True) for period in PERIODS]

    def note(self, offset: int, length: int) -> None:
        """Learn of a read."""
        if offset - self._reached > SKIP:
            step = offset - self._landed
            for way in self._ways:
                way.learn(self._steps, step)
            self._steps = [*self._steps[1 - MEMORY :], step]
            self._extents = [*self._extents[1 - MEMORY :], self._reached - self._landed]
            self._landed = offset
        self._reached = max(self._reached, offset + length)

    def foreseen(self) -> Iterator[tuple[int, int]]:
        """Yield the (begin, end) of what will be read at the next landings, as many as are likely to be right."""
        way = max(self._ways, key=lambda way: (way.reach(), way.chance()))
        steps, at = list(self._steps), self._landed
        extent = min(max(self._extents[-way.period :], default=0), LONGEST)
        for _ in range(way.reach()):
            step = way.next(steps)
            if step is None or step <= SKIP:
                return
            steps.append(step)
            at += step
            yield at - SLACK, at + extent + SLACK


class _Way:
    """A way of guessing the next step: that steps recur after a period, or that they grow from one to the next.

    Args:
        period: Steps after which they recur.
        grows: Whether they grow.
    """

    def __init__(self, period: int, grows: bool) -> None:
        self.period = period
        self._grows = grows
        self._is_right = False
        self._right = {True: 0.0, False: 0.0}  # after a guess that was right, and after one that was wrong
        self._all = {True: DOUBT, False: DOUBT}

    def learn(self, steps: list[int], step: int) -> None:
        """Learn whether it would have guessed `step` after `steps`."""
        guess = self.next(steps)
        if guess is None:
            return
        before, self._is_right = self._is_right, abs(guess - step) < SLACK
        self._right[before] = INERTIA * self._right[before] + self._is_right
        self._all[before] = INERTIA * (self._all[before] - DOUBT) + 1 + DOUBT

    def chance(self) -> float:
        """Return how likely its next guess is right."""
        return self._right[self._is_right] / self._all[self._is_right]

    def reach(self) -> int:
        """Return how many landings it foresees with good odds."""
        chance, again, count = self.chance(), self._right[True] / self._all[True], 0
        while chance > ODDS and count < MOST_FORESEEN:
            chance, count = chance * again, count + 1
        return count

    def next(self, steps: list[int]) -> int | None:
        """Return the step that it guesses to follow `steps`; None if these are too few."""
        period = self.period
        if len(steps) < period:
            return None
        if not self._grows:
            return steps[-period]
        growths = sorted(steps[at] - steps[at - period] for at in range(-period, -len(steps) + period - 1, -period)[:3])
        return steps[-period] + growths[len(growths) // 2] if growths else None
