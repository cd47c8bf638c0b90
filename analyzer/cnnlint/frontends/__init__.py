"""Readers that raise a model file to the graph."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from cnnlint.errors import boundary
from cnnlint.frontends.keras import KERAS_SUFFIXES

if TYPE_CHECKING:
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape

Format = Literal["onnx", "keras", "savedmodel", "remote", "git"]


def format_of(path: str) -> Format:
    """Return the format of the model at `path`, by its name and, for a folder, by its contents."""
    if is_remote(path):
        return "remote"
    if is_revision(path):
        return "git"
    # A folder with a config.json is an unpacked `.keras`.
    if path.lower().endswith(KERAS_SUFFIXES) or os.path.isfile(os.path.join(path, "config.json")):
        return "keras"
    # any other folder is no model, which no TensorFlow is needed to say
    held = any(os.path.isfile(os.path.join(path, f"saved_model.{ending}")) for ending in ("pb", "pbtxt"))
    return "savedmodel" if held or path.endswith("saved_model.pb") else "onnx"


def is_remote(path: str) -> bool:
    """Return whether `path` is a URL and not a local path."""
    return "://" in path


def is_revision(path: str) -> bool:
    """Return whether `path` is the address of a git revision, or of a file in one."""
    return path.startswith("git:")


def is_address(path: str) -> bool:
    """Return whether `path` is no path of this machine's file system: a URL, a git revision, a model in memory."""
    return path.startswith("<") or is_remote(path) or is_revision(path)


def place(path: str) -> str:
    """Return the path that configurations know a model by: of one in a git revision, that in the working tree."""
    if not is_revision(path):
        return path
    from cnnlint.frontends import git

    return git.parse(path).place


def shown(path: str) -> str:
    """Return a path for display: a URL without password and signature."""
    if not is_remote(path):
        return path
    from cnnlint.frontends.remote import address

    return address.shown(path)


def savedmodel_folder(path: str) -> str:
    """Return the folder of a SavedModel, which may be given by its `saved_model.pb`."""
    return os.path.dirname(path) or "." if path.endswith("saved_model.pb") else path


def load(path: str, *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read a model file or URL; a SavedModel must be converted first.

    Args:
        path: An `.onnx`, `.keras` or `.h5` file, a URL of one, or `git:REVISION:PATH`.
        inputs: Shapes by input name that replace what the file declares, in the file's order of axes.

    Raises:
        ModelError: The file cannot be read as a model.
        MissingExtraError: It is a URL, and a package to read it is not installed.
        InternalError: cnnlint failed on it.
    """
    with boundary(path):
        return _read(path, inputs)


def _read(path: str, inputs: Mapping[str, Shape] | None) -> Graph:
    match format_of(path):
        case "remote":
            from cnnlint.frontends import remote

            return remote.load(path, inputs=inputs)
        case "git":
            from cnnlint.frontends import git

            return git.load(path, inputs=inputs)
        case "keras":
            from cnnlint.frontends import keras

            return keras.load(path, inputs=inputs)
        case _:
            from cnnlint.frontends.onnx.raise_graph import raise_model
            from cnnlint.frontends.onnx.skeleton import read
            from cnnlint.graph.graph import gc_paused

            with gc_paused():
                return raise_model(read(path), inputs)


def load_onnx_bytes(data: bytes, path: str = "", *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read a serialized ONNX model in memory."""
    from cnnlint.frontends.onnx.raise_graph import raise_model
    from cnnlint.frontends.onnx.skeleton import read_bytes

    return raise_model(read_bytes(data, path), inputs)
