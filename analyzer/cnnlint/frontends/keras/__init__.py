"""Keras: archive (`.keras`, `.h5`) -> graph, without TensorFlow and without running any code of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnlint.frontends.sources import ByteSource
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")


def load(path: str, *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read a Keras model: a `.keras` archive, a legacy `.h5` file, or a folder with a `config.json`.

    Args:
        path: Of the file, whatever its name ends in.
        inputs: Shapes by input name, in Keras' order of axes, that replace what the file declares.

    Raises:
        UnsupportedModelError: The file holds no model: weights only, a Git LFS pointer.
        ModelError: The file cannot be read as a Keras model.
    """
    from cnnlint.frontends.keras.archive import read_archive
    from cnnlint.frontends.keras.raise_graph import raise_archive

    return raise_archive(read_archive(path), inputs)


def load_source(source: ByteSource, path: str, *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read a Keras model, a `.keras` archive or a legacy `.h5` file, that is no local file.

    Args:
        source: Its bytes.
        path: What messages and reports call it.
        inputs: Shapes by input name, in Keras' order of axes, that replace what the file declares.

    Raises:
        UnsupportedModelError: The file holds no model: weights only, a Git LFS pointer.
        ModelError: The file cannot be read as a Keras model.
    """
    from cnnlint.frontends.keras.archive import read_archive_from
    from cnnlint.frontends.keras.raise_graph import raise_archive

    return raise_archive(read_archive_from(source, path), inputs)
