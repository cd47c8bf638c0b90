"""Starting the process of a worker: also ahead of time, while the command line is still being imported.

Python takes a tenth of a second to import what reads a command line, and as long for onnxruntime: a command that will
most likely run a model has its process started first of all. This module imports little for the same reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib import import_module
from typing import IO, TYPE_CHECKING, NamedTuple

from cnnlint.worker import memory

if TYPE_CHECKING:
    from cnnlint.worker.protocol import Kind


class Started(NamedTuple):
    """A process that was started.

    Attributes:
        process: It listens on its standard input and answers on its standard output.
        said: What it writes to its standard error: it says why it ended, if it does. A pipe could fill up.
        limit: Bytes of memory that it may take; None for as much as there is.
    """

    process: subprocess.Popen[bytes]
    said: IO[bytes]
    limit: int | None


_waiting = list[Started]()
"""The process that was started ahead of time, if nobody has taken it; it ends when this one does."""


def start(kind: Kind, limit: int | None) -> Started:
    """Return a worker's process.

    Args:
        kind: What it imports while nobody has given it a job yet.
        limit: Bytes of memory that it may take; None for most of what is free now.
    """
    if kind == "onnxruntime" and limit is None and _waiting:
        return _waiting.pop()
    limit = memory.usual_limit() if limit is None else limit
    program = (
        f"{import_path()}from cnnlint.worker.start import lean_msgspec; lean_msgspec()\n"
        f"from cnnlint.worker.child import main; main({kind!r}, {limit!r})"
    )
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
    process = subprocess.Popen(  # noqa: S603 - this interpreter, with our own words
        [sys.executable, "-P", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
    )
    return Started(process, said, limit)


def start_ahead() -> None:
    """Start the process of the first onnxruntime that will be asked for with the usual limits."""
    if not _waiting:
        _waiting.append(start("onnxruntime", None))


def lean_msgspec() -> None:
    """Import msgspec without typing_extensions, which it takes three names from where it is there.

    They are those of `typing` in every Python that cnnlint runs in, and importing it takes as long as all of msgspec.
    """
    lent = "typing_extensions" not in sys.modules
    if lent:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment] - how `import` is told that there is none
    try:
        import_module("msgspec")
    finally:
        if lent:
            del sys.modules["typing_extensions"]


def drop() -> None:
    """End the process that was started ahead of time, if nobody has taken it."""
    while _waiting:
        started = _waiting.pop()
        started.process.kill()
        started.process.communicate()
        started.said.close()


def import_path() -> str:
    """Return the line that gives a new process this one's import path, but for the working directory.

    Whatever lies beside a model must not be imported in the place of a library.
    """
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    here = os.path.realpath(os.getcwd())
    path = [entry for entry in sys.path if entry and os.path.realpath(entry) != here]
    path += [] if ours in path else [ours]
    return f"import sys; sys.path[:] = {path!r}\n"
