"""Ask a library that a file can crash one question, in another process.

A worker, which asks of one model after the other, keeps the process for its next question: to start one takes longer
than to check a small model. What a process that has answered before does not answer is asked of a new one, so that no
answer depends on what was asked earlier.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress

from cnnlint.worker.start import import_path, scratch

TYPE_CHECKING = False  # as in `typing`, which is slow to import
if TYPE_CHECKING:
    from typing import IO

PATIENCE = 30
"""How many times longer than its processor time a process may take on a busy machine."""

SMALL = 1 << 16
"""Bytes of a question that is written to a pipe: it holds them, so nobody waits for a process that is starting."""

PREFIX = 8
"""Bytes of each length in a message."""


class Question:
    """A question that is being answered.

    Args:
        program: Python source, which reads standard input and writes to standard output.
        given: Its input.
        seconds: Limit on processor time, where the system enforces one; wall time is limited to thirty times that.
        nbytes: Limit on memory for data, where the system enforces one.
    """

    def __init__(self, program: str, given: bytes, *, seconds: int, nbytes: int) -> None:
        head = json.dumps([program, nbytes, seconds]).encode()
        lengths = len(head).to_bytes(PREFIX, "big") + len(given).to_bytes(PREFIX, "big")
        self._message = lengths + head + given
        self._patience = PATIENCE * seconds
        self._answerer = _asked(self._message)

    def __del__(self) -> None:
        if self._answerer is not None:
            self._answerer.end()

    def answer(self) -> bytes | None:
        """Wait for what the program writes; None if it fails, crashes, or exceeds a limit."""
        while (answerer := self._answerer) is not None:
            said = answerer.answer(self._patience)
            is_first, self._answerer = answerer.answers == 0, None
            if said is not None:
                answerer.answers += 1
                _kept(answerer)
                return said
            answerer.end()
            if is_first:
                return None
            self._answerer = _asked(self._message)
        return None


class _Answerer:
    """A process that answers.

    Args:
        source: What it reads its questions from; None for a pipe.

    Attributes:
        answers: How many it has given.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, source: IO[bytes] | None = None) -> None:
        self.answers = 0
        self.is_piped = source is None
        command = [sys.executable, "-P", "-c", f"{import_path()}from cnnlint.worker.question import serve; serve()"]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with our own words
            command,
            stdin=subprocess.PIPE if source is None else source,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, message: bytes) -> None:
        """Write a question; one whose process is gone has no answer."""
        assert self._process.stdin is not None  # noqa: S101 - it is piped
        with suppress(OSError):
            self._process.stdin.write(message)
            self._process.stdin.flush()

    def answer(self, patience: float) -> bytes | None:
        """Wait `patience` seconds for an answer; None if there is none, and never will be."""
        assert self._process.stdout is not None  # noqa: S101 - it is piped
        stop = threading.Timer(patience, self._process.kill)
        stop.daemon = True
        stop.start()
        try:
            said = _read(self._process.stdout, 1)
        except (OSError, ValueError):
            said = None
        finally:
            stop.cancel()
        return None if said is None else said[0]

    def end(self) -> None:
        """End the process."""
        with suppress(OSError):
            self._process.kill()
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if stream is not None:
                    stream.close()


_idle: list[_Answerer] = []
"""The process that waits for the next question of this worker; it ends when its standard input does."""


def _asked(message: bytes) -> _Answerer | None:
    """Return a process that was asked; None if none can be started."""
    try:
        if len(message) <= SMALL:
            answerer = _idle.pop() if _idle else _Answerer()
            answerer.ask(message)
            return answerer
        with scratch() as source:
            source.write(message)
            source.seek(0)
            return _Answerer(source)
    except OSError:
        return None


def _kept(answerer: _Answerer) -> None:
    """Keep a process that has answered for the next question, or end it."""
    from cnnlint.worker import child

    if answerer.is_piped and not _idle and child.kind_of_this_process is not None:
        _idle.append(answerer)
    else:
        answerer.end()


def ask(program: str, given: bytes, *, seconds: int, nbytes: int) -> bytes | None:
    """Return what `program` writes to standard output, given `given` on standard input; see `Question`.

    Returns:
        None if it fails, crashes, or exceeds a limit.
    """
    return Question(program, given, seconds=seconds, nbytes=nbytes).answer()


def serve() -> None:
    """Answer the questions on standard input until it ends; an exception ends the process without an answer."""
    import io

    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    while (message := _read(asked, 2)) is not None:
        program, nbytes, seconds = json.loads(message[0])
        _limit(nbytes, seconds)
        said = io.BytesIO()
        sys.stdin, sys.stdout = io.TextIOWrapper(io.BytesIO(message[1])), io.TextIOWrapper(said, write_through=True)
        exec(program, {"sys": sys})  # noqa: S102 - our own words
        sys.stdout.flush()
        answers.write(len(said.getbuffer()).to_bytes(PREFIX, "big") + said.getbuffer())
        answers.flush()


def _read(stream: IO[bytes], parts: int) -> list[bytes] | None:
    """Return the parts of the next message, whose lengths stand before them; None at the end of the stream."""
    lengths = stream.read(PREFIX * parts)
    if len(lengths) < PREFIX * parts:
        return None
    sizes = [int.from_bytes(lengths[PREFIX * part : PREFIX * (part + 1)], "big") for part in range(parts)]
    found = [stream.read(size) for size in sizes]
    return found if [len(part) for part in found] == sizes else None


def _limit(nbytes: int, seconds: int) -> None:
    """Limit this process to `nbytes` of memory for data, and to `seconds` of processor time from now on."""
    from cnnlint.worker.memory import limit_this_process

    limit_this_process(nbytes)
    with suppress(ImportError, OSError, ValueError):
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + seconds + 1, most))
