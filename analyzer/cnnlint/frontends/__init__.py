"""Readers that raise a model file to the graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnlint.faults import boundary

if TYPE_CHECKING:
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def load(path: str, *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read a model file, a SavedModel folder, or a model file behind a URL.

    Args:
        path: An `.onnx`, `.keras` or `.h5` file or a URL of one, or a SavedModel folder.
        inputs: Shapes by input name that replace what the file declares, in the file's order of axes.

    Raises:
        ModelError: The file cannot be read as a model.
        MissingExtraError: It is a SavedModel or a URL, and what reads it is not installed.
        InternalError: cnnlint failed on it.
    """
    with boundary(path):
        return _read(path, inputs)


def _read(path: str, inputs: Mapping[str, Shape] | None) -> Graph:
    if "://" in path:
        from cnnlint.frontends import remote

        return remote.load(path, inputs=inputs)
    from pathlib import Path

    # A folder with a config.json is an unpacked `.keras`.
    unpacked = Path(path, "config.json").is_file()
    if (Path(path).is_dir() and not unpacked) or path.endswith("saved_model.pb"):
        from cnnlint.frontends import savedmodel

        return savedmodel.load(path, inputs=inputs)
    if unpacked or path.lower().endswith(KERAS_SUFFIXES):
        from cnnlint.frontends import keras

        return keras.load(path, inputs=inputs)
    from cnnlint.collector import collector_paused
    from cnnlint.frontends.onnx.raise_graph import raise_model
    from cnnlint.frontends.onnx.skeleton import read

    with collector_paused():
        return raise_model(read(path), inputs)


def load_onnx_bytes(data: bytes, path: str = "", *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read a serialized ONNX model in memory."""
    from cnnlint.frontends.onnx.raise_graph import raise_model
    from cnnlint.frontends.onnx.skeleton import read_bytes

    return raise_model(read_bytes(data, path), inputs)
