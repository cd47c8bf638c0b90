"""Decode TensorProto and ValueInfoProto to records without reading payloads; the shared state of a reading."""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from cnnlint import limits
from cnnlint.errors import ModelError
from cnnlint.frontends.onnx import datatypes, external
from cnnlint.frontends.onnx.datatypes import NAMES
from cnnlint.frontends.onnx.records import SMALL, TensorRecord, ValueRecord
from cnnlint.frontends.onnx.storage import RawStorage, SparseStorage, TypedStorage, mismatch
from cnnlint.frontends.onnx.wire import WireError, entry, fields, int32, members, once, signed, text, varint, varints
from cnnlint.graph.tensor import storage_bytes

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.external import DataFolder
    from cnnlint.frontends.onnx.records import Attribute, Attributes
    from cnnlint.frontends.sources import ByteSource
    from cnnlint.graph.tensor import Dim

MAX_SUBGRAPHS = 64
"""Most nested subgraphs; protobuf itself stops at 100 messages, which is 33 subgraphs."""


class Reading:
    """The state of one reading.

    Networks are repetitive: thousands of nodes have the same few dozen attributes and types, byte for byte. The caches
    decode each once.

    Args:
        source: The model's bytes.
        folder: Location of its external data; None for a model in memory, whose external data is not read.
    """

    __slots__ = ("attribute_sets", "attributes", "checksums", "faults", "folder", "source", "types")

    def __init__(self, source: ByteSource, folder: DataFolder | None) -> None:
        self.source = source
        self.folder = folder
        self.attributes: dict[bytes, Attribute] = {}
        self.attribute_sets: dict[tuple[bytes, ...], Attributes] = {}
        self.types: dict[bytes, ValueRecord] = {}
        self.faults: list[tuple[str, str]] = []
        self.checksums: dict[str, tuple[str, ByteSource | None]] = {}

    def text(self, start: int, stop: int) -> str:
        """Read the string at [start, stop)."""
        return text(self.source.read(start, stop - start))

    def error(self, cause: str, remedy: str | None = None) -> ModelError:
        """Return an error about this model."""
        return ModelError(cause, path=self.source.path, remedy=remedy)


_UNDECLARED = ValueRecord("", None, "")
_OTHER_KINDS = {0x22: "sequence", 0x2A: "map", 0x3A: "opaque", 0x4A: "optional"}


def value_info(reading: Reading, data: bytes) -> ValueRecord:
    """Decode a ValueInfoProto."""
    name, declared = "", _UNDECLARED
    for tag, value in members(data):
        if tag == 0x0A:
            name = text(value)
        elif tag == 0x12:
            key = value
            known = reading.types.get(key)
            if known is None:
                known = reading.types[key] = value_type(key)
            declared = known
    return ValueRecord(name, declared.shape, declared.dtype)


def value_type(data: bytes) -> ValueRecord:
    """Decode a TypeProto to a record without a name; the element types of sequences and maps are ignored."""
    record = _UNDECLARED
    for tag, value in members(data):
        if tag in {0x0A, 0x42}:
            record = _tensor_type(value)
        elif tag in _OTHER_KINDS:
            record = ValueRecord("", None, _OTHER_KINDS[tag])
    return record


def _tensor_type(data: bytes) -> ValueRecord:
    dtype, shape = "", None
    for tag, value in members(data):
        if tag == 0x08:
            dtype = NAMES.get(int32(varint(value, 0)[0]), "")
        elif tag == 0x12:
            shape = _shape(value)
    return ValueRecord("", shape, dtype)


def _shape(data: bytes) -> tuple[Dim, ...] | None:
    dims: list[Dim] = []
    for tag, value in members(data):
        if tag == 0x0A:
            dims.append(_dim(value))
    return limits.extents(tuple(dims))


def _dim(data: bytes) -> Dim:
    """Decode a Dimension; the -1 that some exporters write for a dynamic extent is None."""
    dim: Dim = None
    for tag, value in members(data):
        if tag == 0x08:
            extent = signed(varint(value, 0)[0])
            dim = extent if extent >= 0 else None
        elif tag == 0x12:
            dim = text(value) or None if len(value) <= limits.MAX_SYMBOL else None
    return dim


_HEAD = 64
"""Bytes at the start of a tensor that usually hold its name, dims and type."""

_TYPED = frozenset(datatypes.FIELD_NAMES)
_SETTINGS = frozenset({0x6A, 0x70, 0x10})
"""Tags of external_data, data_location and data_type."""


class _Parts:
    """The fields of one TensorProto."""

    __slots__ = ("code", "dims", "entries", "is_external", "name", "payloads", "raw")

    def __init__(self) -> None:
        self.name = ""
        self.dims: list[int] = []
        self.code = 0
        self.raw: tuple[int, int] | None = None
        self.payloads: dict[int, list[tuple[int, int]]] = {}
        self.entries: dict[str, str] = {}
        self.is_external: bool | None = None


def tensor(reading: Reading, start: int, end: int) -> TensorRecord:
    """Read the TensorProto at [start, end).

    Raises:
        WireError: It is malformed.
        ModelError: Its dims, type and payload disagree, or its external data is not available.
    """
    parts = _scan(reading, start, end)
    if parts.payloads and (parts.raw is not None or len(parts.payloads) > 1 or parts.is_external):
        fields_held = [*(["raw_data"] if parts.raw else []), *map(datatypes.FIELD_NAMES.__getitem__, parts.payloads)]
        where = "and in another file" if parts.is_external else f"in {len(fields_held)} fields"
        reading.faults.append((parts.name, f"holds values {where} ({', '.join(fields_held)})"))
    elif parts.is_external and parts.raw is not None:
        reading.faults.append((parts.name, "holds values in raw_data and in another file"))
    shape = tuple(parts.dims)
    if len(shape) > limits.MAX_RANK:
        raise reading.error(f"tensor {parts.name!r} claims {len(shape):,} dims")
    if shape and min(shape) < 0:
        raise reading.error(f"tensor {parts.name!r} has a negative dim: {list(shape)}")
    dtype = datatypes.NAMES.get(parts.code, "")
    elements = limits.product(shape)
    if elements is None:
        raise reading.error(mismatch(parts.name, shape, 0))
    if parts.is_external:
        return TensorRecord(parts.name, shape, dtype, _external(reading, parts, shape, dtype))
    if parts.raw is not None and (parts.raw[1] or not elements):
        return _raw(reading, parts.name, shape, dtype, parts.raw)
    if datatypes.typed_field(dtype) in parts.payloads or not elements:
        return _typed(reading, parts, shape, dtype, (start, end))
    if parts.payloads or (storage_bytes(dtype, elements) or elements) > limits.MAX_CLAIM:
        raise reading.error(mismatch(parts.name, shape, 0))
    return TensorRecord(parts.name, shape, dtype, None)


def sparse_tensor(reading: Reading, start: int, end: int) -> TensorRecord:
    """Read the SparseTensorProto at [start, end); its name is that of its values."""
    values = indices = absent = TensorRecord("", (0,), "", None)
    dims: list[int] = []
    for tag, begin, stop in fields(reading.source, start, end):
        if tag == 0x0A:
            once(values is not absent, "the values of a sparse tensor")
            values = tensor(reading, begin, stop)
        elif tag == 0x12:
            once(indices is not absent, "the indices of a sparse tensor")
            indices = tensor(reading, begin, stop)
        elif tag in {0x18, 0x1A}:
            dims.extend(map(signed, varints(reading.source.read(begin, stop - begin))))
    if len(dims) > limits.MAX_RANK or min(dims, default=0) < 0 or limits.product(dims) is None:
        raise reading.error(f"sparse tensor {values.name!r} has impossible dims")
    shape = tuple(dims)
    if fault := _sparse_fault(values, indices, shape):
        reading.faults.append((values.name, fault))
    return TensorRecord(values.name, shape, values.dtype, SparseStorage(values, indices, values.name, shape))


def _sparse_fault(values: TensorRecord, indices: TensorRecord, shape: tuple[int, ...]) -> str:
    """Return what is wrong with a sparse tensor, as a clause; the indices of one with many values are not read."""
    if len(values.shape) != 1:
        return f"is sparse, and its values have {len(values.shape)} axes and not 1"
    count, rank = values.shape[0], len(shape)
    if indices.dtype != "int64" and count:
        return f"is sparse, and its indices are {indices.dtype or 'of no type'} and not int64"
    if indices.shape not in ((count,), (count, rank)):
        return f"is sparse, and its {count:,} values have indices of {'×'.join(map(str, indices.shape)) or 'no axes'}"
    flat = indices.values
    if flat is None or not count:
        return ""
    if len(indices.shape) == 1:
        places, ends = [(int(index),) for index in flat], (prod(shape),)
    else:
        places, ends = [tuple(map(int, flat[at : at + rank])) for at in range(0, len(flat), rank)], shape
    for place in places:
        if not all(0 <= index < end for index, end in zip(place, ends, strict=True)):
            return f"is sparse, and has a value at {', '.join(map(str, place))} of {'×'.join(map(str, ends))}"
    ordered = all(first < second for first, second in pairwise(places))
    return "" if ordered else "is sparse, and its indices are not in ascending order"


def _scan(reading: Reading, start: int, end: int) -> _Parts:
    """Walk the fields of a TensorProto, skipping large ones."""
    read = reading.source.read
    parts = _Parts()
    dims = parts.dims
    head = read(start, min(_HEAD, end - start))
    whole = start + len(head)
    for tag, begin, stop in fields(reading.source, start, end):
        if tag == 0x08:
            short = stop - begin == 1 and stop <= whole
            dims.append(head[begin - start] if short else signed(varint(read(begin, stop - begin), 0)[0]))
        elif tag == 0x42:
            parts.name = text(head[begin - start : stop - start]) if stop <= whole else reading.text(begin, stop)
        elif tag == 0x4A:
            once(parts.raw is not None, "the raw_data of a tensor")
            parts.raw = (begin, stop - begin)
        elif tag in _SETTINGS:
            _note(parts, tag, head[begin - start : stop - start] if stop <= whole else read(begin, stop - begin))
        elif tag >> 3 in _TYPED:
            parts.payloads.setdefault(tag >> 3, []).append((begin, stop))
        elif tag == 0x0A:
            dims.extend(map(signed, varints(read(begin, stop - begin))))
    return parts


def _note(parts: _Parts, tag: int, data: bytes) -> None:
    """Store the tensor's type, or the location of its data, from a field."""
    if tag == 0x6A:
        key, value = _external_entry(data)
        once(key in parts.entries, f"the {key} of external data")
        parts.entries[key] = value
    elif tag == 0x70:
        once(parts.is_external is not None, "the place of a tensor's data")
        parts.is_external = _is_external(varint(data, 0)[0])
    else:
        once(bool(parts.code), "the type of a tensor")
        parts.code = int32(varint(data, 0)[0])


def _is_external(code: int) -> bool:
    """Return whether a TensorProto.DataLocation is EXTERNAL.

    Raises:
        WireError: It is neither that nor DEFAULT. Protobuf ignores unknown values of an enumeration, so an
            earlier value would count.
    """
    if code not in (0, 1):
        raise WireError("the place of a tensor's data is neither DEFAULT nor EXTERNAL")
    return code == 1


def _external_entry(data: bytes) -> tuple[str, str]:
    """Decode an entry of external_data.

    Raises:
        WireError: It is not valid UTF-8, which other readers may decode differently.
    """
    key, value = entry(data)
    if "\\x" in key + value and not _is_text(data):
        raise WireError("an entry of external data is not text")
    return key, value


def _is_text(data: bytes) -> bool:
    try:
        for _, value in members(data):
            value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _raw(reading: Reading, name: str, shape: tuple[int, ...], dtype: str, place: tuple[int, int]) -> TensorRecord:
    offset, length = place
    elements = prod(shape)
    needed = storage_bytes(dtype, elements)
    if needed is not None and needed != length:
        raise reading.error(mismatch(name, shape, length))
    values = None
    if elements <= SMALL and needed is not None:
        values = datatypes.decode_raw(dtype, reading.source.read(offset, length), elements)
    storage = RawStorage(reading.source, offset, length, name, shape, dtype)
    return TensorRecord(name, shape, dtype, storage, values)


def _typed(
    reading: Reading, parts: _Parts, shape: tuple[int, ...], dtype: str, message: tuple[int, int]
) -> TensorRecord:
    name, (start, end) = parts.name, message
    ranges = parts.payloads.get(datatypes.typed_field(dtype), [])
    elements = prod(shape)
    held = sum(stop - begin for begin, stop in ranges)
    entries = datatypes.typed_entry_count(dtype, elements)
    entry_bytes = {datatypes.FLOAT_DATA: 4, datatypes.DOUBLE_DATA: 8}.get(datatypes.typed_field(dtype))
    if dtype == "string":
        if len(ranges) != elements:
            raise reading.error(mismatch(name, shape, len(ranges), "values"))
    elif (held != entries * entry_bytes) if entry_bytes else (held < entries):
        raise reading.error(mismatch(name, shape, held))
    values = None
    if elements <= SMALL and held <= 10 * SMALL:
        data = b"".join(reading.source.read(begin, stop - begin) for begin, stop in ranges)
        try:
            values = datatypes.decode_typed(dtype, data, elements)
        except ValueError as error:
            raise reading.error(f"tensor {name!r} claims {elements} elements but holds {error}") from error
    storage = TypedStorage(reading.source, start, end - start, held, name, shape, dtype)
    return TensorRecord(name, shape, dtype, storage, values)


def _external(reading: Reading, parts: _Parts, shape: tuple[int, ...], dtype: str) -> RawStorage | None:
    location, checksum = parts.entries.get("location", ""), parts.entries.get("checksum")
    if checksum:
        reading.checksums.setdefault(location, (checksum, None))
    if reading.folder is None:
        return None
    needed = storage_bytes(dtype, prod(shape))
    source = reading.folder.file(location, parts.name)
    if checksum:
        reading.checksums[location] = (checksum, source)
    try:
        offset, length = external.span(parts.entries, parts.name, needed, source.size)
    except ModelError as error:
        raise reading.error(error.cause) from None
    return RawStorage(source, offset, length, parts.name, shape, dtype, "external_data")
