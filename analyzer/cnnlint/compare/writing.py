"""Writing an ONNX model in one step: whoever reads the path sees the old file or the new one, never a part."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from cnnlint.errors import ConversionError

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31 - 1
"""Bytes that a protobuf message may have; weights of a larger model go into a file beside it."""


def write_atomically(model: onnx.ModelProto, path: str) -> None:
    """Write `model` to `path`; more than 2 GB of weights go to `path`.data.

    Raises:
        ConversionError: The file cannot be written.
    """
    path = os.path.realpath(path)  # what a symbolic link points to is replaced, and not the link
    folder, name = os.path.split(path)
    try:
        scratch = tempfile.mkdtemp(prefix=".cnnlint-", dir=folder)
    except OSError as error:
        raise ConversionError(f"cannot be written: {error.strerror}", path=path) from error
    try:
        fresh = os.path.join(scratch, name)
        save(model, fresh)
        if os.path.exists(f"{fresh}.data"):
            os.replace(f"{fresh}.data", f"{path}.data")
        os.replace(fresh, path)
    except OSError as error:
        raise ConversionError(f"cannot be written: {error.strerror}", path=path) from error
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
