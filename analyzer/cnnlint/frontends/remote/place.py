"""A file at a URL, with a time limit for each request; the only module that imports fsspec."""

# fsspec, s3fs and aiohttp have no types, and are optional.
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

from cnnlint.errors import ConfigError, ModelError, UnreachableError
from cnnlint.frontends.remote.address import (
    DOWNLOAD,
    NO_RANGES,
    failure,
    missing_package,
    protocols,
    saved_model,
    shown,
)

Answer = TypeVar("Answer")

TIMEOUT = 30.0
"""Time limit of one request in seconds."""

VARIABLE = "CNNLINT_REMOTE_TIMEOUT"
"""The environment variable for another limit."""


def timeout() -> float:
    """Return the time limit of one request in seconds.

    Raises:
        ConfigError: The environment variable is not a positive number.
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


RETRIES = "CNNLINT_REMOTE_RETRIES"
"""The environment variable for how often a request is made again that a server did not answer."""

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 15.0
"""Seconds before the first repetition, doubled for each further one, and their limit."""


def retries() -> int:
    """Return how often a request is made again, none unless the environment says so.

    Raises:
        ConfigError: The environment variable is not a number.
    """
    written = os.environ.get(RETRIES, "0")
    if not (written.isascii() and written.isdecimal() and len(written) < 4):
        raise ConfigError(f"{RETRIES}={written} is not a number of requests", remedy=f"write {RETRIES}=4")
    return int(written)


def patient(request: Callable[[], Answer], times: int) -> Answer:
    """Make a request, and make it again up to so many `times`, at growing intervals, where no server answered it.

    The intervals vary by chance: many clients that were turned away together shall not return together.

    Raises:
        ModelError: It fails for good.
    """
    for failed in range(times):
        try:
            return request()
        except UnreachableError:
            pause = min(FIRST_PAUSE * 2**failed, LONGEST_PAUSE)
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - chance, and no secret
    return request()


class Meter:
    """What a model took of its server.

    Args:
        sizes: Bytes of files by URL, as a listing has told them: nobody is asked for these again.

    Attributes:
        sizes: As given.
        requests: Number of requests.
        received: Bytes of files, as asked for.
        opened: The URLs that were opened, in order.
    """

    def __init__(self, sizes: Mapping[str, int] | None = None) -> None:
        self.sizes = sizes or {}
        self.requests = 0
        self.received = 0
        self.opened = list[str]()


_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(sizes: Mapping[str, int] | None = None) -> Generator[Meter]:
    """Yield a meter, which counts all requests that this thread makes until the block ends.

    Args:
        sizes: Bytes of files by URL that are known.
    """
    meter = Meter(sizes)
    token = _meter.set(meter)
    try:
        yield meter
    finally:
        _meter.reset(token)


def within(seconds: float, call: Callable[[], Answer]) -> Answer:
    """Call `call` with a time limit, and return its result.

    File systems retry on their own, some for minutes. The thread is a daemon, so a request that is still waiting does
    not keep the program alive.

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
"""The HTTP status of a response with the whole file."""


ANSWER = 1 << 24
"""Bytes of an answer that is no part of a file: S3 lists a thousand names in less than one million."""


class BoundedBody:
    """What a server sends after its headers, left at the first byte too many.

    The libraries above read an answer to its end, which a server need not come to.

    Args:
        response: Of aiohttp, to a request for a range or to one that is no part of a file.
    """

    def __init__(self, response: Any) -> None:
        asked = RANGE.fullmatch(response.request_info.headers.get("Range", "")) if response.ok else None
        self._most = int(asked[2]) - int(asked[1]) + 1 if asked else ANSWER
        self._why = "were asked for" if asked else "such an answer may have"
        self._is_whole_file = asked is not None and response.status == OK
        self._response = response
        self._stream = response.content
        self._read = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def read(self, amount: int = -1) -> bytes:
        """Return the next `amount` bytes, or all that are left.

        Raises:
            ModelError: There are more than were asked for.
        """
        if amount >= 0:
            return self._counted(await self._stream.read(amount))
        data = bytearray()
        while piece := await self.readany():
            data += piece
        return bytes(data)

    async def readany(self) -> bytes:
        """Return what has come.

        Raises:
            ModelError: It is more than was asked for.
        """
        return self._counted(await self._stream.readany())

    def _counted(self, piece: bytes) -> bytes:
        self._read += len(piece)
        if self._read > self._most:
            self._response.close()
            if self._is_whole_file:
                raise ModelError(NO_RANGES, remedy=DOWNLOAD)
            raise ModelError(f"the server sends more than the {self._most:,} bytes that {self._why}")
        return piece


@cache
def bounded_response() -> type[Any]:
    """Return the class of responses that aiohttp makes for us: bounded, and never unpacked.

    A range of what is compressed is no range of the file. The whole of a file, which is asked for without a range, is
    bounded by who reads it piece by piece.
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
            if "Range" in self.request_info.headers:
                self.content = BoundedBody(self)  # pyright: ignore[reportAttributeAccessIssue] - stands for a stream
            return self

    return BoundedResponse


@cache
def bounded_session() -> type[Any]:
    """Return the class of sessions in which s3fs speaks to a store: all answers are bounded, listings too."""
    from aiobotocore.httpsession import AIOHTTPSession

    class BoundedSession(AIOHTTPSession):
        async def send(self, request: Any) -> Any:
            is_streamed, request.stream_output = request.stream_output, True  # else it is read before it is bounded
            answer = await super().send(request)
            request.stream_output = is_streamed
            answer.raw.content = BoundedBody(answer.raw)
            if not is_streamed:
                await answer.content
            return answer

    return BoundedSession


WEB = ("http", "https")

S3 = ("s3", "s3a")


class RemotePlace:
    """A file in a file system of fsspec, with a time limit for each request.

    Args:
        url: As the user wrote it.
        repetitions: How often a request is made again; as the environment has it if None.

    Attributes:
        shown: The URL for display.
        system: The file system, of fsspec.
        name: What that calls the file.
        is_web: Whether its protocol is HTTP.
        listed: Its bytes, if a listing has told them.

    Raises:
        ModelError: There is no such protocol, or the file system cannot be set up.
        MissingExtraError: The protocol needs a package that is not installed.
    """

    def __init__(self, url: str, *, repetitions: int | None = None) -> None:
        self.url = url
        self.shown = shown(url)
        self._seconds = timeout()
        self._retries = retries() if repetitions is None else repetitions
        self._meter = _meter.get() or Meter()  # not looked up later: requests are made in other threads
        self._meter.opened.append(url)
        self.listed = self._meter.sizes.get(url)
        is_file = self.listed is not None
        self.system, self.name, protocol = self.guarded(
            lambda: _file_system(url, self._seconds, is_file=is_file), requests=0
        )
        self.is_web = protocol in WEB

    def open(self, **options: Any) -> Any:
        """Return the file, opened for reading.

        Raises:
            ModelError: The server does not answer, refuses, or has no such file.
        """
        return self.guarded(lambda: self.system.open(self.name, "rb", **options))

    def size(self) -> int | None:
        """Return the file's size; None if the server does not report it.

        Raises:
            ModelError: The server does not answer, refuses, or has no such file.
        """
        return self.info().get("size")

    def parts(self, spans: list[tuple[int, int]]) -> list[bytes]:
        """Return the bytes at each (offset, length), fetched concurrently if the file system can.

        Raises:
            ModelError: The server does not answer, refuses, or sends less.
        """
        starts = [offset for offset, _ in spans]
        ends = [offset + length for offset, length in spans]
        names = [self.name] * len(spans)

        def ask() -> list[bytes]:
            found = self.system.cat_ranges(names, starts, ends, on_error="raise")
            return [self.whole(part, length) for part, (_, length) in zip(found, spans, strict=True)]

        return self.guarded(ask, requests=len(spans))

    def whole(self, data: bytes, length: int) -> bytes:
        """Check that `data` has `length` bytes, and return it.

        Raises:
            ModelError: It is shorter or longer.
        """
        self._meter.received += len(data)
        if len(data) != length:
            raise UnreachableError(
                f"the server sent {len(data):,} bytes where {length:,} were asked for",
                path=self.shown,
                remedy="try again; perhaps the file has changed",
            )
        return data

    def is_saved_model(self) -> bool:
        """Return whether it is the folder of a SavedModel, if the protocol can tell."""
        if self.is_web:
            return False
        try:
            return bool(self.guarded(lambda: self.system.exists(f"{self.name.rstrip('/')}/saved_model.pb")))
        except ModelError:
            return False

    def info(self) -> dict[str, Any]:
        """Return what the file system says of the file: its size, mostly its type, and when or as what it was stored.

        Raises:
            ModelError: The server does not answer, refuses, or has no such file.
        """
        return self.guarded(lambda: self.system.info(self.name))

    def guarded(self, call: Callable[[], Answer], *, requests: int = 1) -> Answer:
        """Make a request, or so many `requests` at once, and return the result.

        Raises:
            ModelError: It fails, or exceeds the time limit.
        """

        def counted() -> Answer:
            self._meter.requests += requests
            return call()

        return answered(self.url, counted, self._seconds, self._retries)


def answered(
    url: str, call: Callable[[], Answer], seconds: float | None = None, repetitions: int | None = None
) -> Answer:
    """Return the result of a request to the server of `url`, within the time limit and as often as it takes.

    Args:
        url: For messages.
        call: Makes the request.
        seconds: The limit for one request; as the environment has it if None.
        repetitions: How often it is made again; as the environment has it if None.

    Raises:
        ModelError: It fails, or exceeds the time limit.
    """
    limit = timeout() if seconds is None else seconds

    def once() -> Answer:
        try:
            return within(limit, call)
        except Exception as error:
            raised = failure(error, url, limit)
            raised.path = raised.path or shown(url)
            raise raised from error

    return patient(once, retries() if repetitions is None else repetitions)


def _file_system(url: str, seconds: float, *, is_file: bool) -> tuple[Any, str, str]:
    """Return the file system of a URL, what it calls the file, and the protocol that it speaks."""
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
    url, authorization = _as_web(url, is_file=is_file)
    spoken = protocols(url)
    options = {name: _web_options(name, seconds, authorization) for name in spoken if name in WEB}
    options |= {name: _store_options(name) for name in spoken if name in S3}
    system, name = url_to_fs(url, **options)
    return system, name, spoken[0]


def _as_web(url: str, *, is_file: bool) -> tuple[str, Mapping[str, str]]:
    """Return `url` with what it says of Hugging Face's hub as the HTTP that is spoken there.

    The hub's own library would read answers to their end.

    Args:
        url: As the user wrote it.
        is_file: Whether it is known to name a file and no folder.

    Returns:
        The URL, and for each server that is to be told who asks, what it is told.
    """
    authorization = dict[str, str]()
    parts = url.split("::")
    for index, part in enumerate(parts):
        if protocols(part) != ["hf"]:
            continue
        from fsspec import filesystem
        from huggingface_hub.utils import build_hf_headers

        hub = filesystem("hf")
        if not is_file and hub.isdir(part):
            raise saved_model(url) if hub.exists(f"{part}/saved_model.pb") else IsADirectoryError(part)
        parts[index] = hub.url(part)
        if said := build_hf_headers(token=hub.token).get("authorization"):
            authorization[parts[index]] = said
    return "::".join(parts), authorization


def _authorizing(authorization: Mapping[str, str]) -> Callable[[Any, Any], Any]:
    """Return what adds the word of authorization to requests to the servers that it is for, and to no other."""
    from yarl import URL

    by_origin = {URL(url).origin(): said for url, said in authorization.items()}

    async def authorize(request: Any, send: Callable[[Any], Awaitable[Any]]) -> Any:
        if said := by_origin.get(request.url.origin()):
            request.headers["Authorization"] = said
        return await send(request)

    return authorize


def _web_options(protocol: str, seconds: float, authorization: Mapping[str, str]) -> dict[str, Any]:
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
            **({"middlewares": (_authorizing(authorization),)} if authorization else {}),
            **chosen.get("client_kwargs", {}),
        },
    }


def _store_options(protocol: str) -> dict[str, Any]:
    """Return how S3 is spoken: with the user's own settings of fsspec."""
    from fsspec.config import conf

    chosen: dict[str, Any] = conf.get(protocol, {})
    return {"config_kwargs": {"http_session_cls": bounded_session(), **chosen.get("config_kwargs", {})}}
