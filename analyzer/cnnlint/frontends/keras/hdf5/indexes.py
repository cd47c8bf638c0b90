"""The indexes of HDF5: B-trees of both versions, and the heaps that hold names and values."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from cnnlint.frontends.keras.hdf5.headers import UNDEFINED, Contents

DEEPEST = 16
"""Most levels of a tree or of nested blocks, enough for 10^19 entries in the smallest nodes."""


def symbols(contents: Contents, tree: int, heap: int) -> Iterator[tuple[str, int | None]]:
    """Yield name and header address of the links in an old-style group; None for a soft link.

    Args:
        contents: The file.
        tree: Address of the group's B-tree of version 1.
        heap: Address of the local heap with the names.

    Raises:
        ModelError: The group is damaged.
    """
    signature, length, data = struct.unpack("<4s4xQ8xQ", contents.take(heap, 32))
    if signature != b"HEAP":
        raise contents.damaged("the names of a group are missing")
    names = contents.take(data, length)
    for node in _leaves(contents, tree):
        signature, count = struct.unpack("<4s2xH", contents.take(node, 8))
        if signature != b"SNOD":
            raise contents.damaged("a group lacks its entries")
        block = contents.take(node + 8, 40 * count)
        for at in range(0, len(block), 40):
            contents.spend(1)
            name, header, cached = struct.unpack_from("<QQI", block, at)
            end = names.find(b"\0", name)
            if end < 0:
                raise contents.damaged("a name lies outside its group")
            yield names[name:end].decode(), None if cached == 2 or header == UNDEFINED else header


def _leaves(contents: Contents, tree: int) -> Iterator[int]:
    """Yield the addresses of the symbol nodes in a B-tree of version 1, in order of names."""
    waiting, seen = [(tree, DEEPEST)], set[int]()
    while waiting:
        address, above = waiting.pop()
        if address in seen:
            raise contents.damaged("a group runs in a loop")
        seen.add(address)
        signature, kind, level, count = struct.unpack("<4sBBH16x", contents.take(address, 24))
        if signature != b"TREE" or kind or level >= above:
            raise contents.damaged("the tree of a group is broken")
        block = contents.take(address + 24, 16 * count)
        children = [child for (child,) in struct.iter_unpack("<8xQ", block)]
        contents.spend(count)
        if level:
            waiting += [(child, level) for child in reversed(children)]
        else:
            yield from children


def records(contents: Contents, address: int) -> Iterator[bytes]:
    """Yield the records of a B-tree of version 2, in no particular order.

    Raises:
        ModelError: The tree is damaged.
    """
    if address == UNDEFINED:
        return
    signature, node_size, size, depth, root, root_count = struct.unpack("<4s2xIHH2xQH", contents.take(address, 26))
    if signature != b"BTHD" or depth > DEEPEST or not 0 < size <= node_size:
        raise contents.damaged("an index is broken")
    layout = _Tree2(node_size, size, depth)
    waiting, seen = [(root, root_count, depth)], set[int]()
    while waiting:
        node, count, level = waiting.pop()
        if node == UNDEFINED or not count:
            continue
        if node in seen:
            raise contents.damaged("an index runs in a loop")
        seen.add(node)
        block = contents.take(node, 6 + count * size + (count + 1) * layout.pointer(level))
        if block[:4] != (b"BTIN" if level else b"BTLF"):
            raise contents.damaged("a node of an index is missing")
        contents.spend(count)
        yield from (block[at : at + size] for at in range(6, 6 + count * size, size))
        if not level:
            continue
        for at in range(6 + count * size, len(block), layout.pointer(level)):
            (child,) = struct.unpack_from("<Q", block, at)
            waiting.append((child, int.from_bytes(block[at + 8 : at + 8 + layout.count_width], "little"), level - 1))


class _Tree2:
    """The sizes of the pointers in the nodes of a B-tree of version 2, which the file does not store.

    A pointer holds the child's address, the number of its records, and above the lowest inner level the number of all
    records below it; each number has the width of the largest possible value there.
    """

    def __init__(self, node_size: int, record_size: int, depth: int) -> None:
        most = [(node_size - 10) // record_size]
        below = most[:]
        self.count_width = _width(most[0])
        self._pointers = [0]
        for level in range(1, depth + 1):
            pointer = 8 + self.count_width + (_width(below[-1]) if level > 1 else 0)
            self._pointers.append(pointer)
            most.append(max(node_size - 10 - pointer, 0) // (record_size + pointer))
            below.append((most[-1] + 1) * below[-1] + most[-1])

    def pointer(self, level: int) -> int:
        """Return the size of a pointer in a node of `level`; 0 for a leaf."""
        return self._pointers[level]


def _width(limit: int) -> int:
    """Return the bytes that numbers up to `limit` take."""
    return (max(limit, 1).bit_length() - 1) // 8 + 1


class FractalHeap:
    """The heap in which a new-style group keeps many links, and an object many or large attributes.

    Args:
        contents: The file.
        address: Address of the heap's header.

    Raises:
        ModelError: It is damaged, or filtered, which h5py never does.
    """

    def __init__(self, contents: Contents, address: int) -> None:
        self._contents = contents
        head = contents.take(address, 142)
        signature, self._id_length, filters, self._flags, most = struct.unpack_from("<4sxHHBI", head)
        (self._huge,) = struct.unpack_from("<22xQ", head)
        (self._columns, self._start, self._largest, bits, _, self._root, self._rows) = struct.unpack_from(
            "<110xHQQHHQH", head
        )
        powers = all(number and not number & (number - 1) for number in (self._columns, self._start, self._largest))
        if signature != b"FRHP" or filters or not powers or self._largest < self._start:
            raise contents.damaged("a heap is broken")
        self._offset_width = (bits + 7) // 8
        self._length_width = min((self._largest.bit_length() + 6) // 8, _width(most))
        self._huge_objects: dict[int, tuple[int, int]] | None = None

    def get(self, identifier: bytes) -> tuple[bytes, int]:
        """Return an object and the address of its first byte.

        Raises:
            ModelError: There is no such object.
        """
        kind = identifier[0] >> 4 & 3
        if kind == 0:
            begin = 1 + self._offset_width
            offset = int.from_bytes(identifier[1:begin], "little")
            length = int.from_bytes(identifier[begin : begin + self._length_width], "little")
            address = self._managed(offset)
            return self._contents.take(address, length), address
        if kind == 1:
            address, length = self._large(int.from_bytes(identifier[1:9], "little"))
            return self._contents.take(address, length), address
        raise self._contents.damaged("a heap holds an object of an unknown type")

    def _large(self, number: int) -> tuple[int, int]:
        """Return address and length of an object that is stored outside the heap."""
        if self._huge_objects is None:
            found = (struct.unpack_from("<QQQ", record) for record in records(self._contents, self._huge))
            self._huge_objects = {key: (address, length) for address, length, key in found}
        if number not in self._huge_objects:
            raise self._contents.damaged("an object of a heap is missing")
        return self._huge_objects[number]

    def _managed(self, offset: int) -> int:
        """Return the address of a byte of the heap's space, which consists of blocks of doubling size.

        Each row of the table has `columns` blocks: of the smallest size in the first two rows, and of twice the size
        of the row before in each further row. A block beyond the largest size is again a table.
        """
        block, rows, begin = self._root, self._rows, 0
        for _ in range(DEEPEST):
            if not rows:
                return block + offset - begin
            row, size, first = 0, self._start, begin
            while offset >= first + size * self._columns:
                first += size * self._columns
                size = size if row == 0 else 2 * size
                row += 1
                if row >= rows:
                    raise self._contents.damaged("a heap is too short")
            column = (offset - first) // size
            entry = 13 + self._offset_width + 8 * (row * self._columns + column)
            if self._contents.take(block, 4) != b"FHIB":
                raise self._contents.damaged("a table of a heap is missing")
            (block,) = struct.unpack("<Q", self._contents.take(block + entry, 8))
            begin = first + column * size
            rows = 0 if size <= self._largest else (size // (self._start * self._columns)).bit_length()
        raise self._contents.damaged("a heap runs in a loop")


class GlobalHeap:
    """The variable-length strings that attributes refer to."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._collections = dict[int, dict[int, tuple[int, int]]]()

    def get(self, collection: int, index: int, length: int) -> bytes:
        """Return the first `length` bytes of an object.

        Raises:
            ModelError: There is no such object, or it is shorter.
        """
        if collection not in self._collections:
            self._collections[collection] = dict(self._objects(collection))
        address, size = self._collections[collection].get(index, (0, -1))
        if length > size:
            raise self._contents.damaged("a text is missing")
        return self._contents.take(address, length)

    def _objects(self, collection: int) -> Iterator[tuple[int, tuple[int, int]]]:
        signature, size = struct.unpack("<4s4xQ", self._contents.take(collection, 16))
        if signature != b"GCOL":
            raise self._contents.damaged("the texts of attributes are missing")
        at, end = collection + 16, collection + size
        while at + 16 <= end:
            index, length = struct.unpack("<H6xQ", self._contents.take(at, 16))
            if not index:  # free space
                return
            yield index, (at + 16, length)
            at += 16 + (length + 7 & ~7)
