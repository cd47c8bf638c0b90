"""Display and parse URLs, and translate the errors of file systems.

The libraries that fsspec uses are optional, so their errors are recognized by name and attributes.
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

from cnnlint.errors import (
    AbsentError,
    CnnlintError,
    MissingExtraError,
    ModelError,
    UnreachableError,
    UnsupportedModelError,
    installing,
)

SECRET_KEY = re.compile(
    r"sig|token|secret|passw|auth|cred|session|expires|policy|api.?key|access.?key|^key|^x-(amz|goog|ms)-",
    re.IGNORECASE,
)
"""Query parameters of signed URLs: X-Amz-Signature, X-Goog-Credential, Azure's sig, CloudFront's Key-Pair-Id."""

SECRET_VALUE = re.compile(r"[A-Za-z0-9+/=_.~-]{24,}")
"""A value that looks like a signature."""

URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"<>)\]]+", re.IGNORECASE)


def shown(url: str) -> str:
    """Return `url` for display: without user, password and signature."""
    return "::".join(_shown(part) for part in url.split("::"))


def without_secrets(text: str) -> str:
    """Return `text`, such as an error message, with secrets removed from every URL."""
    return URL.sub(lambda found: shown(found[0]), text)


def protocols(url: str) -> list[str]:
    """Return the protocols of a URL, several where one wraps another: "zip://model.onnx::https://host/a.zip"."""
    return [part.partition("://")[0].lower() for part in url.split("::") if "://" in part]


def name_of(url: str) -> str:
    """Return the path of the file that `url` names, without host and query."""
    return urlsplit(url.split("::", maxsplit=1)[0])._replace(query="", fragment="").path


def sibling(url: str, location: str) -> str:
    """Return the URL of the file at `location`, a relative path, from the folder of `url`; a query is not kept."""
    first, *around = url.split("::")
    parts = urlsplit(first)
    if parts.scheme in {"http", "https"}:
        location = quote(location, safe="/!$&'()*+,;=:@~")
    if parts.path:
        parts = parts._replace(path=posixpath.join(posixpath.dirname(parts.path), location), query="", fragment="")
    else:  # memory://model.onnx has no host but the file name in its place
        parts = parts._replace(netloc=location, query="", fragment="")
    return "::".join([urlunsplit(parts), *around])


def _shown(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # a broken IPv6 address
        return url.partition("?")[0].rpartition("@")[2]
    host = parts.netloc.rpartition("@")[2]
    query = "" if _is_signed(parts.query) else parts.query
    return urlunsplit(parts._replace(netloc=host, query=query, fragment=""))


def _is_signed(query: str) -> bool:
    pairs = parse_qsl(query, keep_blank_values=True)
    return any(SECRET_KEY.search(key) or SECRET_VALUE.fullmatch(value) or not value for key, value in pairs)


COVERED = frozenset({"http", "https", "s3", "s3a", "hf", "file", "memory", "zip"})
"""Protocols whose packages the extra installs."""

NO_RANGES = "the server does not send parts of a file, so all of it would have to be downloaded"
DOWNLOAD = "download it and lint the file"

REFUSED = frozenset({401, 403, 407})
ABSENT = frozenset({404, 410})

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of a server that is busy or in trouble, which a later request may not get."""


def failure(error: BaseException, url: str, seconds: float) -> CnnlintError:
    """Translate an error of a file system to one of cnnlint.

    Args:
        error: The error; if it wraps an error of cnnlint, that is returned.
        url: The requested URL.
        seconds: The time limit.
    """
    where = shown(url)
    chain = list(_chain(error))
    if ours := next((each for each in chain if isinstance(each, CnnlintError)), None):
        return ours
    if missing := next((each for each in chain if isinstance(each, ImportError)), None):
        return missing_package(missing, url)
    status = next(filter(None, map(_status, chain)), None)
    names = " ".join(type(each).__name__ for each in chain)
    if status in ABSENT:
        return AbsentError(f"there is no such file (HTTP {status})", path=where)
    if status in REFUSED or any(isinstance(each, PermissionError) for each in chain) or "Credentials" in names:
        code = f" (HTTP {status})" if status else ": no credentials were found" if "NoCredentials" in names else ""
        return ModelError(f"access is refused{code}", path=where, remedy=_credentials(url))
    if status is not None and status >= 400:
        kind = UnreachableError if status in PASSING else ModelError
        return kind(f"the server answers HTTP {status}", path=where, remedy="try again later")
    if "Timeout" in names:
        return UnreachableError(
            f"no answer within {seconds:g} s", path=where, remedy="try again, or set CNNLINT_REMOTE_TIMEOUT=120"
        )
    if any(isinstance(each, ConnectionRefusedError) or _number(each) == errno.ECONNREFUSED for each in chain):
        return UnreachableError("the server refuses the connection", path=where, remedy="check host and port")
    if any(isinstance(each, ValueError) and "range requests" in str(each) for each in chain):
        return ModelError(NO_RANGES, path=where, remedy=DOWNLOAD)
    if "Payload" in names or "IncompleteRead" in names or "ServerDisconnected" in names or "ConnectionReset" in names:
        return UnreachableError(
            "the server closed the connection in the middle of its answer", path=where, remedy="try again"
        )
    if "Connector" in names or "EndpointConnection" in names or "gaierror" in names or "ConnectError" in names:
        return UnreachableError("the server cannot be reached", path=where, remedy="check host, network and proxy")
    if any(isinstance(each, (FileNotFoundError, IsADirectoryError)) for each in chain):
        return AbsentError("there is no such file", path=where)
    said = without_secrets(str(error)).strip() or type(error).__name__
    return ModelError(f"cannot be read: {said.splitlines()[0]}", path=where)


def saved_model(url: str) -> UnsupportedModelError:
    """Return the error for a SavedModel at a URL."""
    return UnsupportedModelError(
        "is a TensorFlow SavedModel, a folder that is only read from disk", path=shown(url), remedy=DOWNLOAD
    )


def missing_package(error: ImportError, url: str) -> MissingExtraError:
    """Return the error for a protocol whose package is not installed."""
    names = protocols(url)
    is_covered = all(name in COVERED for name in names)
    remedy = installing("cnnlint[remote]") if is_covered else without_secrets(str(error)).splitlines()[0]
    name = next((each.name for each in _chain(error) if isinstance(each, ImportError) and each.name), "")
    package = f" ({name})" if name else ""
    return MissingExtraError(
        f"{names[-1]}:// needs a package that is not installed{package}", path=shown(url), remedy=remedy
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and its causes: fsspec reports any failure to look up a file as "not found"."""
    seen = set[int]()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = getattr(current, "os_error", None)  # where aiohttp keeps the cause
        if isinstance(inner, BaseException):
            yield inner
        current = current.__cause__ or current.__context__


def _status(error: BaseException) -> int | None:
    """Return the HTTP status in an error of aiohttp, requests, httpx or botocore."""
    response: object = getattr(error, "response", None)
    if isinstance(response, dict):
        metadata: object = response.get("ResponseMetadata")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - botocore's, without types
        status: object = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    else:
        status = getattr(error, "status", None) or getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _number(error: BaseException) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _credentials(url: str) -> str:
    name = protocols(url)[-1]
    if name in {"s3", "s3a"}:
        return "set AWS credentials, or FSSPEC_S3_ANON=true for a public bucket"
    if name == "hf":
        return "log in with `hf auth login`, or set HF_TOKEN"
    return "check your credentials and whether a signed URL has expired"
