"""Ask a library that a file can crash one question, in a short-lived process."""

from __future__ import annotations

import subprocess
import sys

from cnnlint.worker.start import import_path, scratch


class Question:
    """A question that is being answered, by a process that ends with this object.

    Args:
        program: Python source, which reads standard input and writes to standard output.
        given: Its input.
        seconds: Limit on processor time, where the system enforces one; wall time is limited to thirty times that.
        nbytes: Limit on memory for data, where the system enforces one.
    """

    def __init__(self, program: str, given: bytes, *, seconds: int, nbytes: int) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        command = [sys.executable, "-P", "-c", f"{import_path()}{_LIMIT}{program}", str(nbytes), str(seconds)]
        try:
            with scratch() as source:  # a pipe would fill up before anybody reads it
                source.write(given)
                source.seek(0)
                self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with our own words
                    command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
        except OSError:
            return

    def __del__(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def answer(self) -> bytes | None:
        """Wait for what the program writes; None if it fails, crashes, or exceeds a limit."""
        if self._process is None:
            return None
        try:
            said, _ = self._process.communicate(timeout=PATIENCE * self._seconds)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return said if self._process.returncode == 0 else None


def ask(program: str, given: bytes, *, seconds: int, nbytes: int) -> bytes | None:
    """Return what `program` writes to standard output, given `given` on standard input; see `Question`.

    Returns:
        None if it fails, crashes, or exceeds a limit.
    """
    return Question(program, given, seconds=seconds, nbytes=nbytes).answer()


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
