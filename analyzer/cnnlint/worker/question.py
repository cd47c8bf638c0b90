"""One question to a library that a file can crash, in a process that lives no longer than that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def ask(program: str, given: bytes, *, seconds: float, nbytes: int) -> bytes | None:
    """Return what `program` writes to standard output after it has read `given` from standard input.

    Args:
        program: Python.
        given: What it is asked about.
        seconds: How long it may take.
        nbytes: Of memory for data that it may take, where the system holds it to that.

    Returns:
        None if it fails, crashes, or takes more.
    """
    command = [sys.executable, "-P", "-c", f"{import_path()}{_LIMIT}{program}", str(nbytes)]
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=seconds, check=False)  # noqa: S603 - this interpreter, with our own words
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def import_path() -> str:
    """Return the line that gives a new process this one's import path, but for the working directory.

    Whatever lies beside a model must not be imported in the place of a library.
    """
    import cnnlint

    ours = str(Path(cnnlint.__file__).parents[1])
    here = os.path.realpath(os.getcwd())
    path = [entry for entry in sys.path if entry and os.path.realpath(entry) != here]
    path += [] if ours in path else [ours]
    return f"import sys; sys.path[:] = {path!r}\n"


_LIMIT = """
from cnnlint.worker.memory import limit_this_process
limit_this_process(int(sys.argv[1]))
"""
