"""One worker process: start it, give it jobs, wait for results within limits, and end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from cnnlint.errors import CnnlintError, KilledError, MemoryLimitError, UnfinishedRunError
from cnnlint.worker import memory, protocol, steps
from cnnlint.worker.protocol import Done, Failed, Job, Kind, StepStarted
from cnnlint.worker.start import start

if TYPE_CHECKING:
    from typing import BinaryIO

    from cnnlint.worker.limits import RunLimits

Result = TypeVar("Result")

POLL = 0.1
"""Seconds between checks of a worker's memory, where the system does not enforce its limit."""

NAMES = {"onnxruntime": "onnxruntime", "tensorflow": "TensorFlow", "linter": "the linter"}

OUT_OF_MEMORY = ("bad_alloc", "bad allocation", "MemoryError", "Failed to allocate memory", "Cannot allocate memory")
"""Messages on standard error with which libraries abort when out of memory."""


class Worker:
    """One process, started at once and kept for many jobs.

    Args:
        kind: What it imports before the first job.
        limits: Its limits on time and memory.
        sharing: How many such processes share the machine.

    Attributes:
        has_result: Whether it has a job whose result was not taken.
        step: What it was last known to do.
    """

    def __init__(self, kind: Kind, limits: RunLimits, sharing: int = 1) -> None:
        self.kind = kind
        self.limits = limits
        self.has_result = False
        self.step = StepStarted(f"starting {NAMES[kind]}", steps.SHORTEST)
        started = start(kind, limits.memory, sharing)
        self._process, self._said, self._memory = started.process, started.said, started.limit
        self._answers = SimpleQueue[Any]()
        threading.Thread(target=_receive, args=(self._process.stdout, self._answers), daemon=True).start()
        self._polled = not sys.platform.startswith("linux")
        self.end = weakref.finalize(self, _end, self._process, self._said)

    @property
    def is_alive(self) -> bool:
        """Whether it can take jobs."""
        return self.end.alive and self._process.poll() is None

    def submit(self, job: Job) -> None:
        """Give it a job; if the process is gone, `result` raises the error."""
        self.has_result = True
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        with suppress(OSError):
            protocol.write(self._process.stdin, job)  # pyright: ignore[reportArgumentType] - a pipe of bytes

    def result(self, kind: type[Result]) -> Result:
        """Return the result of the next job.

        Raises:
            UnfinishedRunError: A limit was exceeded or the process ended; the worker cannot be used any more.
            CnnlintError: What the job raised.
        """
        self.has_result = False
        self.step = StepStarted(f"starting {NAMES[self.kind]}", steps.SHORTEST)
        while True:
            steps.tell(self.step.doing)
            answer = self._next(self.step)
            steps.tell("")
            match answer:
                case StepStarted():
                    self.step = answer
                case Done():
                    with protocol.LEARNING:
                        return msgspec.convert(answer.result, kind)
                case Failed():
                    raise self._worded(protocol.as_error(answer))

    def _next(self, step: StepStarted) -> StepStarted | Done | Failed:
        """Wait for one answer."""
        own = self.limits.timeout
        seconds = step.seconds if own is None or not step.seconds else own
        until = monotonic() + seconds if seconds else None
        while True:
            waits = [POLL] if self._polled else []
            waits += (
                [min(until - monotonic(), threading.TIMEOUT_MAX)] if until is not None else []
            )  # it may be any number
            try:
                answer = self._answers.get(timeout=max(min(waits), 0) if waits else None)
            except Empty:
                if until is not None and monotonic() >= until:
                    self.end()
                    raise UnfinishedRunError(
                        f"{step.doing} took longer than {seconds:g} s", remedy="--run-timeout SECONDS allows more"
                    ) from None
                self._refuse_memory(step)
                continue
            if answer is None:
                raise self._ended(step)
            with protocol.LEARNING:
                return msgspec.convert(answer, StepStarted | Done | Failed)

    def _refuse_memory(self, step: StepStarted) -> None:
        used = memory.resident_bytes(self._process.pid) if self._polled and self._memory is not None else None
        if used is not None and self._memory is not None and used > self._memory:
            self.end()
            raise self._too_large(step.doing)

    def _ended(self, step: StepStarted) -> UnfinishedRunError:
        """Return the error for a process that ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        last = ""
        with suppress(ValueError):  # closed by whoever ended the process
            self._said.seek(0, os.SEEK_END)
            self._said.seek(max(self._said.tell() - (1 << 14), 0))
            last = self._said.read().decode(errors="replace")
        code = self._process.returncode
        self.end()
        if any(phrase in last for phrase in OUT_OF_MEMORY):
            return self._too_large(step.doing)
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            if name == "SIGKILL":
                return KilledError(
                    f"the process was killed while {step.doing}, most likely by the system for lack of memory",
                    remedy="--run-memory BYTES sets a limit below that",
                )
            return UnfinishedRunError(f"the process crashed ({name}) while {step.doing}")
        return UnfinishedRunError(f"the process ended with exit code {code} while {step.doing}")

    def _too_large(self, doing: str) -> MemoryLimitError:
        amount = "it could get" if self._memory is None else _amount(self._memory)
        return MemoryLimitError(f"{doing} took more memory than {amount}", remedy="--run-memory BYTES allows more")

    def _worded(self, error: CnnlintError) -> CnnlintError:
        """Add the memory limit, which only the parent knows, to an error."""
        if isinstance(error, MemoryLimitError) and error.remedy is None and self._memory is not None:
            cause = f"{error.cause} ({_amount(self._memory)})"
            return MemoryLimitError(cause, path=error.path, remedy="--run-memory BYTES allows more")
        return error


def _receive(stream: BinaryIO, answers: SimpleQueue[Any]) -> None:
    """Queue incoming messages, and None when the stream ends."""
    with suppress(OSError, ValueError):
        while (message := protocol.read(stream)) is not None:
            answers.put(message)
    answers.put(None)


def _end(process: subprocess.Popen[bytes], said: Any) -> None:
    with suppress(OSError):
        process.kill()
    with suppress(OSError, subprocess.TimeoutExpired):
        process.wait(10)
    for stream in (process.stdin, process.stdout, said):
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.close()


def _amount(nbytes: int) -> str:
    """Return a limit of memory in words; `graph.quantity`, which knows all units, stands above this room."""
    return f"{nbytes / 1e9:.3g} GB" if nbytes >= 1_000_000 else f"{nbytes} B"
