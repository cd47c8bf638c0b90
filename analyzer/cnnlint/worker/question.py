"""Ask a library that a file can crash one question, in a short-lived process."""

from __future__ import annotations

import subprocess
import sys

from cnnlint.worker.start import import_path


def ask(program: str, given: bytes, *, seconds: int, nbytes: int) -> bytes | None:
    """Return what `program` writes to standard output, given `given` on standard input.

    Args:
        program: Python source.
        given: Its input.
        seconds: Limit on processor time, where the system enforces one; wall time is limited to thirty times that.
        nbytes: Limit on memory for data, where the system enforces one.

    Returns:
        None if it fails, crashes, or exceeds a limit.
    """
    command = [sys.executable, "-P", "-c", f"{import_path()}{_LIMIT}{program}", str(nbytes), str(seconds)]
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=PATIENCE * seconds, check=False)  # noqa: S603 - this interpreter, with our own words
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


PATIENCE = 30
"""How many times longer than its processor time a process may take on a busy machine."""

_LIMIT = """
from cnnlint.worker.memory import limit_this_process
limit_this_process(int(sys.argv[1]))
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2]) + 1))
except (ImportError, OSError, ValueError):
    pass
"""
