"""A file at a URL that is read by ranges, its external data, and downloads to a temporary folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

from cnnlint.errors import ConfigError, ModelError, UnreachableError
from cnnlint.frontends.keras import KERAS_SUFFIXES
from cnnlint.frontends.onnx.external import leaves
from cnnlint.frontends.remote.address import DOWNLOAD, NO_RANGES, name_of, saved_model, shown, sibling
from cnnlint.frontends.remote.place import RemotePlace
from cnnlint.frontends.remote.ranges import Ranges
from cnnlint.graph.quantity import size
from cnnlint.limits import MAX_UNANNOUNCED
from cnnlint.worker import steps

WHATEVER = 1 << 16
"""Block size for fsspec, which requires one even without a cache."""

AT_ONCE = 32
"""Most concurrent requests: browsers open six connections, and storage services accept hundreds."""

CONNECTIONS = "CNNLINT_REMOTE_CONNECTIONS"
"""The environment variable for another number of them."""


def at_once() -> int:
    """Return the most concurrent requests for one model.

    Raises:
        ConfigError: The environment variable is not a positive number.
    """
    written = os.environ.get(CONNECTIONS, str(AT_ONCE))
    if not (written.isascii() and written.isdecimal() and 0 < int(written) < 10_000):
        raise ConfigError(f"{CONNECTIONS}={written} is not a number of requests", remedy=f"write {CONNECTIONS}=8")
    return int(written)


class RemoteFile:
    """A file that is read by ranges.

    Args:
        url: As the user wrote it.

    Attributes:
        size: Its bytes.

    Raises:
        UnsupportedModelError: It is a SavedModel.
        ModelError: The server does not answer, refuses, has no such file, or cannot send ranges.
        MissingExtraError: The protocol needs a package that is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._place = RemotePlace(url)
        self._file: Any = self._opened() if self._place.listed is None else None
        self.size = self._measured() if self._place.listed is None else self._place.listed
        self._sends_parts = False
        if not self.size and self._place.is_saved_model():  # s3fs opens a folder as an empty file
            raise saved_model(url)

    def fetch(self, offset: int, length: int) -> bytes:
        """Return exactly `length` bytes from `offset`.

        Raises:
            ModelError: The server fails, sends less, or sends the whole file instead.
        """
        steps.tell("reading it over the network")

        def ask() -> bytes:
            self._file.seek(offset)
            return self._place.whole(self._file.read(length), length)

        data = self._place.parts([(offset, length)])[0] if self._file is None else self._place.guarded(ask)
        self._sends_parts = self._sends_parts or offset > 0
        return data

    def fetch_all(self, spans: list[tuple[int, int]]) -> list[bytes]:
        """Return the bytes at each (offset, length), fetched concurrently if the file system can.

        Raises:
            ModelError: As for `fetch`.
        """
        steps.tell("reading it over the network")
        # The first request checks that the server sends parts; otherwise it would send the whole file for each.
        tried = 0 if self._sends_parts else min(len(spans), 1)
        blocks = [self.fetch(*span) for span in spans[:tried]]
        most = at_once()
        for first in range(tried, len(spans), most):
            blocks += self._place.parts(spans[first : first + most])
        return blocks

    def _opened(self) -> Any:
        try:
            return self._place.open(block_size=WHATEVER, cache_type="none")
        except ModelError as error:
            if self._place.is_saved_model():
                raise saved_model(self.url) from error
            raise

    def _measured(self) -> int:
        try:
            return self._file.seek(0, os.SEEK_END)
        except (ValueError, OSError, NotImplementedError) as error:  # without ranges, it is a stream of the whole file
            self._file.close()
            if self._place.size() == 0:
                raise ModelError("the file is empty", path=self._place.shown) from None
            raise ModelError(NO_RANGES, path=self._place.shown, remedy=DOWNLOAD) from error


class RemoteFolder:
    """The folder of a model at a URL; the size of each data file is requested once.

    Args:
        url: URL of the model.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._files = dict[str, Ranges]()

    @property
    def locations(self) -> tuple[str, ...]:
        """The locations of the data files that were requested."""
        return tuple(self._files)

    def files(self) -> Iterable[Ranges]:
        """Return the files that were requested, each once."""
        return self._files.values()

    def file(self, location: str, tensor: str) -> Ranges:
        """Return the data file at `location`.

        Raises:
            ModelError: It does not exist, is outside of the model's folder, or the server fails.
        """
        known = self._files.get(location)
        if known is not None:
            return known
        if leaves(location) or "::" in location:  # fsspec would follow a second URL
            raise ModelError(
                f"tensor {tensor!r} refers to external data outside the model's folder: {location!r}",
                path=shown(self._url),
                remedy="cnnlint reads only files next to the model",
            )
        try:
            remote = RemoteFile(sibling(self._url, location))
        except ModelError as error:
            kind = UnreachableError if isinstance(error, UnreachableError) else ModelError
            raise kind(
                f"the external data file {location!r}, which holds tensor {tensor!r}, cannot be fetched: {error}",
                path=shown(self._url),
            ) from error
        file = self._files[location] = Ranges(remote.fetch, remote.size)
        return file


CHUNK = 1 << 21
"""Bytes of a download per request and time limit."""


@contextmanager
def downloaded(url: str) -> Generator[str]:
    """Download a model and its external data, and yield the path of the copy, which is deleted afterward.

    Raises:
        ModelError: The server fails, the file is not a model, or the disk is full.
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
    """Copy the file at `url` to the new file `path`, over HTTP without range requests."""
    place = RemotePlace(url)
    expected = place.size()
    remote = place.open(**({"block_size": 0} if place.is_web else {"cache_type": "none"}))
    most = MAX_UNANNOUNCED if expected is None else expected
    limit = f"{most:,} bytes" if expected is None else f"the {most:,} bytes that it announced"
    received = 0
    try:
        with open(path, "xb") as file:
            while chunk := place.guarded(lambda: remote.read(CHUNK)):
                received += file.write(chunk)
                steps.tell(f"downloading it, {size(received)}{f' of {size(expected)}' if expected else ''}")
                if received > most:
                    raise ModelError(f"the server sends more than {limit}", path=place.shown)
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
