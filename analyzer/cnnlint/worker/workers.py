"""The workers of a run. A run that starts none imports nothing of what starting one takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec
from msgspec import Struct

from cnnlint.worker.limits import RunLimits

if TYPE_CHECKING:
    from cnnlint.worker.process import Worker
    from cnnlint.worker.protocol import Kind

Result = TypeVar("Result")


class Pending(Protocol):
    """A job under way."""

    def result(self, kind: type[Result]) -> Result:
        """Wait, and return what it comes to; see `Workers.call`."""
        ...


class Workers:
    """The workers of a run, one for each kind, started when first needed and replaced after a fault."""

    def __init__(self, limits: RunLimits | None = None) -> None:
        self.limits = limits or RunLimits()
        self._running: dict[Kind, Worker] = {}

    def start(self, kind: Kind) -> Worker:
        """Return the worker of `kind`, started now if there is none."""
        worker = self._running.get(kind)
        if worker is not None and worker.is_owing:  # nobody asked for its answer, which must not become another's
            worker.end()
        if worker is None or not worker.is_alive:
            from cnnlint.worker.process import Worker

            worker = self._running[kind] = Worker(kind, self.limits)
        return worker

    def submit(self, kind: Kind, handler: str, request: Struct) -> Pending:
        """Have a job begun; its result is waited for by the answer's `result`.

        Args:
            kind: Of the worker.
            handler: The function that does it, "module:name": it takes a record like `request` and returns one.
            request: What it is given.
        """
        from cnnlint.worker import child
        from cnnlint.worker.protocol import Job

        if child.kind_of_this_process in (kind, "tensorflow"):
            return _Here(handler, request)
        worker = self.start(kind)
        worker.submit(Job(handler, msgspec.to_builtins(request)))
        return worker

    def call(self, kind: Kind, handler: str, request: Struct, result: type[Result]) -> Result:
        """Have a job done, and return what it comes to.

        Raises:
            UnfinishedRunError: A limit was met, or the worker's process ended.
            CnnlintError: What the job raised.
        """
        return self.submit(kind, handler, request).result(result)

    def close(self) -> None:
        """End all workers."""
        for worker in self._running.values():
            worker.end()
        self._running.clear()


class _Here:
    """A job that a worker has for its own kind, done where it stands."""

    def __init__(self, handler: str, request: Struct) -> None:
        self._handler, self._request = handler, request

    def result(self, kind: type[Result]) -> Result:
        from importlib import import_module

        module, _, name = self._handler.partition(":")
        made = getattr(import_module(module), name)(self._request)
        assert isinstance(made, kind)  # noqa: S101 - what the handler's signature says
        return made
