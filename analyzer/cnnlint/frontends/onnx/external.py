"""External data: the files with a model's larger tensors, which must be in its own folder."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Protocol

from cnnlint.errors import ModelError
from cnnlint.frontends.sources import LocalFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cnnlint.frontends.sources import ByteSource


class DataFolder(Protocol):
    """The location of a model's external data."""

    def file(self, location: str, tensor: str) -> ByteSource:
        """Return the data file at `location`, as the model gives it for `tensor`.

        Raises:
            ModelError: It does not exist, or is outside of the model's folder.
        """
        ...

    def files(self) -> Iterable[ByteSource]:
        """Return the files that were requested, each once."""
        ...


class LocalFolder:
    """The folder of a local model file; each data file is checked once, and opened only to read values."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._files: dict[str, LocalFile] = {}

    def files(self) -> Iterable[LocalFile]:
        """Return the files that were requested, each once."""
        return {file.path: file for file in self._files.values()}.values()

    def file(self, location: str, tensor: str) -> LocalFile:
        """Return the data file at `location`.

        A symbolic link may only point to the folder of the model's own resolved path, as in the Hugging Face cache.

        Raises:
            ModelError: It does not exist, or is outside of the model's folder.
        """
        known = self._files.get(location)
        if known is not None:
            return known
        if not location:
            raise ModelError(f"tensor {tensor!r} has external data without a file name", path=self._model)
        if leaves(location):
            raise self._outside(location, tensor)
        path = os.path.join(os.path.dirname(self._model), os.path.normpath(location))
        real = os.path.realpath(path)
        roots = {os.path.dirname(os.path.realpath(self._model)), os.path.realpath(os.path.dirname(self._model))}
        if not any(os.path.commonpath((root, real)) == root for root in roots):
            raise self._outside(location, tensor)
        try:
            status = os.stat(real)
        except FileNotFoundError:
            raise ModelError(
                f"the external data file {location!r}, which holds tensor {tensor!r}, is missing",
                path=self._model,
                remedy=f"put it at {path}",
            ) from None
        except OSError as error:
            raise ModelError(
                f"the external data file {location!r} of tensor {tensor!r} cannot be opened: {error.strerror}",
                path=self._model,
            ) from error
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(
                f"the external data {location!r} of tensor {tensor!r} is not a regular file", path=self._model
            )
        file = self._files[location] = LocalFile(path, status.st_size, opened=real)
        return file

    def _outside(self, location: str, tensor: str) -> ModelError:
        return ModelError(
            f"tensor {tensor!r} refers to external data outside the model's folder: {location!r}",
            path=self._model,
            remedy="cnnlint reads only files next to the model",
        )


def span(entries: dict[str, str], tensor: str, needed: int | None, size: int) -> tuple[int, int]:
    """Return offset and length of a tensor in its external data file of `size` bytes.

    Args:
        entries: The tensor's `external_data`.
        tensor: Its name, for messages.
        needed: Its size by dims and type; None if unknown.
        size: The size of the file.

    Raises:
        ModelError: The range is malformed, outside the file, or not as long as needed.
    """
    location = entries.get("location", "")
    offset = _number(entries, "offset", tensor) or 0
    length = _number(entries, "length", tensor)
    if length is None:
        length = max(size - offset, 0) if needed is None else needed
    if offset + length > size:
        raise ModelError(
            f"tensor {tensor!r} is at bytes {offset:,} to {offset + length:,} of {location!r}, "
            f"which has {size:,}: the file is truncated or belongs to another model"
        )
    if needed is not None and needed != length:
        raise ModelError(f"tensor {tensor!r} needs {needed:,} bytes by its dims, but its external data has {length:,}")
    return offset, length


def _number(entries: dict[str, str], key: str, tensor: str) -> int | None:
    text = entries.get(key, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ModelError(f"tensor {tensor!r} has the external data {key} {text[:40]!r}, which is not a byte count")
    return int(text)


def leaves(location: str) -> bool:
    """Return whether `location` may be outside of the folder, on any operating system."""
    parts = location.replace("\\", "/").split("/")
    return (
        not location
        or "\0" in location
        or parts[0] == ""
        or ".." in parts
        or parts[0] == "*"  # onnxruntime interprets "*/_ORT_MEM_ADDR_/*" as an address in its own memory
        or (len(parts[0]) > 1 and parts[0][1] == ":")
    )
