"""The places where an ONNX tensor's values lie, and how they are read when they are asked for."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx import datatypes
from cnnlint.frontends.onnx.wire import WireError, fields
from cnnlint.graph.dtype import storage_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cnnlint.frontends.onnx.records import TensorRecord
    from cnnlint.frontends.onnx.source import ByteSource

MAX_DENSE_BYTES = 1 << 31
"""A sparse tensor is not unfolded to more than this: its dims are only a claim of the file."""


class RawStorage(Struct, frozen=True, gc=False):
    """Values as plain little-endian bytes: raw_data, or a range of an external data file.

    Attributes:
        source: The file.
        offset: Where the values start.
        length: Their bytes.
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

    def location(self) -> tuple[str, int, int] | None:
        """Return file path, offset and length, for a reader that maps the bytes itself; None if not local."""
        path = self.source.path
        return None if path is None else (path, self.offset, self.length)

    def read(self) -> NDArray[np.generic]:
        """Return the values, mapped and not copied but for types narrower than a byte.

        Raises:
            ModelError: The bytes cannot be read, are too few or too many, or are of an unknown type.
        """
        from cnnlint.frontends.onnx import arrays

        needed = storage_bytes(self.dtype, prod(self.shape))
        if needed is None:
            raise ModelError(f"the type of tensor {self.name!r} is not known", path=self.source.path)
        if needed != self.length:
            raise ModelError(mismatch(self.name, self.shape, self.length), path=self.source.path)
        data = self.source.view(self.offset, self.length)
        if len(data) != self.length:
            raise ModelError(f"the values of tensor {self.name!r} are cut off", path=self.source.path)
        return arrays.from_raw(data, self.shape, self.dtype)


class TypedStorage(Struct, frozen=True, gc=False):
    """Values in a typed field (float_data, int32_data, ...), which protobuf may scatter over its message.

    Attributes:
        source: The file.
        offset: Where the TensorProto starts.
        length: Its bytes.
        content_bytes: The bytes of the typed field in it.
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

    def location(self) -> None:
        """Return None: these are not plain bytes that another reader could map."""
        return

    def read(self) -> NDArray[np.generic]:
        """Return the values, decoded; text as an array of `str` objects.

        Raises:
            ModelError: The bytes cannot be read, or the values are too few or too many.
        """
        from cnnlint.frontends.onnx import arrays

        number = datatypes.typed_field(self.dtype)
        try:
            chunks = [
                self.source.view(start, stop - start)
                for tag, start, stop in fields(self.source, self.offset, self.offset + self.length)
                if tag >> 3 == number
            ]
        except WireError as error:
            raise ModelError(f"tensor {self.name!r} is damaged: {error}", path=self.source.path) from error
        elements = prod(self.shape)
        if number == datatypes.STRING_DATA:
            if len(chunks) != elements:
                raise ModelError(mismatch(self.name, self.shape, len(chunks), "values"), path=self.source.path)
            return arrays.from_texts(chunks, self.shape)
        entries = arrays.typed_entries(chunks[0] if len(chunks) == 1 else b"".join(chunks), number)
        if len(entries) != datatypes.typed_entry_count(self.dtype, elements):
            raise ModelError(mismatch(self.name, self.shape, len(entries), "values"), path=self.source.path)
        return arrays.from_entries(entries, self.shape, self.dtype)


class SparseStorage(Struct, frozen=True, gc=False):
    """A SparseTensorProto: the values that are not zero, and where they stand.

    Attributes:
        values: The values, [NNZ].
        indices: Their places: [NNZ] in row-major order, or [NNZ, rank].
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
        """The bytes that values and indices take in the file."""
        sizes = [part.storage.nbytes if part.storage else 0 for part in (self.values, self.indices)]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def location(self) -> None:
        """Return None: these are not plain bytes that another reader could map."""
        return

    def read(self) -> NDArray[np.generic]:
        """Return the values as a dense array.

        Raises:
            ModelError: It would be larger than `MAX_DENSE_BYTES`, or an index is out of its bounds.
        """
        from cnnlint.frontends.onnx import arrays

        if self.values.storage is None or self.indices.storage is None:
            raise ModelError(f"the values of sparse tensor {self.name!r} are not in the file")
        elements = prod(self.shape)
        if (storage_bytes(self.values.dtype, elements) or 0) > MAX_DENSE_BYTES:
            raise ModelError(f"sparse tensor {self.name!r} of {elements:,} elements is too large to unfold")
        values, indices = self.values.storage.read(), self.indices.storage.read()
        try:
            return arrays.unfolded(values, indices, self.shape)
        except (IndexError, ValueError) as error:
            raise ModelError(f"sparse tensor {self.name!r} has indices that do not fit it") from error


def mismatch(name: str, shape: tuple[int, ...], held: int, unit: str = "bytes") -> str:
    """Word the error of a tensor whose dims and payload disagree."""
    elements = prod(shape)
    count = f"{elements:,}" if elements < 1 << 63 else "more than 2^63"
    dims = "×".join(map(str, shape)) or "a scalar"
    return f"tensor {name!r} claims {count} elements ({dims}) but holds {held:,} {unit}"
