"""A whole remote model in a temporary folder, for what takes more than its graph."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager

from cnnlint.errors import ModelError
from cnnlint.frontends import KERAS_SUFFIXES
from cnnlint.frontends.remote.address import name_of, shown, sibling
from cnnlint.frontends.remote.place import Place
from cnnlint.limits import MAX_UNANNOUNCED

CHUNK = 1 << 21
"""Bytes of a download that must come within the time of one request."""


@contextmanager
def downloaded(url: str) -> Generator[str]:
    """Download a model and its external data, and yield the path of the copy, which is removed afterwards.

    Raises:
        ModelError: The server fails, the model is not one, or the disk is full.
        MissingExtraError: The protocol needs a package that is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="cnnlint-", ignore_cleanup_errors=True) as folder:
        path = os.path.join(folder, os.path.basename(name_of(url)) or "model.onnx")
        _copy(url, path)
        for location in _external_data(url, path):
            target = os.path.join(folder, os.path.normpath(location))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _copy(sibling(url, location), target)
        yield path


def _copy(url: str, path: str) -> None:
    """Copy the file at `url` to the new file `path`; over HTTP this takes no ranges."""
    place = Place(url)
    expected = place.size()
    remote = place.open(**({"block_size": 0} if place.is_web else {"cache_type": "none"}))
    most = MAX_UNANNOUNCED if expected is None else expected
    said = f"{most:,} bytes, and had announced {'none' if expected is None else 'as many'}"
    received = 0
    try:
        with open(path, "xb") as file:
            while chunk := place.guarded(lambda: remote.read(CHUNK)):
                received += file.write(chunk)
                if received > most:
                    raise ModelError(f"the server sends more than {said}", path=place.shown)
    except OSError as error:
        raise ModelError(f"cannot be downloaded: {error.strerror}", path=place.shown) from error
    finally:
        remote.close()
    if expected is not None and received != expected:
        raise ModelError(
            f"the download ended after {received:,} of {expected:,} bytes", path=place.shown, remedy="try again"
        )


def _external_data(url: str, path: str) -> tuple[str, ...]:
    if path.lower().endswith(KERAS_SUFFIXES):
        return ()
    from cnnlint.frontends.onnx.skeleton import read_source
    from cnnlint.frontends.remote.remote_file import RemoteFolder
    from cnnlint.frontends.sources import local_file

    folder = RemoteFolder(url)
    try:
        read_source(local_file(path), folder, path)
    except ModelError as error:
        if error.path in {None, path}:
            error.path = shown(url)
        raise
    return folder.locations
