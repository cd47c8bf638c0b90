"""SavedModel -> tf2onnx -> the ONNX frontend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cnnlint.frontends.onnx.raise_graph import raise_model
from cnnlint.frontends.onnx.skeleton import read_bytes

if TYPE_CHECKING:
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape


def load(path: str, *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read the SavedModel in the folder `path`, or the folder of the `saved_model.pb` that `path` names.

    Raises:
        MissingExtraError: TensorFlow or tf2onnx is not installed.
        ModelError: It is no SavedModel.
        ConversionError: tf2onnx cannot convert it.
    """
    graph = raise_model(read_bytes(as_onnx(path)), inputs)
    size = sum(file.stat().st_size for file in Path(folder_of(path)).rglob("*") if file.is_file())
    return replace(graph, source=replace(graph.source, path=path, format="savedmodel", file_bytes=size))


@lru_cache(maxsize=1)
def as_onnx(path: str) -> bytes:
    """Return the serialized ONNX model that a SavedModel becomes; the last one is kept for the run time checks."""
    from cnnlint.convert import savedmodel_to_onnx

    return savedmodel_to_onnx(folder_of(path)).SerializeToString()


def folder_of(path: str) -> str:
    """Return the folder of a SavedModel, which may be named by its `saved_model.pb`."""
    return os.path.dirname(path) or "." if path.endswith("saved_model.pb") else path
