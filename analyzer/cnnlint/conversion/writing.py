"""Write an ONNX model atomically: readers of the path see the old file or the new one, never a part."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import ConfigError, ConversionError

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31 - 1
"""Most bytes of a protobuf message; weights of a larger model go into a separate file."""


class Replacement(Struct, frozen=True):
    """A new file, and the one that it is to replace.

    Attributes:
        fresh: Where to write; weights beyond the limit of protobuf go to the same name plus `.data`.
        path: The file that `publish` replaces.
    """

    fresh: str
    path: str

    def publish(self) -> None:
        """Replace the old file by the new one.

        Raises:
            ConversionError: The folder does not allow it.
        """
        try:
            if os.path.exists(f"{self.fresh}.data"):
                os.replace(f"{self.fresh}.data", f"{self.path}.data")
            os.replace(self.fresh, self.path)
        except OSError as error:
            raise ConversionError(f"cannot be written: {error.strerror}", path=self.path) from error


def check_output(output: str, model: str) -> None:
    """Check that the file to be made from `model` can be written.

    Raises:
        ConfigError: The output is a folder or the model itself, or its folder does not exist.
    """
    path = Path(output)
    if os.path.isdir(path):
        raise ConfigError("the output is a folder", path=output, remedy="name the file: -o FOLDER/model.onnx")
    if os.path.exists(path) and os.path.exists(model) and path.samefile(model):
        raise ConfigError("the output is the model itself", path=output, remedy="write to another file, then move it")
    if not os.path.isdir(path.absolute().parent):
        raise ConfigError("the output's folder does not exist", path=output)


@contextmanager
def replacing(path: str) -> Generator[Replacement]:
    """Yield a place next to `path` for its new content, which is deleted at the end unless published.

    Raises:
        ConversionError: The folder cannot be written to.
    """
    path = os.path.realpath(path)  # replaces the target of a symbolic link, not the link
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
    """Write `model` to the new file `path`, and weights beyond the limit of protobuf to `path`.data.

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
