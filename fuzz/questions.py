"""Questions to onnx, asked of one process for many inputs: starting one for each would take most of the time.

cnnlint starts a process for each question (`cnnlint.worker.question`), which is what a fresh look at a fault does too.
"""

from __future__ import annotations

import select
import struct
import subprocess
import sys
import time

from cnnlint.worker.start import import_path

RENEWED = 1000
"""Questions after which another process answers."""

MEMORY = 1 << 29

SERVER = """
from cnnlint.worker.memory import limit_this_process
import io, os, struct, sys, time
limit_this_process(int(sys.argv[1]))
asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
class Stream:
    pass
while head := asked.read(16):
    program, given = map(asked.read, struct.unpack("<QQ", head))
    sys.stdin, sys.stdout = Stream(), Stream()
    sys.stdin.buffer, sys.stdout.buffer = io.BytesIO(given), io.BytesIO()
    began, done = time.process_time(), 1
    try:
        exec(program, {"sys": sys})
    except Exception:
        done = 0
    answer = sys.stdout.buffer.getvalue()
    answers.write(struct.pack("<QdQ", done, time.process_time() - began, len(answer)) + answer)
    answers.flush()
"""


class Questions:
    """Asks one process after the other.

    Attributes:
        seconds: Of the processor that the answers have taken.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, program: str, given: bytes, *, seconds: float, nbytes: int) -> bytes | None:  # noqa: ARG002 - as `question.ask`
        """Answer as `cnnlint.worker.question.ask` does."""
        if self._process is None or self._count % RENEWED == 0:
            self.close()
            command = [sys.executable, "-P", "-c", f"{import_path()}{SERVER}", str(MEMORY)]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        self._count += 1
        try:
            return self._answer(self._process, program.encode(), given, time.monotonic() + seconds)
        except (OSError, struct.error):  # it crashed, or hangs
            self.close()
            return None

    def _answer(self, process: subprocess.Popen[bytes], program: bytes, given: bytes, ends: float) -> bytes | None:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(struct.pack("<QQ", len(program), len(given)) + program + given)
        process.stdin.flush()
        if not select.select([process.stdout], [], [], max(ends - time.monotonic(), 0))[0]:
            raise TimeoutError
        done, seconds, length = struct.unpack("<QdQ", process.stdout.read(24))
        self.seconds += seconds
        answer = process.stdout.read(length)
        return answer if done else None

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
