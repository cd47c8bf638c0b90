"""Models over URLs: the same readers over byte ranges, and what lies between is never sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape


def load(url: str, *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read the model at `url` as far as its graph goes.

    Args:
        url: Of an `.onnx`, `.keras` or `.h5` file: https://, s3://, hf:// or any other protocol of fsspec.
        inputs: Shapes by input name that replace what the file declares, in the file's order of axes.

    Raises:
        UnsupportedModelError: It is a SavedModel, which is a folder, or holds no model.
        ModelError: The server does not answer, refuses, or cannot send ranges; or the file is no model.
        MissingExtraError: The protocol needs a package that is not installed.
    """
    from cnnlint.frontends.remote.reader import read

    return read(url, inputs)
