"""What a file that is no ONNX model looks like, so that the error can say it."""

from __future__ import annotations

from cnnlint.errors import ModelError, UnsupportedModelError

LOOK = 4096
"""Bytes from the start of a file that are enough to recognise it."""

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
    """Return the error for a file that starts with `head` if it is recognised as something else than ONNX."""
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
