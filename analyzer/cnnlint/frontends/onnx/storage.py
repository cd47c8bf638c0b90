"""Storage of the values of ONNX tensors, which are read and decoded on demand.

The encodings are those of `onnx.numpy_helper.to_array`.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx import datatypes
from cnnlint.frontends.onnx.wire import WireError, fields
from cnnlint.frontends.sources import in_steps, pieces
from cnnlint.graph.tensor import storage_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cnnlint.frontends.onnx.records import TensorRecord
    from cnnlint.frontends.sources import ByteSource


MAX_DENSE_BYTES = 1 << 31
"""Largest dense size of a sparse tensor, since its dims may be arbitrarily large."""


class RawStorage(Struct, frozen=True, gc=False):
    """Values as plain little-endian bytes: raw_data, or a range of an external data file.

    Attributes:
        source: The file.
        offset: Start of the values.
        length: Their size in bytes.
        name: The tensor's name, for messages.
        shape: Its dims.
        dtype: Its element type.
        field: "raw_data" or "external_data".
    """

    source: ByteSource
    offset: int
    length: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    field: str = "raw_data"

    @property
    def nbytes(self) -> int:
        """The bytes that the values take in the file."""
        return self.length

    def read(self) -> NDArray[np.generic]:
        """Return the values, memory-mapped except for types narrower than a byte.

        Raises:
            ModelError: The bytes cannot be read, have the wrong length, or are of an unknown type.
        """
        needed = storage_bytes(self.dtype, prod(self.shape))
        if needed is None:
            raise ModelError(f"the type of tensor {self.name!r} is not known", path=self.source.path)
        if needed != self.length:
            raise ModelError(mismatch(self.name, self.shape, self.length), path=self.source.path)
        data = self.source.view(self.offset, self.length)
        if len(data) != self.length:
            raise ModelError(f"the values of tensor {self.name!r} are cut off", path=self.source.path)
        return from_raw(data, self.shape, self.dtype)

    def pieces(self, buffer: memoryview, step: int) -> Iterator[NDArray[np.generic]]:
        """Yield the values in pieces; see `Storage.pieces`."""
        if storage_bytes(self.dtype, prod(self.shape)) != self.length:
            raise ModelError(mismatch(self.name, self.shape, self.length), path=self.source.path)
        yield from _plain(self.source, (self.offset, self.length), self.dtype, buffer, step)


class TypedStorage(Struct, frozen=True, gc=False):
    """Values in a typed field (float_data, int32_data, ...), which may be scattered over the message.

    Attributes:
        source: The file.
        offset: Start of the TensorProto.
        length: Its size in bytes.
        content_bytes: Size of its typed field in bytes.
        name: The tensor's name, for messages.
        shape: Its dims.
        dtype: Its element type.
    """

    source: ByteSource
    offset: int
    length: int
    content_bytes: int
    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def field(self) -> str:
        """The name of the TensorProto field."""
        return datatypes.FIELD_NAMES[datatypes.typed_field(self.dtype)]

    @property
    def nbytes(self) -> int:
        """The bytes that the values take in the file."""
        return self.content_bytes

    def read(self) -> NDArray[np.generic]:
        """Return the values, decoded; text as an array of `str` objects.

        Raises:
            ModelError: The bytes cannot be read, or the values are too few or too many.
        """
        number = datatypes.typed_field(self.dtype)
        chunks = [self.source.view(start, stop - start) for start, stop in self._parts()]
        elements = prod(self.shape)
        if number == datatypes.STRING_DATA:
            if len(chunks) != elements:
                raise ModelError(mismatch(self.name, self.shape, len(chunks), "values"), path=self.source.path)
            return from_texts(chunks, self.shape)
        entries = typed_entries(chunks[0] if len(chunks) == 1 else b"".join(chunks), number)
        if len(entries) != datatypes.typed_entry_count(self.dtype, elements):
            raise ModelError(mismatch(self.name, self.shape, len(entries), "values"), path=self.source.path)
        return from_entries(entries, self.shape, self.dtype)

    def pieces(self, buffer: memoryview, step: int) -> Iterator[NDArray[np.generic]]:
        """Yield the values in pieces; see `Storage.pieces`."""
        parts = self._parts()
        if self.dtype in {"float32", "float64"} and len(parts) == 1:
            start, stop = parts[0]
            if stop - start == storage_bytes(self.dtype, prod(self.shape)):
                yield from _plain(self.source, (start, stop - start), self.dtype, buffer, step)
                return
        yield from in_steps(self.read().reshape(-1), buffer, step)

    def _parts(self) -> list[tuple[int, int]]:
        """Return the ranges of the file that hold its typed field."""
        number, end = datatypes.typed_field(self.dtype), self.offset + self.length
        try:
            return [(start, stop) for tag, start, stop in fields(self.source, self.offset, end) if tag >> 3 == number]
        except WireError as error:
            raise ModelError(f"tensor {self.name!r} is damaged: {error}", path=self.source.path) from error


class SparseStorage(Struct, frozen=True, gc=False):
    """A SparseTensorProto: the nonzero values, and their indices.

    Attributes:
        values: The values, [NNZ].
        indices: Their indices: [NNZ] in row-major order, or [NNZ, rank].
        name: The tensor's name, for messages.
        shape: Its dims.
    """

    values: TensorRecord
    indices: TensorRecord
    name: str
    shape: tuple[int, ...]

    field = "sparse"

    @property
    def nbytes(self) -> int | None:
        """The size of values and indices in the file, in bytes."""
        sizes = [part.storage.nbytes if part.storage else 0 for part in (self.values, self.indices)]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def read(self) -> NDArray[np.generic]:
        """Return the values as a dense array.

        Raises:
            ModelError: It would be larger than `MAX_DENSE_BYTES`, or an index is out of bounds.
        """
        if self.values.storage is None or self.indices.storage is None:
            raise ModelError(f"the values of sparse tensor {self.name!r} are not in the file")
        elements = prod(self.shape)
        if (storage_bytes(self.values.dtype, elements) or 0) > MAX_DENSE_BYTES:
            raise ModelError(f"sparse tensor {self.name!r} of {elements:,} elements is too large to unfold")
        values, indices = self.values.storage.read(), self.indices.storage.read()
        try:
            return unfolded(values, indices, self.shape)
        except (IndexError, ValueError) as error:
            raise ModelError(f"sparse tensor {self.name!r} has indices that do not fit it") from error

    def pieces(self, buffer: memoryview, step: int) -> Iterator[NDArray[np.generic]]:
        """Yield the values of the dense array in pieces; see `Storage.pieces`."""
        yield from in_steps(self.read().reshape(-1), buffer, step)


def _plain(
    source: ByteSource, span: tuple[int, int], dtype: str, buffer: memoryview, step: int
) -> Iterator[NDArray[np.generic]]:
    """Yield the little-endian values at `span`, offset and length, in pieces."""
    import numpy as np

    final = _dtype(dtype)
    if dtype != "bfloat16":  # types of ml_dtypes have no byte order
        final = final.newbyteorder("<")
    for piece in pieces(source, *span, buffer, step * final.itemsize):
        yield np.frombuffer(piece, dtype=final)


def mismatch(name: str, shape: tuple[int, ...], held: int, unit: str = "bytes") -> str:
    """Return the message for a tensor whose dims and payload disagree."""
    elements = prod(shape)
    count = f"{elements:,}" if elements < 1 << 63 else "more than 2^63"
    dims = "×".join(map(str, shape)) or "a scalar"
    return f"tensor {name!r} claims {count} elements ({dims}) but holds {held:,} {unit}"


def _dtype(name: str) -> np.dtype[np.generic]:
    import numpy as np

    try:
        return np.dtype(name)
    except TypeError:
        pass
    try:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    except (ImportError, AttributeError):
        raise ModelError(
            f"values of type {name or 'unknown'!r} cannot be read", remedy="install ml_dtypes, or a newer one"
        ) from None


def from_raw(
    content: bytes | memoryview | NDArray[np.uint8], shape: tuple[int, ...], dtype: str
) -> NDArray[np.generic]:
    """Interpret little-endian bytes of the right length as an array, without copying if possible."""
    import numpy as np

    data = np.frombuffer(content, dtype=np.uint8)
    final = _dtype(dtype)
    elements = prod(shape)
    bits = {"int4": 4, "uint4": 4, "float4_e2m1fn": 4, "int2": 2, "uint2": 2}.get(dtype, 8)
    if bits < 8:
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        data = (data[:, None] >> shifts & np.uint8((1 << bits) - 1)).reshape(-1)[:elements]
    elif dtype.startswith("float6_"):
        flat = np.unpackbits(data, bitorder="little")[: 6 * elements].reshape(-1, 6)
        data = np.packbits(flat, axis=1, bitorder="little").reshape(-1)
    if dtype == "bfloat16":
        # types of ml_dtypes have no byte order
        return data.view("<u2").astype(np.uint16, copy=False).view(final).reshape(shape)
    return data.view(final.newbyteorder("<")).astype(final, copy=False).reshape(shape)


def typed_entries(packed: bytes | memoryview, number: int) -> NDArray[np.generic]:
    """Decode the packed content of the typed field `number`."""
    import numpy as np

    content = np.frombuffer(packed, dtype=np.uint8)
    if number in {datatypes.FLOAT_DATA, datatypes.DOUBLE_DATA}:
        unit = np.dtype("<f4" if number == datatypes.FLOAT_DATA else "<f8")
        return content[: content.size // unit.itemsize * unit.itemsize].view(unit)
    stops = np.flatnonzero(content < 0x80)
    starts = np.concatenate((np.zeros(1, dtype=np.int64), stops[:-1] + 1)) if stops.size else stops
    lengths = stops - starts + 1
    values = np.zeros(stops.size, dtype=np.uint64)
    for place in range(int(lengths.max(initial=0))):
        longer = lengths > place
        entries = content[starts[longer] + place].astype(np.uint64)  # numpy 1 would shift within 8 bits
        values[longer] |= (entries & np.uint64(0x7F)) << np.uint64(7 * place)
    return values


def from_entries(entries: NDArray[np.generic], shape: tuple[int, ...], dtype: str) -> NDArray[np.generic]:
    """Convert the entries of a typed field, in the right number, to values."""
    import numpy as np

    final = _dtype(dtype)
    if dtype in {"float32", "float64"}:
        return entries.astype(final, copy=False).reshape(shape)
    if dtype in {"complex64", "complex128"}:
        return entries.astype(entries.dtype.newbyteorder("=")).view(final).reshape(shape)
    if dtype in {"int4", "uint4", "float4_e2m1fn", "int2", "uint2"}:
        return from_raw(entries.astype(np.uint8), shape, dtype)
    if dtype.startswith("float6_"):
        return (entries.astype(np.uint8) & np.uint8(0x3F)).view(final).reshape(shape)
    # An entry holds the element's bits, sign-extended by protobuf.
    return entries.astype(f"u{final.itemsize}").view(final).reshape(shape)


def from_texts(texts: Sequence[bytes | memoryview], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Decode UTF-8 strings, in the right number, to an array of objects."""
    import numpy as np

    decoded = [bytes(text).decode("utf-8", "backslashreplace") for text in texts]
    return np.array(decoded, dtype=object).reshape(shape)


def unfolded(values: NDArray[np.generic], indices: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Return a dense array with `values` [NNZ] at `indices`, [NNZ] in row-major order or [NNZ, rank].

    Raises:
        IndexError, ValueError: An index is out of bounds, or the numbers of indices and values differ.
    """
    import numpy as np

    places = indices.astype(np.int64)
    flat = np.ravel_multi_index(tuple(places.T), shape) if places.ndim == 2 else places
    dense = np.zeros(prod(shape), dtype=values.dtype)
    dense[flat] = values.reshape(-1)
    return dense.reshape(shape)
