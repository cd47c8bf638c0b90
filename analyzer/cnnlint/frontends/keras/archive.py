"""Reading a Keras file as an archive, whatever its name: a zip, an HDF5 file, or a folder."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from cnnlint.errors import ModelError, UnsupportedModelError
from cnnlint.frontends.keras import hdf5, keras_archive, legacy_h5
from cnnlint.frontends.keras.records import ArchiveRecord

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.source import ByteSource

LOOK = 512
"""Bytes from the start of a file that are enough to recognise it."""

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")


def read_archive(path: str) -> ArchiveRecord:
    """Read everything of a Keras model but the values of its weights.

    Raises:
        UnsupportedModelError: The file is sound but holds no model: weights only, a Git LFS pointer.
        ModelError: The file is missing, empty, damaged, or something else than a Keras model.
    """
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return keras_archive.read_folder(path)
        if not stat.S_ISREG(status.st_mode):
            raise ModelError("is not a regular file", path=path)
        with open(path, "rb") as file:
            head = file.read(LOOK)
        if head.startswith(ZIP_MAGIC):
            return keras_archive.read_zip(path)
        if head.startswith(hdf5.MAGIC):
            return legacy_h5.read_h5(path)
    except FileNotFoundError:
        raise ModelError("no such file", path=path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"cannot be read: {reason}", path=path) from error
    raise _diagnosed(head, path)


def read_archive_from(content: ByteSource, path: str) -> ArchiveRecord:
    """Read everything of a Keras model that is no local file but the values of its weights.

    Raises:
        UnsupportedModelError: The file is sound but holds no model: weights only, a Git LFS pointer.
        ModelError: The file is empty, damaged, or something else than a Keras model, or it cannot be read.
    """
    head = content.read(0, LOOK)
    if head.startswith(ZIP_MAGIC):
        return keras_archive.read_zip(path, content)
    if head.startswith(hdf5.MAGIC):
        return legacy_h5.read_h5(path, content)
    raise _diagnosed(head, path)


def _diagnosed(head: bytes, path: str) -> ModelError:
    if not head:
        return ModelError("the file is empty", path=path)
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return UnsupportedModelError(
            "is a Git LFS pointer: the model itself was not downloaded", path=path, remedy="git lfs pull"
        )
    start = head.lstrip()
    if start.startswith(b"{") and b"weight_map" in head:
        return UnsupportedModelError(
            "is the index of sharded weights, and holds no model", path=path, remedy="save the whole model"
        )
    kind = "JSON text" if start.startswith((b"{", b"[")) else "an HTML or XML page" if start[:1] == b"<" else ""
    what = f": it is {kind}" if kind else ", or its start is damaged"
    return ModelError(f"is neither a .keras archive nor an HDF5 file{what}", path=path)
