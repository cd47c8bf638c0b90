"""The errors that cnnlint raises; each names the file, what is wrong and what to do.

What goes wrong within the boundary around a model costs the report of that model, and of no other. What is wrong with
the model is an error that whoever found it raised on purpose, and it becomes the model's own. A fault of cnnlint, of a
plugin, or a want of memory becomes an `InternalError`, which names the model in one line and keeps the traceback for
those who ask. What is wrong with the run as a whole, its configuration or its rules, passes, as an interruption does:
no other model would fare better.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from os import listdir, sep
from os.path import basename, join, lexists
from typing import TypeVar

__version__ = "0.1.0"
"""The version of cnnlint, here where every module can name it."""


class CnnlintError(Exception):
    """Any error that cnnlint raises on purpose; `str()` of it is one line for the user.

    Args:
        cause: What is wrong, in one clause, without the file's name.
        path: The file or URL that it is about, as the user wrote it.
        remedy: What the user can do about it, as a sentence or a command.
    """

    def __init__(self, cause: str, *, path: str | None = None, remedy: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.path = path
        self.remedy = remedy

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        then = f" ({self.remedy})" if self.remedy else ""
        text = f"{where}{self.cause}{then}"
        return text if text.isprintable() else "\\n".join(text.splitlines())  # a file's names may hold line breaks


class ModelError(CnnlintError):
    """The file cannot be read as a model."""


class UnreachableError(ModelError):
    """The server of a remote model did not answer, or not in full; the same request may succeed later."""


class AbsentError(ModelError):
    """There is no such file at a URL, or not any more."""


class ContradictionError(ModelError):
    """A layer contradicts its own definition: a stride of 0, ranks that do not agree, an axis that is not there.

    `cause` is a clause about the layer. Frontends keep such a layer as an opaque one where they can.
    """


class UnknownError(ContradictionError):
    """What a layer must have to be understood is not known, though the file may well be sound."""


class UnsupportedModelError(ModelError):
    """The file is a sound file of a kind that holds no graph to lint (weights only, a Git LFS pointer)."""


class DefinitionError(ModelError):
    """The user's code gives no model.

    Args:
        cause: As of any error.
        path: What the definition is called.
        remedy: As of any error.
        trace: The traceback of the user's code, without frames of ours; "" if it raised nothing.
        said: The end of what it printed.
    """

    def __init__(
        self, cause: str, *, path: str | None = None, remedy: str | None = None, trace: str = "", said: str = ""
    ) -> None:
        super().__init__(cause, path=path, remedy=remedy)
        self.trace = trace
        self.said = said


class WeightsOnlyError(UnsupportedModelError):
    """The file holds the weights of a model and not the model."""


class ConfigError(CnnlintError):
    """A configuration file or a command line option is wrong."""


class RuleError(CnnlintError):
    """A rule or a plugin is malformed, or two rules claim one code."""


class InternalError(CnnlintError):
    """cnnlint itself failed on a model: a fault of its own, or the machine's, and not of the file.

    Args:
        cause: As of any error.
        path: The model.
        remedy: As of any error.
        trace: The traceback, many lines, for whoever mends it.
    """

    def __init__(self, cause: str, *, path: str | None = None, remedy: str | None = None, trace: str = "") -> None:
        super().__init__(cause, path=path, remedy=remedy)
        self.trace = trace


class MemoryShortageError(InternalError):
    """There was not enough memory for a model."""


class MissingExtraError(CnnlintError):
    """The job needs a package of an optional extra; the remedy is the command that installs it."""


class ConversionError(CnnlintError):
    """A Keras model or SavedModel could not be converted to ONNX."""


class FindingsError(CnnlintError):
    """Models have findings that fail the run, or could not be linted: see `Report.raise_for_findings`."""


class RuntimeCheckError(CnnlintError):
    """onnxruntime could not do what a check needs."""


class UnfinishedRunError(CnnlintError):
    """A model did not run to completion: a limit was met, or the process that ran it ended.

    It is no statement about the model, and so no RuntimeCheckError, which rules take for one.
    """


class MemoryLimitError(UnfinishedRunError):
    """A model needs more memory than its run may take."""


class KilledError(UnfinishedRunError):
    """The process that was at work on a model was ended from outside, most likely for lack of memory."""


Value = TypeVar("Value")

on_command_line: ContextVar[bool] = ContextVar("on_command_line", default=False)
"""Whether whoever reads an error gives options, and not arguments of a function."""

ABOUT_THE_RUN = (ConfigError, RuleError)
"""Errors that are about all models of a run."""

FAULTS = (Exception, SystemExit)
"""What code may raise that was not meant to: a plugin that calls `sys.exit` must not end the run with its code."""

MANY = 5000
"""Files in a folder among which nothing similar is looked for: it would take a second."""

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
    kind = InternalError
    if isinstance(error, MemoryError):
        kind = MemoryShortageError
        failed, remedy = f"there is not enough memory{' for this model' if path else ''}", "-v shows the traceback"
    else:
        failed = f"cnnlint failed{' on this model' if path else ''}"
        remedy = "please report this; -v shows the traceback"
    return kind(f"{failed}: {worded(error)}{_place(error)}", path=path, remedy=remedy, trace=_trace(error))


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
    return "" if frame is None else f" at {basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}"


def _trace(error: BaseException) -> str:
    from traceback import format_exception

    try:
        return "".join(format_exception(error))
    except FAULTS:  # the memory that was short may be short still
        return ""


def installing(*packages: str) -> str:
    """Return the command that installs `packages`, such as "cnnlint[keras]", beside this copy of cnnlint.

    pipx and uv leave notes in the environments that they make, from which other tools would install to nowhere.
    """
    import sys

    words = [f"'{package}'" if set(package) & set("[<>=") else package for package in packages]
    own = [word for word in words if "cnnlint" in word]
    if lexists(join(sys.prefix, "pipx_metadata.json")):
        return f"pipx {'install --force' if own else 'inject cnnlint'} {' '.join(words)}"
    if lexists(join(sys.prefix, "uv-receipt.toml")):
        return f"uv tool install {' '.join(own or [*(f'--with {word}' for word in words), 'cnnlint'])}"
    made_by_uv = False
    with suppress(OSError), open(join(sys.prefix, "pyvenv.cfg"), encoding="utf-8") as notes:
        made_by_uv = any(line.startswith("uv =") for line in notes)
    return f"{'uv' if made_by_uv else 'python -m'} pip install {' '.join(words)}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the word of `known` that `word` was most likely meant to be; None if none comes near."""
    from difflib import get_close_matches

    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def meant_path(path: str) -> str | None:
    """Return "did you mean PATH?" for a path that is not there, folder by folder; None if nothing comes near."""
    meant = ""
    for part in path.replace(sep, "/").split("/"):
        if part and not lexists(join(meant, part)):
            try:
                beside = listdir(meant or ".")
            except (OSError, ValueError):  # ValueError: the path holds a NUL
                return None
            found = closest(part, sorted(beside)) if len(beside) < MANY else None
            if found is None:
                return None
            part = found  # noqa: PLW2901 - what was meant
        meant = join(meant, part) if part or meant else "/"
    return None if not path or meant == path else f"did you mean {meant}?"


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return "did you mean X?" for use as the remedy of an error; None if nothing comes near."""
    found = closest(word, known)
    return None if found is None else f"did you mean {found}?"
