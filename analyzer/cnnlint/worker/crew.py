"""A crew of workers: each takes the next job when it has done one, and one that dies loses the job that it had."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from cnnlint.errors import CnnlintError
from cnnlint.worker.process import Worker
from cnnlint.worker.protocol import Job

if TYPE_CHECKING:
    from cnnlint.worker.limits import RunLimits
    from cnnlint.worker.protocol import Kind

Result = TypeVar("Result")

WAKE = 0.5
"""Seconds after which whoever waits looks up: on Windows Ctrl-C does not interrupt the wait itself."""


class Reply(Struct, Generic[Result], frozen=True):
    """What became of a job.

    Attributes:
        index: Of the job.
        outcome: The result, or the error that the job raised or that its worker ended with.
        in_step: Whether the worker ended in a step that it had announced, such as a run of a model.
    """

    index: int
    outcome: Result | CnnlintError
    in_step: bool = False


class Crew(Generic[Result]):
    """Workers that do jobs side by side; each has one job at a time.

    Args:
        kind: What each imports.
        count: How many there are.
        limits: Of each; where nothing is said of memory, each has its share.
        first: A job that each does before all others.
        handler: The function that does the jobs, "module:name".
        result: What it returns.
    """

    def __init__(
        self, kind: Kind, count: int, limits: RunLimits, *, first: Job, handler: str, result: type[Result]
    ) -> None:
        self._kind: Kind = kind
        self._count, self._limits = count, limits
        self._first, self._handler, self._result = first, handler, result
        self._replies = SimpleQueue[Reply[Result]]()
        self._turn = threading.Lock()
        self._workers = list[Worker]()
        self._threads = list[threading.Thread]()
        self._is_open = True

    def work(self, requests: Sequence[Struct]) -> Iterator[Reply[Result]]:
        """Yield what becomes of each of `requests`, in the order in which they are done."""
        waiting = iter(enumerate(requests))
        for _ in range(min(self._count, len(requests))):
            self._threads.append(threading.Thread(target=self._serve, args=(waiting,), daemon=True))
            self._threads[-1].start()
        for _ in requests:
            while True:
                try:
                    reply = self._replies.get(timeout=WAKE)
                except Empty:
                    continue
                break
            yield reply

    def close(self) -> None:
        """End all workers, whatever they do."""
        with self._turn:
            self._is_open = False
        for worker in self._workers:
            worker.end()
        for thread in self._threads:
            thread.join()

    def _serve(self, waiting: Iterator[tuple[int, Struct]]) -> None:
        """Have a worker do one job after the other; one that ended is replaced."""
        worker: Worker | None = None
        while (taken := self._next(waiting)) is not None:
            index, request = taken
            outcome: Result | CnnlintError
            try:
                if worker is None or not worker.is_alive:
                    worker = self._started(worker)
                    if worker is None:
                        return
                    worker.submit(self._first)
                    worker.result(object)
                worker.submit(Job(self._handler, msgspec.to_builtins(request)))
                outcome = worker.result(self._result)
            except CnnlintError as error:
                outcome = error
            ended = worker is None or not worker.end.alive
            self._replies.put(Reply(index, outcome, ended and worker is not None and worker.step.seconds > 0))
        if worker is not None:
            worker.end()

    def _next(self, waiting: Iterator[tuple[int, Struct]]) -> tuple[int, Any] | None:
        with self._turn:
            return next(waiting, None) if self._is_open else None

    def _started(self, before: Worker | None) -> Worker | None:
        """Return a new worker in place of the one that ended; None if the crew is closed."""
        with self._turn:
            if not self._is_open:
                return None
            if before is not None:
                self._workers.remove(before)
            worker = Worker(self._kind, self._limits, self._count)
            self._workers.append(worker)
        return worker
