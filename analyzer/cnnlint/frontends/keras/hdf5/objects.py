"""The groups and arrays of an HDF5 file, with their attributes."""

from __future__ import annotations

import re
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.frontends.keras.hdf5 import headers
from cnnlint.frontends.keras.hdf5.chunks import Chunks
from cnnlint.frontends.keras.hdf5.headers import FAULTS, UNDEFINED, Contents, Message, read_header
from cnnlint.frontends.keras.hdf5.indexes import FractalHeap, GlobalHeap, records, symbols

if TYPE_CHECKING:
    from cnnlint.frontends.sources import ByteSource

from cnnlint.errors import ModelError

MAX_DEPTH = 64
"""Most nested groups; more must be a cycle."""


class Dataset(Struct, frozen=True, gc=False):
    """An array of the file.

    Attributes:
        path: Path from the root.
        shape: Shape of the values.
        dtype: Element type such as "float32".
        code: NumPy's type code of the stored bytes; "" if only h5py can read them.
        start: Offset of contiguous values in the file; None otherwise.
        chunks: Where the chunks are, if they can be read without h5py.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    code: str = ""
    start: int | None = None
    chunks: Chunks | None = None


@contextmanager
def opened(source: ByteSource, shown: str) -> Generator[Hdf5Object]:
    """Yield the root group of an HDF5 file.

    Args:
        source: Its bytes.
        shown: The path as the user wrote it, for messages.

    Raises:
        ModelError: The file is damaged or cut off, or it cannot be read.
    """
    contents = Contents(source, shown)
    try:
        yield Hdf5Object(contents, GlobalHeap(contents), contents.root, "")
    except FAULTS as error:
        raise contents.damaged(str(error).partition("\n")[0] or type(error).__name__) from error


class Hdf5Object:
    """A group or an array.

    Attributes:
        path: Path from the root; "" for the root.
    """

    def __init__(self, contents: Contents, heap: GlobalHeap, address: int, path: str) -> None:
        self.path = path
        self._contents = contents
        self._heap = heap
        self._messages = read_header(contents, address)
        self._attributes: dict[str, _Attribute] | None = None

    @property
    def is_group(self) -> bool:
        """Whether it holds other objects."""
        return self._message(headers.SYMBOL_TABLE) is not None or self._message(headers.LINK_INFO) is not None

    @property
    def is_dataset(self) -> bool:
        """Whether it is an array."""
        return self._message(headers.DATATYPE) is not None and self._message(headers.DATASPACE) is not None

    def links(self) -> dict[str, int | None]:
        """Return the address for each name in a group; None for a soft or external link.

        Raises:
            ModelError: The group is damaged.
        """
        if (table := self._message(headers.SYMBOL_TABLE)) is not None:
            tree, heap = struct.unpack_from("<QQ", table.data)
            return dict(symbols(self._contents, tree, heap))
        found = [_link(message.data) for message in self._messages if message.kind == headers.LINK]
        info = self._message(headers.LINK_INFO)
        if info is not None:
            # A record holds the name's hash and the link's heap ID.
            found += [_link(data) for data, _ in self._dense(info, 8, slice(4, 11))]
        return dict(found)

    def child(self, name: str, address: int) -> Hdf5Object:
        """Return the target of the link `name`."""
        return Hdf5Object(self._contents, self._heap, address, f"{self.path}/{name}" if self.path else name)

    def walk(self, *, leave_out: tuple[str, ...] = ()) -> Iterator[Hdf5Object]:
        """Yield all groups and arrays below, depth first, with numbered names in numeric order.

        Args:
            leave_out: Direct children to skip.

        Raises:
            ModelError: A link is soft or external, or groups nest too deeply.
        """
        waiting = [(self, name, address) for name, address in self.ordered() if name not in leave_out]
        while waiting:
            parent, name, address = waiting.pop()
            if address is None:
                raise ModelError(
                    f"the HDF5 link {parent.path}/{name} leads elsewhere; such links are not followed",
                    path=self._contents.shown,
                )
            node = parent.child(name, address)
            if node.is_group:
                if node.path.count("/") >= MAX_DEPTH:
                    raise ModelError(f"HDF5 groups nest more than {MAX_DEPTH} deep", path=self._contents.shown)
                yield node
                waiting += [(node, inner, below) for inner, below in node.ordered()]
            elif node.is_dataset:
                yield node

    def text(self, name: str) -> str | None:
        """Return an attribute that is a single string; None if it is missing or something else.

        Raises:
            ModelError: It is damaged.
        """
        found = self.texts(name)
        return found[0] if found is not None and len(found) == 1 else None

    def texts(self, name: str) -> list[str] | None:
        """Return an attribute that is a list of strings; None if it is missing or something else.

        Raises:
            ModelError: It is damaged.
        """
        if self._attributes is None:
            self._attributes = self._read_attributes()
        attribute = self._attributes.get(name)
        if attribute is None:
            return None
        kind = headers.element_type(self._contents, attribute.kind)
        if not kind.text:
            return None
        shape = headers.shape_of(self._contents, attribute.space)
        found = headers.decoded_texts(self._contents, kind, shape, attribute.data)
        return [item if isinstance(item, str) else self._variable(*item) for item in found]

    def dataset(self) -> Dataset:
        """Return the record of an array; for types that HDF5 lacks, Keras stores the name in an attribute.

        Raises:
            ModelError: Its values do not fit its shape and type, or are cut off.
        """
        kind = headers.element_type(self._contents, self._content(headers.DATATYPE))
        shape = headers.shape_of(self._contents, self._content(headers.DATASPACE))
        name = kind.name
        if name.startswith("void"):
            name = self.text("dtype") or name
        message = self._message(headers.LAYOUT)
        layout = headers.Layout("none") if message is None else headers.layout_of(message.data, message.address)
        if layout.kind == "chunked" and layout.chunk:
            filters = self._message(headers.FILTERS)
            chunks = Chunks(layout.address, layout.chunk, kind.size, b"" if filters is None else filters.data)
            return Dataset(self.path, shape, name, kind.code, chunks=chunks)
        if layout.kind != "plain" or self._message(headers.EXTERNAL) is not None:
            return Dataset(self.path, shape, name)
        length = prod(shape) * kind.size
        start = self._contents.place(layout.address, length)
        if start is None or length > layout.length:
            raise ModelError(f"the values of {self.path} are cut off", path=self._contents.shown)
        return Dataset(self.path, shape, name, kind.code, start)

    def ordered(self) -> list[tuple[str, int | None]]:
        """Return the links in reverse order of names, to be pushed on a stack."""
        return sorted(self.links().items(), key=lambda link: _natural(link[0]), reverse=True)

    def _variable(self, heap: int, index: int, length: int) -> str:
        return self._heap.get(heap, index, length).decode() if length else ""

    def _message(self, kind: int) -> Message | None:
        return next((message for message in self._messages if message.kind == kind), None)

    def _content(self, kind: int) -> bytes:
        message = self._message(kind)
        if message is None:
            raise self._contents.damaged("an array lacks its type or shape")
        return _shared(self._contents, kind, message.data) if message.flags & headers.SHARED else message.data

    def _read_attributes(self) -> dict[str, _Attribute]:
        found = [message.data for message in self._messages if message.kind == headers.ATTRIBUTE]
        info = self._message(headers.ATTRIBUTE_INFO)
        if info is not None:
            # A record holds the heap ID, flags, the order of creation, and the name's hash.
            found += [data for data, _ in self._dense(info, 2, slice(0, 8))]
        return {attribute.name: attribute for attribute in (_attribute(self._contents, data) for data in found)}

    def _dense(self, info: Message, order_bytes: int, identifier: slice) -> Iterator[tuple[bytes, int]]:
        """Yield the objects in a heap, links or attributes, by the name index in `info`."""
        at = 2 + (order_bytes if info.data[1] & 1 else 0)
        heap, index = struct.unpack_from("<QQ", info.data, at)
        if heap == UNDEFINED:
            return
        objects = FractalHeap(self._contents, heap)
        for record in records(self._contents, index):
            yield objects.get(record[identifier])


class _Attribute(Struct, frozen=True, gc=False):
    name: str
    kind: bytes
    space: bytes
    data: bytes


def _attribute(contents: Contents, data: bytes) -> _Attribute:
    version, flags, *sizes = struct.unpack_from("<BBHHH", data)
    if version not in (1, 2, 3):
        raise contents.damaged("an attribute is of an unknown version")
    at = 9 if version == 3 else 8
    parts = list[bytes]()
    for size in sizes:
        parts.append(data[at : at + size])
        at += (size + 7 & ~7) if version == 1 else size
    name, kind, space = parts
    if version > 1 and flags & 1:
        kind = _shared(contents, headers.DATATYPE, kind)
    return _Attribute(name.partition(b"\0")[0].decode(), kind, space, data[at:])


def _shared(contents: Contents, kind: int, data: bytes) -> bytes:
    """Return a message that is stored in the header of another object, such as a named type."""
    version = data[0]
    (address,) = struct.unpack_from("<Q", data, 8 if version == 1 else 2)
    for message in read_header(contents, address):
        if message.kind == kind and not message.flags & headers.SHARED:
            return message.data
    raise contents.damaged("a type is missing")


def _link(data: bytes) -> tuple[str, int | None]:
    """Return name and address of a link message; None for a soft or external link."""
    flags = data[1]
    at = 2
    kind = 0
    if flags & 8:
        kind, at = data[at], at + 1
    at += 8 if flags & 4 else 0
    at += 1 if flags & 16 else 0
    width = 1 << (flags & 3)
    length = int.from_bytes(data[at : at + width], "little")
    at += width
    name = data[at : at + length].decode()
    return name, None if kind else struct.unpack_from("<Q", data, at + length)[0]


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part)
