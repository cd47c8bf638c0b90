"""What HDF5 says of values: their element type, their shape, and where they lie."""

from __future__ import annotations

import struct
from math import prod

from msgspec import Struct

from cnnlint.frontends.keras.hdf5.headers import Contents

FLOATS = {
    (2, 10, 5, 0, 10, 15): "float16",
    (4, 23, 8, 0, 23, 127): "float32",
    (8, 52, 11, 0, 52, 1023): "float64",
    (2, 7, 8, 0, 7, 127): "bfloat16",
}
"""Bytes, place and width of the exponent, place and width of the mantissa, bias -> type."""

CODES = {"float16": "f2", "float32": "f4", "float64": "f8", "bool": "b1"}
"""What NumPy calls a type."""

INTEGER, FLOAT, STRING, OPAQUE, ENUMERATION, SEQUENCE = 0, 1, 3, 5, 8, 9
"""Classes of types; the others are read by h5py if at all."""

MOST_AXES = 32


class ElementType(Struct, frozen=True, gc=False):
    """The type of an element.

    Attributes:
        name: Such as "float32"; "string" for texts, "void16" for two bytes of no known meaning.
        size: Its bytes.
        code: NumPy's name of the bytes, "<f4"; "" if they are not the value or NumPy has none.
        text: How texts are stored: "fixed", "variable"; "" for other types.
    """

    name: str
    size: int
    code: str = ""
    text: str = ""


class Layout(Struct, frozen=True, gc=False):
    """Where the values of an array lie.

    Attributes:
        kind: "plain" for one piece, "chunked" for pieces that may be packed, "elsewhere" for other files, and "none"
            for values that were never written.
        address: Of the first byte of a plain one.
        length: The bytes of a plain one.
    """

    kind: str
    address: int = 0
    length: int = 0


def element_type(contents: Contents, data: bytes) -> ElementType:
    """Return the type that a datatype message describes.

    Raises:
        ModelError: It contradicts itself.
    """
    version_and_class, bits, size = struct.unpack_from("<BB2xI", data)
    kind = version_and_class & 15
    order = ">" if bits & 1 else "<"
    if not size:
        raise contents.damaged("a type of no size")
    if kind == INTEGER:
        name = f"{'' if bits & 8 else 'u'}int{8 * size}"
        whole = struct.unpack_from("<8xHH", data) == (0, 8 * size) and size in (1, 2, 4, 8)
        return ElementType(name, size, f"{order}{'i' if bits & 8 else 'u'}{size}" if whole else "")
    if kind == FLOAT:
        name = FLOATS.get((size, *struct.unpack_from("<12xBBBBI", data)), "")
        if not name:
            return ElementType(f"float{8 * size}", size)
        return ElementType(name, size, f"{order}{CODES[name]}" if name in CODES else f"|V{size}")
    if kind == STRING:
        return ElementType("string", size, text="fixed")
    if kind == SEQUENCE:
        return ElementType("string", size, text="variable" if bits & 15 == 1 and size == 16 else "")
    if kind == ENUMERATION:
        base = element_type(contents, data[8:])
        is_bool = base.size == 1 and b"FALSE\0" in data[20:36] and b"TRUE\0" in data[20:36]
        return ElementType("bool", 1, "|b1") if is_bool else base
    return ElementType(f"void{8 * size}", size, f"|V{size}" if kind == OPAQUE else "")


def shape_of(contents: Contents, data: bytes) -> tuple[int, ...]:
    """Return the shape that a dataspace message describes; (0,) where there is explicitly nothing.

    Raises:
        ModelError: It is of an unknown version, or of more axes than HDF5 has.
    """
    version, rank, flags, kind = data[:4]
    del flags
    if version not in (1, 2) or rank > MOST_AXES:
        raise contents.damaged("the shape of an array cannot be read")
    if version == 2 and kind == 2:
        return (0,)
    return struct.unpack_from(f"<{rank}Q", data, 8 if version == 1 else 4)


def layout_of(data: bytes, address: int) -> Layout:
    """Return the layout that a layout message, whose content lies at `address`, describes.

    Those of before HDF5 1.6 and such that are only found through an index are left to h5py, and count as "chunked".
    """
    version = data[0]
    kind = data[1] if version >= 3 else 2
    if kind == 0:
        return Layout("plain", address + 4, struct.unpack_from("<2xH", data)[0])
    if kind == 1:
        begin, length = struct.unpack_from("<2xQQ", data)
        return Layout("none") if begin == (1 << 64) - 1 else Layout("plain", begin, length)
    return Layout("elsewhere" if kind == 3 else "chunked")


def texts(
    contents: Contents, kind: ElementType, shape: tuple[int, ...], data: bytes
) -> list[tuple[int, int, int] | str]:
    """Return the texts in `data`, or for those of variable length (heap, index, length).

    Raises:
        ModelError: There are fewer than the shape says.
    """
    count = prod(shape)
    if count * kind.size > len(data):
        raise contents.damaged("an attribute is cut off")
    contents.spend(count)
    if kind.text == "variable":
        references = (struct.unpack_from("<IQI", data, 16 * index) for index in range(count))
        return [(heap, index, length) for length, heap, index in references]
    pieces = (data[kind.size * index : kind.size * (index + 1)] for index in range(count))
    return [piece.rstrip(b"\0").decode() for piece in pieces]
