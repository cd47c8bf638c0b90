"""A place at a URL that can be asked, each question within a time; the only module that imports fsspec."""

# fsspec, s3fs and aiohttp have no types, and none of them need be installed.
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from cnnlint.errors import ConfigError, ModelError
from cnnlint.frontends.remote.address import DOWNLOAD, NO_RANGES, failure, missing_package, protocols, shown

Answer = TypeVar("Answer")

TIMEOUT = 30.0
"""Seconds that one request may take."""

VARIABLE = "CNNLINT_REMOTE_TIMEOUT"
"""The environment variable that sets another number of seconds."""


def timeout() -> float:
    """Return the seconds that one request may take.

    Raises:
        ConfigError: The environment variable is no positive number.
    """
    written = os.environ.get(VARIABLE, "")
    if not written:
        return TIMEOUT
    try:
        seconds = float(written)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise ConfigError(f"{VARIABLE}={written} is not a number of seconds", remedy=f"write {VARIABLE}=60")
    return seconds


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Return what `call` returns.

    File systems retry on their own, each in its own way and some for minutes. The thread is a daemon, so that one
    that still waits for an answer does not keep the program from ending.

    Raises:
        TimeoutError: It takes more than `seconds`.
    """
    answers = list[Answer]()
    failures = list[BaseException]()

    def run() -> None:
        try:
            answers.append(call())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not answers:
        raise TimeoutError
    return answers[0]


RANGE = re.compile(r"bytes=(\d+)-(\d+)")

OK = 200
"""The status of an answer that is the whole file."""


@cache
def bounded_response() -> type[Any]:
    """Return the class of responses that aiohttp makes for us.

    The libraries above read an answer to its end, which a server need not come to, and aiohttp unpacks a compressed
    one, of which a range is no range of the file.
    """
    from aiohttp import ClientResponse

    class BoundedResponse(ClientResponse):
        async def start(self, connection: Any) -> Any:
            await super().start(connection)
            packed = self.headers.get("Content-Encoding", "identity")
            if self.method != "HEAD" and self.ok and packed.lower() not in ("identity", ""):
                raise ModelError(
                    f"the server compresses its answer ({packed}), which it was asked not to do", remedy=DOWNLOAD
                )
            return self

        async def read(self) -> bytes:
            asked = RANGE.fullmatch(self.request_info.headers.get("Range", ""))
            if asked is None:
                return await super().read()
            most = int(asked[2]) - int(asked[1]) + 1
            data = bytearray()
            while piece := await self.content.readany():
                data += piece
                if len(data) > most:
                    self.close()
                    if self.status == OK:
                        raise ModelError(NO_RANGES, remedy=DOWNLOAD)
                    raise ModelError(f"the server sends more than the {most:,} bytes that were asked for")
            return bytes(data)

    return BoundedResponse


WEB = ("http", "https")


class RemotePlace:
    """A file of a file system of fsspec, each question to which has an end.

    Args:
        url: As the user wrote it.

    Attributes:
        shown: The URL as it may be printed.
        is_web: Whether it is spoken to in HTTP itself.

    Raises:
        ModelError: There is no such protocol, or the file system cannot be set up.
        MissingExtraError: The protocol needs a package that is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.shown = shown(url)
        self.is_web = protocols(url)[0] in WEB
        self._seconds = timeout()
        self._system, self._name = self.guarded(lambda: _file_system(url, self._seconds))

    def open(self, **options: Any) -> Any:
        """Return the file, opened for reading.

        Raises:
            ModelError: The server does not answer, refuses, or has no such file.
        """
        return self.guarded(lambda: self._system.open(self._name, "rb", **options))

    def size(self) -> int | None:
        """Return what the server says of the file's size; None if it does not say.

        Raises:
            ModelError: The server does not answer, refuses, or has no such file.
        """
        return self.guarded(lambda: self._system.info(self._name)).get("size")

    def parts(self, spans: list[tuple[int, int]]) -> list[bytes]:
        """Return what lies at each (offset, length), fetched side by side where the file system can.

        Raises:
            ModelError: The server does not answer, refuses, or sends less.
        """
        starts = [offset for offset, _ in spans]
        ends = [offset + length for offset, length in spans]
        names = [self._name] * len(spans)
        found = self.guarded(lambda: self._system.cat_ranges(names, starts, ends, on_error="raise"))
        return [self.whole(part, length) for part, (_, length) in zip(found, spans, strict=True)]

    def whole(self, data: bytes, length: int) -> bytes:
        """Return `data`, the answer to a request for `length` bytes.

        Raises:
            ModelError: It is shorter or longer.
        """
        if len(data) != length:
            raise ModelError(
                f"the server sent {len(data):,} bytes where {length:,} were asked for",
                path=self.shown,
                remedy="try again; perhaps the file has changed",
            )
        return data

    def is_saved_model(self) -> bool:
        """Return whether it is the folder of a SavedModel, in a store that can be asked for it."""
        if self.is_web:
            return False
        try:
            return bool(self.guarded(lambda: self._system.exists(f"{self._name.rstrip('/')}/saved_model.pb")))
        except ModelError:
            return False

    def guarded(self, call: Callable[[], Answer]) -> Answer:
        """Return what `call`, a question to the server, returns.

        Raises:
            ModelError: It fails, or takes longer than a request may.
        """
        try:
            return within(self._seconds, call)
        except Exception as error:
            raised = failure(error, self.url, self._seconds)
            raised.path = raised.path or self.shown
            raise raised from error


def _file_system(url: str, seconds: float) -> tuple[Any, str]:
    """Return the file system of a URL, and what it calls the file."""
    try:
        from fsspec import get_filesystem_class
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise missing_package(error, url) from error
    for protocol in protocols(url):
        try:
            get_filesystem_class(protocol)
        except ValueError as error:
            raise ModelError(
                f"the protocol {protocol}:// is not known", path=shown(url), remedy="https, s3, hf, gs and others are"
            ) from error
    system, name = url_to_fs(url, **{name: _web_options(name, seconds) for name in protocols(url) if name in WEB})
    return system, name


def _web_options(protocol: str, seconds: float) -> dict[str, Any]:
    """Return how HTTP is spoken: with the user's own settings of fsspec, proxies and .netrc, and no compression."""
    from aiohttp import ClientTimeout
    from fsspec.config import conf

    chosen: dict[str, Any] = conf.get(protocol, {})
    limit = ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
    return {
        "headers": {"Accept-Encoding": "identity", **chosen.get("headers", {})},
        "client_kwargs": {
            "trust_env": True,
            "timeout": limit,
            "response_class": bounded_response(),
            "auto_decompress": False,
            **chosen.get("client_kwargs", {}),
        },
    }
