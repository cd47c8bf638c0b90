"""Models at URLs, read by byte ranges, so weights are not transferred."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cnnlint.frontends.remote.remote_file import RemoteFile
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape


def load(url: str, *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read the graph of the model at `url`: Keras if its name ends so, ONNX otherwise.

    Args:
        url: Of an `.onnx`, `.keras` or `.h5` file: https://, s3://, hf:// or any other protocol of fsspec.
        inputs: Shapes by input name that replace the file's, in its own layout.

    Raises:
        UnsupportedModelError: It is a SavedModel, which is a folder, or holds no model.
        ModelError: The server does not answer, refuses, or cannot send ranges; or the file is not a model.
        MissingExtraError: The protocol needs a package that is not installed.
    """
    from cnnlint.errors import ModelError
    from cnnlint.frontends.keras import KERAS_SUFFIXES
    from cnnlint.frontends.remote.address import name_of, saved_model, shown
    from cnnlint.frontends.remote.remote_file import RemoteFile

    name = name_of(url).lower()
    if name.endswith(("/", "saved_model.pb")):
        raise saved_model(url)
    remote = RemoteFile(url)
    try:
        return (_keras if name.endswith(KERAS_SUFFIXES) else _onnx)(remote, inputs)
    except ModelError as error:
        error.path = error.path or shown(url)
        raise


def _onnx(remote: RemoteFile, inputs: Mapping[str, Shape] | None) -> Graph:
    from cnnlint.frontends.onnx.raise_graph import raise_model
    from cnnlint.frontends.onnx.skeleton import read_source
    from cnnlint.frontends.remote.address import shown
    from cnnlint.frontends.remote.ranges import Ranges
    from cnnlint.frontends.remote.remote_file import RemoteFolder

    source = Ranges(remote.fetch, remote.size, fetch_all=remote.fetch_all)
    return raise_model(read_source(source, RemoteFolder(remote.url), shown(remote.url)), inputs)


def _keras(remote: RemoteFile, inputs: Mapping[str, Shape] | None) -> Graph:
    from cnnlint.frontends.keras import load_source
    from cnnlint.frontends.remote.address import shown
    from cnnlint.frontends.remote.foresight import Pointers
    from cnnlint.frontends.remote.ranges import Ranges

    source = Ranges(remote.fetch, remote.size, fetch_all=remote.fetch_all, pointers=Pointers())
    return load_source(source, shown(remote.url), inputs=inputs)
