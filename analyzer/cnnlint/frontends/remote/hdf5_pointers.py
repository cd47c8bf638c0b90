"""Where the metadata of an HDF5 file leads, so that what a reader will ask for can be fetched side by side.

HDF5 spreads the headers of groups and datasets between the values, and its library asks for one after the other:
hundreds of round trips. Its nodes are known by their signatures, though, and hold addresses. Nothing depends on what
is found here: what is missed is fetched when it is asked for, and what was no node costs a few kilobytes.

Layout: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, the disk format of levels 0 and 1, which
is what h5py writes unless it is told otherwise.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

NODE = re.compile(rb"\x89HDF\r\n\x1a\n|TREE|SNOD|HEAP")

ENTRY = struct.Struct("<8xQI4xQQ")
"""A symbol table entry: the address of an object's header, what is cached of it, and for a group its tree and heap."""

IS_GROUP = 1

KEY_AND_CHILD = struct.Struct("<8xQ")

UNDEFINED = (1 << 64) - 1


class Pointers:
    """The addresses in the blocks of a file, which may hold the HDF5 file anywhere.

    Its start is met before its nodes are; later ones are those of shards, of which only the last is followed.
    """

    def __init__(self) -> None:
        self._start = 0

    def __call__(self, begin: int, block: bytes) -> Iterator[int]:
        """Yield the offsets in the file that the nodes in `block`, which lies at `begin`, point to."""
        for found in NODE.finditer(block):
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
