"""Writing an ONNX model in one step: whoever reads the path sees the old file or the new one, never a part."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import ConversionError

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31 - 1
"""Bytes that a protobuf message may have; weights of a larger model go into a file beside it."""


class Replacement(Struct, frozen=True):
    """A file that is being written, and the one that it is to replace.

    Attributes:
        fresh: Where to write; more than protobuf holds goes to the same name with `.data`.
        path: What `publish` replaces.
    """

    fresh: str
    path: str

    def publish(self) -> None:
        """Put the fresh file in the place of the old one.

        Raises:
            ConversionError: The folder does not allow it.
        """
        try:
            if os.path.exists(f"{self.fresh}.data"):
                os.replace(f"{self.fresh}.data", f"{self.path}.data")
            os.replace(self.fresh, self.path)
        except OSError as error:
            raise ConversionError(f"cannot be written: {error.strerror}", path=self.path) from error


@contextmanager
def replacing(path: str) -> Generator[Replacement]:
    """Yield a place beside `path` to write its new content to; what is not published is deleted at the end.

    Raises:
        ConversionError: The folder cannot be written to.
    """
    path = os.path.realpath(path)  # what a symbolic link points to is replaced, and not the link
    folder, name = os.path.split(path)
    try:
        scratch = tempfile.mkdtemp(prefix=".cnnlint-", dir=folder)
    except OSError as error:
        raise ConversionError(f"cannot be written: {error.strerror}", path=path) from error
    try:
        yield Replacement(os.path.join(scratch, name), path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def save(model: onnx.ModelProto, path: str) -> None:
    """Write `model` to the new file `path`, and to `path`.data what protobuf does not hold.

    Raises:
        OSError: The file cannot be written.
    """
    import onnx

    if model.ByteSize() > LARGEST:
        onnx.save_model(  # pyright: ignore[reportUnknownMemberType] - its path is any PathLike
            model, path, save_as_external_data=True, location=f"{os.path.basename(path)}.data", convert_attribute=False
        )
    else:
        with open(path, "wb") as file:
            file.write(model.SerializeToString())
