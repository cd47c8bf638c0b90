"""Starting the process of a worker: also ahead of time, while the command line is still being imported.

Python takes a tenth of a second to import what reads a command line, and as long for onnxruntime: a command that will
most likely run a model has its process started first of all. This module imports little for the same reason.
"""

from __future__ import annotations

import os
import subprocess
import sys

from cnnlint.worker import memory

TYPE_CHECKING = False  # as in `typing`, which is dear to import
if TYPE_CHECKING:
    from typing import IO

    from cnnlint.worker.protocol import Kind

LEAN = "sys.modules['typing_extensions'] = None; import msgspec; del sys.modules['typing_extensions']"
"""What imports msgspec without typing_extensions. The names that it takes from there, if that can be imported, are
those of `typing` in every Python that cnnlint runs in; importing it takes as long as all of msgspec."""


SINGLE = "OPENBLAS_NUM_THREADS"
"""numpy starts threads for products of matrices when it is imported, a fifth of what that takes; a worker has none to
multiply, and onnxruntime has threads of its own."""


class Started:
    """A process that was started.

    Attributes:
        process: It listens on its standard input and answers on its standard output.
        said: What it writes to its standard error: it says why it ended, if it does. A pipe could fill up.
        limit: Bytes of memory that it may take; None for as much as there is.
    """

    __slots__ = ("limit", "process", "said")

    def __init__(self, process: subprocess.Popen[bytes], said: IO[bytes], limit: int | None) -> None:
        self.process = process
        self.said = said
        self.limit = limit


ORDERED = {"PYTHONHASHSEED": "0"}
"""tf2onnx walks through sets: a conversion is the same at every run if hashes are."""

_waiting: list[Started] = []
"""The process that was started ahead of time, if nobody has taken it; it ends when this one does."""


def start(kind: Kind, limit: int | None, sharing: int = 1) -> Started:
    """Return a worker's process.

    Args:
        kind: What it imports while nobody has given it a job yet.
        limit: Bytes of memory that it may take; None for its share of most of what is free now.
        sharing: How many such processes share the machine.
    """
    if kind == "onnxruntime" and limit is None and sharing == 1 and _waiting:
        return _waiting.pop()
    if limit is None and (free := memory.usual_limit()) is not None:
        limit = free // sharing
    program = f"{import_path()}{LEAN}\nfrom cnnlint.worker.child import main; main({kind!r}, {limit!r}, {sharing})"
    said = scratch()
    process = subprocess.Popen(  # noqa: S603 - this interpreter, with our own words
        [sys.executable, "-P", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        env={SINGLE: "1", **(ORDERED if kind == "tensorflow" else {}), **os.environ},
    )
    return Started(process, said, limit)


def scratch() -> IO[bytes]:
    """Return a file without a name; `tempfile` is imported only where the system has none."""
    try:
        return os.fdopen(os.open(os.environ.get("TMPDIR") or "/tmp", os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")  # noqa: S108 - nobody else can open it
    except (OSError, AttributeError):
        import tempfile

        return tempfile.TemporaryFile()


def start_ahead() -> None:
    """Start the process of the first onnxruntime that will be asked for with the usual limits."""
    if not _waiting:
        _waiting.append(start("onnxruntime", None))


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
