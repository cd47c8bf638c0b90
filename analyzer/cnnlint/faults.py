"""The boundary around each model: what goes wrong within costs the report of that model, and of no other.

Three kinds of things can go wrong. What is wrong with the model is an error that whoever found it raised on purpose,
and it becomes the model's own. A fault of cnnlint, of a plugin, or a want of memory becomes a `InternalError`, which
names the model in one line and keeps the traceback for those who ask. What is wrong with the run as a whole, its
configuration or its rules, passes, as an interruption does: no other model would fare better.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from cnnlint.errors import CnnlintError, ConfigError, InternalError, RuleError

Value = TypeVar("Value")

ABOUT_THE_RUN = (ConfigError, RuleError)
"""Errors that are about all models of a run."""

FAULTS = (Exception, SystemExit)
"""What code may raise that was not meant to: a plugin that calls `sys.exit` must not end the run with its code."""

LONGEST = 300
"""Characters of an exception's message that are shown; it may quote the model."""


def guarded(path: str, job: Callable[[], Value]) -> Value | CnnlintError:
    """Return what `job` returns, or what went wrong with the model at `path`.

    Raises:
        ConfigError: The configuration is wrong.
        RuleError: A plugin or a file of rules is.
    """
    try:
        return job()
    except ABOUT_THE_RUN:
        raise
    except FAULTS as error:
        found = error_of(error, path)
        # frames hold the model's graph, and the error stays until the end of the run
        found.__traceback__ = found.__context__ = found.__cause__ = None
        return found


@contextmanager
def boundary(path: str | None) -> Generator[None]:
    """Raise whatever goes wrong within the block as an error that names `path`.

    Raises:
        CnnlintError: Something went wrong.
    """
    try:
        yield
    except ABOUT_THE_RUN:
        raise
    except CnnlintError as error:
        error.path = error.path or path
        raise
    except FAULTS as error:
        raise error_of(error, path) from error


def error_of(error: BaseException, path: str | None) -> CnnlintError:
    """Return `error` with the path of the model; as a `InternalError`, if it was not raised on purpose."""
    if isinstance(error, CnnlintError):
        error.path = error.path or path
        return error
    if isinstance(error, MemoryError):
        failed, remedy = f"there is not enough memory{' for this model' if path else ''}", "-v shows the traceback"
    else:
        failed = f"cnnlint failed{' on this model' if path else ''}"
        remedy = "please report this; -v shows the traceback"
    return InternalError(f"{failed}: {worded(error)}{_place(error)}", path=path, remedy=remedy, trace=_trace(error))


def worded(error: BaseException) -> str:
    """Return the kind of an exception and what it says, on one line that is not too long."""
    try:
        said = " ".join(str(error).split())
    except FAULTS:  # an exception class of a plugin has a `__str__` of its own
        said = ""
    said = said if len(said) <= LONGEST else f"{said[: LONGEST - 1]}…"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _place(error: BaseException) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "" if frame is None else f" at {Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}"


def _trace(error: BaseException) -> str:
    from traceback import format_exception

    try:
        return "".join(format_exception(error))
    except FAULTS:  # the memory that was short may be short still
        return ""
