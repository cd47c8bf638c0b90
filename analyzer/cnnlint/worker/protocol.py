"""What a worker and the process that waits for it say to one another: length-prefixed JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from cnnlint import errors
from cnnlint.errors import CnnlintError, InternalError, error_of

if TYPE_CHECKING:
    from typing import BinaryIO

Kind = Literal["onnxruntime", "tensorflow"]
"""What a worker has imported; one with TensorFlow can do the other's jobs too."""

LARGEST = 1 << 28
"""Bytes of a message; a report of a network of a million layers stays far below."""

PREFIX = 8
"""Bytes of the length ahead of each message."""


class Job(Struct, frozen=True, tag="job"):
    """Something to do.

    Attributes:
        handler: The function that does it, "module:name"; it takes one record and returns one.
        request: That record as plain data.
    """

    handler: str
    request: Any


class Step(Struct, frozen=True, tag="step"):
    """Something that may never end begins.

    Attributes:
        doing: What, as in "loading it into onnxruntime".
        seconds: How long it may take before anyone doubts that it ends.
    """

    doing: str
    seconds: float


class Done(Struct, frozen=True, tag="done"):
    """The record that a job came to, as plain data."""

    result: Any


class Failed(Struct, frozen=True, tag="failed"):
    """Why a job came to nothing.

    Attributes:
        error: The class of `cnnlint.errors`.
        cause: In one clause.
        path: The file that it is about.
        remedy: What the user can do.
        trace: The traceback of a fault of cnnlint.
    """

    error: str
    cause: str
    path: str | None = None
    remedy: str | None = None
    trace: str = ""


Answer = Step | Done | Failed


def write(stream: BinaryIO, message: Job | Answer) -> None:
    """Write one message.

    Numbers of any size and not-a-number pass: JSON as Python's own library writes it has both.
    """
    content = json.dumps(msgspec.to_builtins(message)).encode()
    stream.write(len(content).to_bytes(PREFIX, "big") + content)
    stream.flush()


def read(stream: BinaryIO) -> Any:
    """Return the next message as plain data; None at the end of the stream, or where no message follows."""
    prefix = _exactly(stream, PREFIX)
    if prefix is None or (length := int.from_bytes(prefix, "big")) > LARGEST:
        return None
    content = _exactly(stream, length)
    return None if content is None else json.loads(content)


def _exactly(stream: BinaryIO, length: int) -> bytes | None:
    content = stream.read(length)
    return content if len(content) == length else None


def failure(error: BaseException) -> Failed:
    """Return what to say of an exception; an error without a class in `cnnlint.errors` is told as the nearest one."""
    told = error_of(error, None)
    kind = next(base.__name__ for base in type(told).__mro__ if base.__module__ == errors.__name__)
    return Failed(kind, told.cause, told.path, told.remedy, told.trace if isinstance(told, InternalError) else "")


def as_error(failed: Failed) -> CnnlintError:
    """Return the error that `failed` tells of."""
    kind = getattr(errors, failed.error)
    if kind is InternalError:
        return InternalError(failed.cause, path=failed.path, remedy=failed.remedy, trace=failed.trace)
    return kind(failed.cause, path=failed.path, remedy=failed.remedy)
