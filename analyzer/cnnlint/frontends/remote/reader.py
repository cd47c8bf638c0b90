"""Which reader a URL is for, and what it reads through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cnnlint.errors import ModelError
from cnnlint.frontends import KERAS_SUFFIXES
from cnnlint.frontends.remote.address import name_of, shown
from cnnlint.frontends.remote.hdf5_pointers import Pointers
from cnnlint.frontends.remote.ranges import Ranges
from cnnlint.frontends.remote.remote_file import RemoteFile, saved_model

if TYPE_CHECKING:
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape


def read(url: str, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read the model at `url`: Keras by the end of its name, everything else as ONNX.

    Raises:
        ModelError: It cannot be had, or is no model.
        MissingExtraError: The protocol needs a package that is not installed.
    """
    name = name_of(url).lower()
    if name.endswith(("/", "saved_model.pb")):
        raise saved_model(url)
    remote = RemoteFile(url)
    try:
        if name.endswith(KERAS_SUFFIXES):
            return _keras(remote, inputs)
        return _onnx(remote, inputs)
    except ModelError as error:
        error.path = error.path or shown(url)
        raise


def _onnx(remote: RemoteFile, inputs: Mapping[str, Shape] | None) -> Graph:
    from cnnlint.frontends.onnx.raise_graph import raise_model
    from cnnlint.frontends.onnx.skeleton import read_source
    from cnnlint.frontends.remote.folder import RemoteFolder

    source = Ranges(remote.fetch, remote.size)
    return raise_model(read_source(source, RemoteFolder(remote.url), shown(remote.url)), inputs)


def _keras(remote: RemoteFile, inputs: Mapping[str, Shape] | None) -> Graph:
    from cnnlint.frontends.keras import load_source

    source = Ranges(remote.fetch, remote.size, fetch_all=remote.fetch_all, pointers=Pointers())
    return load_source(source, shown(remote.url), inputs=inputs)
