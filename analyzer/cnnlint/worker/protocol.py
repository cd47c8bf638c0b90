"""The protocol between a worker and its parent: length-prefixed JSON."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from cnnlint import errors
from cnnlint.errors import CnnlintError, InternalError, error_of

if TYPE_CHECKING:
    from typing import BinaryIO

Kind = Literal["onnxruntime", "tensorflow", "linter"]
"""What a worker has imported; one with TensorFlow can do jobs of onnxruntime too."""

LARGEST = 1 << 28
"""Most bytes of a message; the report of a network with a million layers is far smaller."""

LEARNING = threading.Lock()
"""Held where several threads convert to records: msgspec learns a class at its first use, and two that teach it one at
the same time crash the process."""

PREFIX = 8
"""Bytes of the length before each message."""


class Job(Struct, frozen=True, tag="job"):
    """A job.

    Attributes:
        handler: The function to call, "module:name"; it takes one record and returns one.
        request: That record as plain data.
    """

    handler: str
    request: Any


class StepStarted(Struct, frozen=True, tag="step"):
    """The start of a step that may hang.

    Attributes:
        doing: The step, such as "loading it into onnxruntime".
        seconds: Default time limit for it; 0 for work that may take any time, which no setting limits.
    """

    doing: str
    seconds: float


class Done(Struct, frozen=True, tag="done"):
    """The result of a job, as plain data."""

    result: Any


class Failed(Struct, frozen=True, tag="failed"):
    """The error of a job.

    Attributes:
        error: Name of a class of `cnnlint.errors`.
        cause: The cause, in one clause.
        path: The file that it is about.
        remedy: What the user can do.
        trace: The traceback of an internal error.
    """

    error: str
    cause: str
    path: str | None = None
    remedy: str | None = None
    trace: str = ""


Answer = StepStarted | Done | Failed


def write(stream: BinaryIO, message: Job | Answer) -> None:
    """Write one message.

    Python's own JSON is used because it supports NaN and integers of any size.
    """
    content = json.dumps(msgspec.to_builtins(message)).encode()
    stream.write(len(content).to_bytes(PREFIX, "big") + content)
    stream.flush()


def read(stream: BinaryIO) -> Any:
    """Return the next message as plain data; None at the end of the stream, or if the data is not a message."""
    prefix = _exactly(stream, PREFIX)
    if prefix is None or (length := int.from_bytes(prefix, "big")) > LARGEST:
        return None
    content = _exactly(stream, length)
    return None if content is None else json.loads(content)


def _exactly(stream: BinaryIO, length: int) -> bytes | None:
    content = stream.read(length)
    return content if len(content) == length else None


def failure(error: BaseException) -> Failed:
    """Return the message for an exception, as the closest class in `cnnlint.errors`."""
    told = error_of(error, None)
    kind = next(base.__name__ for base in type(told).__mro__ if base.__module__ == errors.__name__)
    return Failed(kind, told.cause, told.path, told.remedy, told.trace if isinstance(told, InternalError) else "")


def as_error(failed: Failed) -> CnnlintError:
    """Return the error that `failed` describes."""
    kind = getattr(errors, failed.error)
    if issubclass(kind, InternalError):
        return kind(failed.cause, path=failed.path, remedy=failed.remedy, trace=failed.trace)
    return kind(failed.cause, path=failed.path, remedy=failed.remedy)
