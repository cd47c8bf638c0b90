"""Read the skeleton of an ONNX file: all records, but only the locations of weights.

The protobuf wire format is parsed in plain Python without a protobuf library, and the payloads of tensors are skipped.
So the cost grows with the nodes of the graph and not with the size of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint.errors import ModelError, UnsupportedModelError
from cnnlint.frontends.onnx.external import LocalFolder
from cnnlint.frontends.onnx.nodes import function, graph, opset
from cnnlint.frontends.onnx.records import ModelRecord
from cnnlint.frontends.onnx.tensors import Reading
from cnnlint.frontends.onnx.wire import TruncatedError, WireError, entry, fields, signed, varint
from cnnlint.frontends.sources import Memory, local_file

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.external import DataFolder
    from cnnlint.frontends.onnx.records import FunctionRecord, GraphRecord
    from cnnlint.frontends.sources import ByteSource

_GRAPH = 0x3A


def read(path: str) -> ModelRecord:
    """Read the skeleton of the ONNX file at `path`.

    External data files must exist, but are not opened.

    Raises:
        UnsupportedModelError: The file is a Git LFS pointer.
        ModelError: It is not a valid ONNX model, or its external data is missing or outside its folder.
    """
    return read_source(local_file(path), LocalFolder(path), path)


def read_bytes(data: bytes | memoryview, path: str = "") -> ModelRecord:
    """Read the skeleton of a model in memory; its weights are read from `data` on demand.

    Args:
        data: A serialized ModelProto.
        path: A file in the folder of its external data; without it, such weights have no storage.

    Raises:
        ModelError: It is not a valid ONNX model, or its external data is missing or outside its folder.
    """
    try:
        return read_source(Memory(data), LocalFolder(path) if path else None, path)
    except ModelError as error:
        if path and error.path is None:
            error.path = path
        raise


def read_source(source: ByteSource, folder: DataFolder | None, path: str) -> ModelRecord:
    """Read the skeleton of the model in `source`, with external data in `folder`.

    Raises:
        UnsupportedModelError: The source is a Git LFS pointer.
        ModelError: It is not a valid ONNX model, or its external data is missing or outside its folder.
    """
    if source.size == 0:
        raise ModelError("the file is empty", path=path or None)
    reading = Reading(source, folder)
    begun: list[int] = []
    try:
        return _model(reading, path, begun)
    except (WireError, IndexError) as error:
        raise _unreadable(source, path, begun, error) from error


def _model(reading: Reading, path: str, begun: list[int]) -> ModelRecord:
    """Read the ModelProto; tags are appended to `begun`, for error messages."""
    source = reading.source
    ir_version = 0
    producer = producer_version = ""
    main: GraphRecord | None = None
    functions: dict[tuple[str, str, str], FunctionRecord] = {}
    imports: list[tuple[str, int]] = []
    entries: list[tuple[str, str]] = []
    defined: list[tuple[str, str, str]] = []
    for tag, begin, stop in fields(source, 0, source.size):
        begun.append(tag)
        if tag == _GRAPH:
            if main is not None:
                raise reading.error("holds two graphs")
            main = graph(reading, begin, stop)
        elif tag == 0x08:
            ir_version = signed(varint(source.read(begin, stop - begin), 0)[0])
        elif tag == 0x12:
            producer = reading.text(begin, stop)
        elif tag == 0x1A:
            producer_version = reading.text(begin, stop)
        elif tag == 0x42:
            imports.append(opset(source.read(begin, stop - begin)))
        elif tag == 0x72:
            entries.append(entry(source.read(begin, stop - begin)))
        elif tag == 0xCA:
            record = function(reading, begin, stop)
            functions[record.domain, record.name, record.overload] = record
            defined.append((record.domain, record.name, record.overload))
    if main is None:
        raise WireError("it holds no graph")
    opsets = dict(imports)
    if not opsets and ir_version >= 3:
        raise reading.error("names no opset version, without which operators have no meaning; is it truncated?")
    data = list(reading.folder.files()) if reading.folder else []
    return ModelRecord(
        path,
        producer,
        producer_version,
        opsets,
        main,
        functions,
        dict(entries),
        source.size + sum(file.size for file in data),
        source,
        ir_version,
        tuple(imports),
        tuple(entries),
        tuple(defined),
        tuple(reading.faults),
        reading.checksums,
    )


def _unreadable(source: ByteSource, path: str, begun: list[int], error: Exception) -> ModelError:
    """Return the error for bytes that are not a ModelProto."""
    where = path or None
    known = diagnose(source.read(0, LOOK), where)
    if known is not None:
        return known
    if _GRAPH in begun:
        reason = str(error) if isinstance(error, WireError) else "it ends in the middle of a field"
        return ModelError(f"is a damaged ONNX model: {reason}", path=where)
    if begun[:1] == [0x08] and isinstance(error, TruncatedError) and (len(begun) > 1 or error.tag == _GRAPH):
        return ModelError(f"is a truncated ONNX model: {error}", path=where)
    return ModelError("is not an ONNX model", path=where)


LOOK = 4096
"""Bytes at the start of a file that are enough to recognize it."""

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, perhaps a Keras .h5 model"),
    (0, b"\x1f\x8b", "compressed with gzip"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (0, b"\xfd7zXZ", "compressed with xz"),
    (0, b"GGUF", "a GGUF model"),
    (0, b"\x80\x02", "a pickle, perhaps an old PyTorch checkpoint"),
    (0, b"\x93NUMPY", "a NumPy array"),
    (4, b"TFL3", "a TensorFlow Lite model"),
    (4, b"ORTM", "a model in onnxruntime's own ORT format"),
)


def diagnose(head: bytes, path: str | None) -> ModelError | None:
    """Return an error if a file that starts with `head` is recognized as another format."""
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return UnsupportedModelError(
            "is a Git LFS pointer: the model itself was not downloaded", path=path, remedy="git lfs pull"
        )
    kind = _kind(head)
    return None if kind is None else ModelError(f"is not an ONNX model but {kind}", path=path)


def _kind(head: bytes) -> str | None:
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind
    if head.startswith(b"PK\x03\x04"):
        if b"data.pkl" in head or b"/byteorder" in head:
            return "a PyTorch checkpoint (a zip archive)"
        if b"metadata.json" in head or b"config.json" in head:
            return "a zip archive, perhaps a Keras .keras model"
        return "a zip archive"
    start = head.lstrip()[:200]
    if start[:1] == b"<":
        if b"ir_version" in start:
            return "ONNX in its text form; onnx.parser and onnx.save make a binary of it"
        return "an HTML or XML page, as a failed download leaves it"
    if start.startswith((b"ir_version:", b"producer_name:", b"graph {")):
        return "ONNX as protobuf text"
    if start.startswith((b"{", b"[")):
        return "JSON text"
    if head.startswith(b"\x08\x01\x12"):  # saved_model_schema_version and meta_graphs
        return "perhaps the saved_model.pb of a TensorFlow SavedModel"
    if head.startswith(b"\x0a") and (b"\x12\x0bPlaceholder" in head or b"\x12\x05Const" in head):
        return "a frozen TensorFlow graph"
    return None
