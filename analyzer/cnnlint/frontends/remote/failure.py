"""What went wrong between here and a server, in the words of cnnlint.

The libraries below fsspec are optional, so their errors are told apart by name and by what they carry.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator

from cnnlint.errors import CnnlintError, MissingExtraError, ModelError
from cnnlint.frontends.remote.address import protocols, shown, without_secrets

EXTRA = "pip install 'cnnlint[remote]'"

COVERED = frozenset({"http", "https", "s3", "s3a", "hf", "file", "memory", "zip"})
"""Protocols whose packages the extra installs."""

NO_RANGES = "the server does not send parts of a file, so the whole of it would have to be downloaded"
DOWNLOAD = "download it and lint the file"

REFUSED = frozenset({401, 403, 407})
ABSENT = frozenset({404, 410})


def failure(error: BaseException, url: str, seconds: float) -> CnnlintError:
    """Return the error to raise for what a file system raised when it was asked for `url`.

    Args:
        error: Its error. An error of cnnlint stays what it is, also one that a library has wrapped.
        url: What was asked for.
        seconds: The time it had.
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
        return ModelError(f"there is no such file (HTTP {status})", path=where)
    if status in REFUSED or any(isinstance(each, PermissionError) for each in chain) or "Credentials" in names:
        code = f" (HTTP {status})" if status else ": no credentials were found" if "NoCredentials" in names else ""
        return ModelError(f"access is refused{code}", path=where, remedy=_credentials(url))
    if status is not None and status >= 400:
        return ModelError(f"the server answers HTTP {status}", path=where, remedy="try again later")
    if "Timeout" in names:
        return ModelError(
            f"no answer within {seconds:g} s", path=where, remedy="try again, or set CNNLINT_REMOTE_TIMEOUT=120"
        )
    if any(isinstance(each, ConnectionRefusedError) or _number(each) == errno.ECONNREFUSED for each in chain):
        return ModelError("the server refuses the connection", path=where, remedy="check host and port")
    if any(isinstance(each, ValueError) and "range requests" in str(each) for each in chain):
        return ModelError(NO_RANGES, path=where, remedy=DOWNLOAD)
    if "Payload" in names or "IncompleteRead" in names or "ServerDisconnected" in names or "ConnectionReset" in names:
        return ModelError("the server breaks off in the middle of its answer", path=where, remedy="try again")
    if "Connector" in names or "EndpointConnection" in names or "gaierror" in names or "ConnectError" in names:
        return ModelError("the server cannot be reached", path=where, remedy="check host, network and proxy")
    if any(isinstance(each, (FileNotFoundError, IsADirectoryError)) for each in chain):
        return ModelError("there is no such file", path=where)
    said = without_secrets(str(error)).strip() or type(error).__name__
    return ModelError(f"cannot be read: {said.splitlines()[0]}", path=where)


def missing_package(error: ImportError, url: str) -> MissingExtraError:
    """Return the error for a protocol whose package is not installed."""
    names = protocols(url)
    remedy = EXTRA if all(name in COVERED for name in names) else without_secrets(str(error)).splitlines()[0]
    name = next((each.name for each in _chain(error) if isinstance(each, ImportError) and each.name), "")
    package = f" ({name})" if name else ""
    return MissingExtraError(
        f"{names[-1]}:// needs a package that is not installed{package}", path=shown(url), remedy=remedy
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield `error` and what it was raised from: fsspec calls any failure of a look at a file "not found"."""
    seen = set[int]()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = getattr(current, "os_error", None)  # aiohttp's own way to keep the cause
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
