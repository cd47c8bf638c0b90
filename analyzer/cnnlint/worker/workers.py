"""The workers of a run. A run without workers does not import what starting one takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from msgspec import Struct

from cnnlint.worker import limits
from cnnlint.worker.limits import RunLimits

if TYPE_CHECKING:
    from cnnlint.worker.process import Worker
    from cnnlint.worker.protocol import Kind

Result = TypeVar("Result")


ABLE: dict[Kind, tuple[Kind, ...]] = {
    "onnxruntime": ("onnxruntime", "tensorflow"),
    "tensorflow": ("tensorflow",),
    "linter": ("linter",),
}
"""The kinds of processes that do the jobs of a kind themselves."""


class Pending(Protocol):
    """A job in progress."""

    def result(self, kind: type[Result]) -> Result:
        """Wait for the result and return it; see `Workers.call`."""
        ...


class Workers:
    """The workers of a run, one for each kind, started when first needed and replaced after a fault."""

    def __init__(self, allowed: RunLimits | None = None) -> None:
        self.limits = allowed or RunLimits()
        self._running: dict[Kind, Worker] = {}

    def start(self, kind: Kind) -> Worker:
        """Return the worker of `kind`, and start it if necessary."""
        worker = self._running.get(kind)
        if worker is not None and worker.has_result:  # a stale result must not be taken for another job's
            worker.end()
        if worker is None or not worker.is_alive:
            from cnnlint.worker.process import Worker

            worker = self._running[kind] = Worker(kind, self.limits, limits.companions)
        return worker

    def submit(self, kind: Kind, handler: str, request: Struct) -> Pending:
        """Start a job, and return an object whose `result` waits for it.

        Args:
            kind: Kind of worker.
            handler: The function to call, "module:name"; it takes a record like `request` and returns one.
            request: Its argument.
        """
        from cnnlint.worker import child
        from cnnlint.worker.protocol import Job

        if child.kind_of_this_process in ABLE[kind]:
            return _Here(handler, request)
        worker = self.start(kind)
        worker.submit(Job(handler, msgspec.to_builtins(request)))
        return worker

    def call(self, kind: Kind, handler: str, request: Struct, result: type[Result]) -> Result:
        """Do a job, and return its result.

        Raises:
            UnfinishedRunError: A limit was exceeded, or the worker's process ended.
            CnnlintError: What the job raised.
        """
        return self.submit(kind, handler, request).result(result)

    def close(self) -> None:
        """End all workers."""
        for worker in self._running.values():
            worker.end()
        self._running.clear()


class _Here:
    """A job that a worker does itself, because it is of its own kind."""

    def __init__(self, handler: str, request: Struct) -> None:
        self._handler, self._request = handler, request

    def result(self, kind: type[Result]) -> Result:
        from importlib import import_module

        from cnnlint.errors import FAULTS, MemoryLimitError, error_of
        from cnnlint.worker import steps

        module, _, name = self._handler.partition(":")
        handler = getattr(import_module(module), name)
        try:
            with steps.within():
                made = handler(self._request)
        except MemoryError as error:
            raise MemoryLimitError("it needs more memory than there is") from error
        except FAULTS as error:
            raise error_of(error, None) from error
        assert isinstance(made, kind)  # noqa: S101 - what the handler's signature says
        return made
